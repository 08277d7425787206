"""The multi-task BERT: network, sequences, losses, training, incremental state."""
