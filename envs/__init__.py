"""Simulated users for slate recommendation: a batched torch core and its Gymnasium faces."""

if __name__ != "slategym.envs":
    raise ImportError(
        "import slategym.envs, not envs: the bare name would make a second copy of it"
    )
