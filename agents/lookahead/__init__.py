"""Exact one-step slates under a learned choice and a learned value of what follows."""
