"""Trained policies that run without slategym."""
