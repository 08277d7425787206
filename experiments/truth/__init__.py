"""Worlds of known truth write logs, and a study's verdict on the log is held against the truth."""
