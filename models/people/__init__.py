"""Families of people: kinds of model that play the users of a learned world, or judge policies."""
