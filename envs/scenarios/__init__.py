"""Scenarios: worlds that look like the work people do, composed of parts with constants."""
