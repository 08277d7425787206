"""From log to verdict: studies, statistics, reports and the command line."""

if __name__ != "slategym.experiments":
    raise ImportError(
        "import slategym.experiments, not experiments: the bare name would make a second copy of it"
    )
