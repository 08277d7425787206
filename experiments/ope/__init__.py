"""Off-policy evaluation: what a log already says of a policy that did not write it."""
