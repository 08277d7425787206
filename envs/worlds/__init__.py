"""World builders, one family a file: a function whose docstring is the world's page."""
