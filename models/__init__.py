"""Real data, and the models learned from it: users, states, judges."""

if __name__ != "slategym.models":
    raise ImportError(
        "import slategym.models, not models: the bare name would make a second copy of it"
    )
