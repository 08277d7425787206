"""Does reinforcement learning beat a good supervised ranker for my slates?

Importing this registers the worlds with Gymnasium, by name only: torch is imported when the first
world is made.
"""

from slategym.envs.registry import register_worlds

__version__ = "0.1.0"

register_worlds()
