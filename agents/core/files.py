"""What a trained agent's folder holds. Names alone, so that a folder is known without torch."""

ABOUT = "agent.json"  # written last: the agent is whole
WEIGHTS = "agent.safetensors"
CHECKPOINT = "checkpoint.safetensors"
BEGUN = "training.json"  # which training the folder holds
