"""What every agent is made of: the contract, inputs, training sessions, replay."""
