"""PPO and REINFORCE on slates drawn without replacement."""
