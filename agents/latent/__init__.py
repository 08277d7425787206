"""Agents that act in a latent space of slates or items: GeMS, HAC."""
