"""Studies, one question each."""
