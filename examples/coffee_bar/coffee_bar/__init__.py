"""A world, a policy, a learner and a study of our own, found by slategym through entry points."""
