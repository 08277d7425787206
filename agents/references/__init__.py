"""Policies that are told the truth: what could be earned at most."""
