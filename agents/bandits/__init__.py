"""Linear contextual bandits: learning from interaction without planning."""
