"""Slate policies: baselines, references and learners."""

if __name__ != "slategym.agents":
    raise ImportError(
        "import slategym.agents, not agents: the bare name would make a second copy of it"
    )
