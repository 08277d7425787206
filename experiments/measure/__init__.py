"""Training and reading policies: rows of what happened."""
