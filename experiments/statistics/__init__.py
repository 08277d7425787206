"""Estimates, intervals and the rules of the verdict."""
