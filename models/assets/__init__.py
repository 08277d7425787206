"""Data and pretrained weights by name, fetched once and checked by hash."""
