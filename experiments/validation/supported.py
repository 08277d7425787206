"""What a world learned from a log should assume of its people, by what the log itself shows."""

from __future__ import annotations

from slategym.experiments.validation.boredom import EXPOSURE, TIRING
from slategym.experiments.validation.evidence import IMPATIENCE, Evidence, evidence
from slategym.experiments.validation.traces import SURE
from slategym.models.data.log import Log
from slategym.models.files import kept
from slategym.models.simulator.assumptions import MILD, MILD_RULE

# logs that speak of boredom, of how many: by the strength at which scenarios wrote them, 10,000
# visits each by a ranker that errs, every fifth slate at random; see `benchmark truth`
SPOKEN = {0.0: (0, 24), 1.0: (21, 24)}
READING = "supported@2"  # changes where another answer follows from the same log


def supported(log: Log, seed: int = 0) -> str:
    """The assumptions, by name, that the log itself speaks for.

    Boredom where what was shown lately is clicked less, as much of it as the clicks show; patience
    where a slate without a click ends the visit sooner; both where the log cannot tell of boredom.

    Args:
        log: from `load_log`.
        seed: of the bootstraps.

    Returns:
        "mild" where the log cannot tell of boredom, or not how much there is; "mild:boredom=0.4"
        where clicks on topics that bore by its rule lose so many log-odds; "impatience" where only
        visits end for want of clicks; "none" where the log shows neither.
    """
    return supported_by(evidence(log, seed))


def supported_by(said: Evidence) -> str:
    """The assumptions that this evidence speaks for, by name."""
    found = {trace.name: trace for trace in said.traces}
    exposure, tiring, impatience = found[EXPOSURE], found[TIRING], found[IMPATIENCE]
    if exposure.figure is None:
        return MILD.name
    if exposure.clear and exposure.figure < 0:
        if tiring.figure is None or tiring.p is None or tiring.p >= SURE or tiring.figure >= 0:
            return MILD.name
        if size := min(round(-tiring.figure, 1), MILD_RULE.penalty):
            return f"{MILD.name}:boredom={size:g}"
    sooner = impatience.p is not None and impatience.p < SURE and (impatience.figure or 0.0) > 0
    return "impatience" if impatience.figure is None or sooner else "none"


def error_rates() -> str:
    """How often logs of worlds of known truth speak of boredom, in words."""
    (wrong, silent), (found, loud) = SPOKEN[0.0], SPOKEN[1.0]
    return (
        f"logs of worlds of known truth speak of boredom in {wrong} of {silent} cases where "
        f"nothing shown changes what comes next, and in {found} of {loud} where it strongly does"
    )


def kept_supported(log: Log) -> str:
    """What `supported` says of the log, read once for its content."""
    name: str = kept("evidence/supported", [READING, log.sha256], lambda: supported(log))
    return name
