"""What a learned model must beat: counts, closed forms, Gaussian processes and trees.

Each reads people event by event as the learned models do, so that the comparison is about what is
made of the past and not about how much of it is seen.
"""
