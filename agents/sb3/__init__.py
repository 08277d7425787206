"""stable-baselines3's algorithms on slates."""
