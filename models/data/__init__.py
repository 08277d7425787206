"""Logs of real people: one schema, loaders, splits."""
