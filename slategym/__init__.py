"""Does reinforcement learning beat a good supervised ranker for my slates?

Importing this registers the worlds with Gymnasium, by name only: torch is imported when the first
world is made.
"""

__version__ = "0.1.0"
