"""How good a model is on held-out rows, beside what it must beat."""
