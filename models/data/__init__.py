"""Logs of what people were shown and did: one schema, its validation, data sets and splits."""
