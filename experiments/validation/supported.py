"""What a world learned from a log should assume of its people, by what the log itself shows."""

from __future__ import annotations

from collections.abc import Sequence

from slategym.experiments.validation.boredom import EXPOSURE, TIRING
from slategym.experiments.validation.carry_over import CLICKS, TOPIC, WORTH, Carried
from slategym.experiments.validation.evidence import IMPATIENCE, Evidence, evidence
from slategym.experiments.validation.traces import SURE
from slategym.models.data.log import Log
from slategym.models.files import kept
from slategym.models.simulator.assumptions import CARRY_OVER, MILD, MILD_RULE

# logs that speak of carry-over, of how many: by the strength at which scenarios wrote them, 10,000
# visits each by a ranker that errs, every fifth slate at random; see `benchmark truth`
SPOKEN = {0.0: (0, 24), 1.0: (22, 24)}
TAKEN = 0.01  # adjusted p of what a click changes, below which a world has it
READING = "supported@3"  # changes where another answer follows from the same log


def supported(log: Log, seed: int = 0) -> str:
    """The assumptions, by name, that the log itself speaks for.

    Where the log holds the chance of every slate, what a click changes of later ones, as far as
    that is clear; else boredom where what was shown lately is clicked less, as much of it as the
    clicks show. Patience where a slate without a click ends the visit sooner; both where the log
    cannot tell of boredom.

    Args:
        log: from `load_log`.
        seed: of the bootstraps.

    Returns:
        "carryover:boredom=0.4:keep=0.5" where a click on a topic takes so many log-odds from the
        next, of which a half is left with every slate; "mild" where the log cannot tell of
        boredom, or not how much there is; "mild:boredom=0.4" where clicks on topics that bore by
        its rule lose so many log-odds; "impatience" where only visits end for want of clicks;
        "none" where the log shows neither.
    """
    return supported_by(evidence(log, seed))


def supported_by(said: Evidence) -> str:
    """The assumptions that this evidence speaks for, by name."""
    found = {trace.name: trace for trace in said.traces}
    exposure, tiring, impatience = found[EXPOSURE], found[TIRING], found[IMPATIENCE]
    if exposure.figure is None:
        return MILD.name
    bores = exposure.clear and exposure.figure < 0
    if numbers := carried_numbers(said.carried, bores):
        told = ":".join(f"{name}={value:g}" for name, value in numbers.items())
        return f"{CARRY_OVER.name}:{told}"
    if bores and not said.carried:
        if tiring.figure is None or tiring.p is None or tiring.p >= SURE or tiring.figure >= 0:
            return MILD.name
        if size := min(round(-tiring.figure, 1), MILD_RULE.penalty):
            return f"{MILD.name}:boredom={size:g}"
    sooner = impatience.p is not None and impatience.p < SURE and (impatience.figure or 0.0) > 0
    return "impatience" if impatience.figure is None or sooner else "none"


def carried_numbers(carried: Sequence[Carried], bores: bool) -> dict[str, float]:
    """What is clear of it, as numbers of the assumptions `carryover`.

    More clicks on a topic that was clicked are no boredom and not taken up. What changes
    everything fades at the speed of the clearer of the two.

    Args:
        carried: what a click changes.
        bores: whether it is known that topics shown lately are clicked less; only how much is not.
    """
    clear = {one.name: one for one in carried if one.p < TAKEN or (bores and one.name == TOPIC)}
    found: dict[str, float] = {}
    if (topic := clear.get(TOPIC)) is not None and topic.figure < 0:
        found |= {"boredom": -topic.figure, "keep": topic.left}
    for name, number in ((CLICKS, "per_click"), (WORTH, "per_worth")):
        if name in clear:
            found[number] = clear[name].figure
    if either := [clear[name] for name in (CLICKS, WORTH) if name in clear]:
        found["inertia"] = min(either, key=lambda one: one.p).left
    rounded = {name: round(value, 2) for name, value in found.items()}
    return {} if set(rounded) == {"boredom", "keep"} and not rounded["boredom"] else rounded


def error_rates() -> str:
    """How often logs of worlds of known truth speak of carry-over, in words."""
    (wrong, silent), (found, loud) = SPOKEN[0.0], SPOKEN[1.0]
    return (
        f"logs of worlds of known truth speak of carry-over in {wrong} of {silent} cases where "
        f"nothing shown changes what comes next, and in {found} of {loud} where it strongly does"
    )


def kept_supported(log: Log) -> str:
    """What `supported` says of the log, read once for its content."""
    name: str = kept("evidence/supported", [READING, log.sha256], lambda: supported(log))
    return name
