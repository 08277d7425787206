"""Learned worlds: a log's people, played by a fitted model."""
