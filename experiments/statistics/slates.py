"""What the sessions of a few people are called where they are kept and where they are read."""

from __future__ import annotations

OPPONENT, OTHER, RL = "opponent", "other", "rl"  # roles of the policies that are shown
MOMENT = 4  # slates behind a person when everybody is asked, or fewer, if they leave before
