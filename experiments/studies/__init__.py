"""Studies: a value each, in a file of its own."""
