"""Data sets by name: each a small file that makes tables and a description of what it reads."""
