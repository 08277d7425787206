"""Policies without trial: popularity, the supervised ranker, diversity."""
