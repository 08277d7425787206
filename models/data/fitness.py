"""What a log is fit for: which models, worlds and studies it can carry, and what it lacks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slategym.models.data.log import Log, composed_texts, repeated_share
from slategym.models.data.sittings import visits
from slategym.models.data.slates import too_few_left

LONG_PAST = 10  # clicks with which people arrive in a learned world
LONG_VISIT = 5  # events in which a topic can come back
FEWEST_PEOPLE = 15  # with a click: as many as a learned world's parties and groups must have
FEWEST_STUDIED = 27  # of whom every group that a study reads has two: intervals are over people
FEW_PEOPLE = 300  # with a click: below, what is read on a sixth of them has wide intervals
COMMANDS = {  # what a use is had by, the furthest first
    "study: benchmark log": "benchmark log",
    "evaluate-model": "evaluate-model",
    "multi-task model, fit": "fit",
}
NO_PAUSE = "no time passes between two events of a visit"


@dataclass(frozen=True)
class Use:
    """One thing that a log may be used for."""

    name: str  # "click head", "learned world"
    fit: bool
    because: str  # what the log has, or lacks and how to give it


@dataclass(frozen=True)
class Facts:
    """What a log has, counted."""

    num_people: int  # users with any click
    num_long_pasts: int  # users with `LONG_PAST` clicks or more
    visit_sizes: NDArray[np.int64]  # events of each visit
    has_refusals: bool  # some click is 0
    has_slates: bool  # slate_id is there
    has_propensities: bool
    has_texts: bool  # texts say more than titles and topics
    repeated: float  # share of consumed rows that repeat a pair
    tells_pauses: bool  # some time passes within some visit

    @property
    def num_long_visits(self) -> int:
        """Visits of `LONG_VISIT` events or more."""
        return int((self.visit_sizes >= LONG_VISIT).sum())


def facts(log: Log) -> Facts:
    """Count what that log has."""
    clicked = log.events.loc[log.events["click"] > 0, "user"]
    past_U = np.bincount(clicked, minlength=log.num_users)
    own = log.items["text"].to_numpy() != composed_texts(log.items).to_numpy()
    named = log.items["title"].to_numpy() != log.items["key"].to_numpy()
    visit = visits(log.events, log.pause)
    within = np.diff(visit) == 0
    return Facts(
        num_people=int((past_U > 0).sum()),
        num_long_pasts=int((past_U >= LONG_PAST).sum()),
        visit_sizes=np.bincount(visit),
        has_refusals=bool((log.events["click"] == 0).any()),
        has_slates="slate_id" in log.events,
        has_propensities="propensity" in log.events,
        has_texts=bool((own | named).any()),
        repeated=repeated_share(log.events),
        tells_pauses=bool((np.diff(log.events["time"])[within] > 0).any()),
    )


def uses(log: Log, found: Facts) -> list[Use]:
    """Every use, fit or not, with the reason."""
    share = found.num_long_pasts / max(1, found.num_people)
    past = (
        f"{found.num_long_pasts:,} of {found.num_people:,} users have {LONG_PAST} clicks or more "
        f"({share:.0%})"
    )
    lacking = too_few_left(log)
    if found.num_people < FEWEST_PEOPLE:
        lacking = f"{found.num_people:,} users have a click; {FEWEST_PEOPLE} are needed"
    wide = "" if found.num_people >= FEW_PEOPLE else "; so few people give wide intervals"
    earlier = "" if share >= 0.5 else "; people arrive with fewer"
    sittings = (
        f"{len(found.visit_sizes):,} visits (a pause of {log.pause:g} s ends one), mean "
        f"{found.visit_sizes.mean():.1f} events, {found.num_long_visits:,} of {LONG_VISIT} or more"
    )
    return [
        *_heads(log, found),
        Use("multi-task model, fit", *_model(log, found, past)),
        Use("evaluate-model", *_evaluation(log, found, past)),
        Use(
            "text vectors of items",
            found.has_texts,
            "items have words"
            if found.has_texts
            else "titles are ids and there is no column text in items; ids are learned instead",
        ),
        Use(
            "topics: diversity, boredom",
            len(log.topic_names) > 1,
            f"{len(log.topic_names)} topics"
            if len(log.topic_names) > 1
            else "one topic; a column topics in items gives more",
        ),
        Use(
            "learned world, Log-v0",
            lacking is None,
            lacking or past + earlier,
        ),
        Use(
            "visits of the log's own length",
            found.tells_pauses,
            sittings if found.tells_pauses else f"{NO_PAUSE}; lengths are assumed",
        ),
        Use(
            "boredom as strong as the log's",
            found.tells_pauses and found.num_long_visits > 0 and len(log.topic_names) > 1,
            f"{NO_PAUSE}; assumptions take its place"
            if not found.tells_pauses
            else f"no visit has {LONG_VISIT} events; assumptions take its place"
            if not found.num_long_visits
            else f"{found.num_long_visits:,} visits of {LONG_VISIT} events or more"
            if len(log.topic_names) > 1
            else "one topic: nothing to tire of; assumptions take its place",
        ),
        Use(
            "study: benchmark log",
            lacking is None and found.num_people >= FEWEST_STUDIED,
            lacking
            or (
                f"{found.num_people:,} people for simulator, agents and judge{wide}"
                if found.num_people >= FEWEST_STUDIED
                else f"{found.num_people:,} users have a click; {FEWEST_STUDIED} are needed, so "
                "that intervals are over two people at least"
            ),
        ),
        Use("off-policy evaluation", *_off_policy(found)),
    ]


def _model(log: Log, found: Facts, past: str) -> tuple[bool, str]:
    if not found.num_people:
        return False, "no click is 1: there is nothing to learn from"
    if len(log.events) <= found.num_people:
        return False, "nobody has two events: there is no history to learn from"
    return True, past


def _evaluation(log: Log, found: Facts, past: str) -> tuple[bool, str]:
    fit, because = _model(log, found, past)
    if not fit:
        return fit, because
    if log.events["time"].nunique() <= 2:
        return False, "fewer than three different times: no split by time; --split loo has none"
    return True, past


def _heads(log: Log, found: Facts) -> list[Use]:
    """One use per signal: whether a head can learn from it, and from what."""
    heads = []
    for signal in log.signals:
        values = log.events[signal.name]
        varies = bool(values.min() < values.max())
        seen = f"{signal.provenance}, {int(values.notna().sum()):,} observed"
        if signal.name == "click":
            source = (
                "from slates as they were shown and skipped"
                if found.has_slates and found.has_refusals
                else "from rows with and without a click"
                if found.has_refusals
                else "from items sampled as not clicked: no row is without a click"
            )
            if not found.num_people:
                source = "never 1: there is nothing to learn from"
            heads.append(Use("click head", found.num_people > 0, f"{seen}, {source}"))
        else:
            because = seen if varies else f"{seen}, all the same: nothing to tell apart"
            heads.append(Use(f"{signal.name} head", varies, because))
    return heads


def _off_policy(found: Facts) -> tuple[bool, str]:
    has = {
        "slate_id": found.has_slates,
        "propensity": found.has_propensities,
        "clicks that are 0": found.has_refusals,
    }
    lacking = [name for name, there in has.items() if not there]
    if lacking:
        return False, f"lacks {', '.join(lacking)}"
    return True, "slates with propensities, and what was not clicked"


def warnings(log: Log, found: Facts) -> list[str]:
    """What its owner should look at, though it is a good log; a line each."""
    said = []
    click = log.signals[0]
    if click.provenance == "logged" and not found.has_refusals:
        said.append(
            "click is 1 in every row: the log does not show what was refused. Add rows with "
            "click 0 for what was shown and skipped (with slate_id and position), or leave the "
            "column out"
        )
    said += left_out(log)
    if not any(signal.weight for signal in log.signals):
        said.append(
            "no signal has a weight: worlds of this log pay 1 a click; write weight in log.toml, "
            "or give an objective"
        )
    said += one_valued(log)
    for signal in log.signals[1:]:
        values = log.events[signal.name].dropna()
        if signal.kind == "ordinal" and signal.low == 0 and (zero := (values == 0).mean()) > 0.2:
            said.append(
                f"{signal.name} is 0 in {zero:.0%} of what was observed: if 0 means that nothing "
                "was said, leave those cells empty"
            )
    said += _followers(log)
    if log.events["time"].nunique() == 1:
        said.append("all events have one time: no order of events, no visits, no split by time")
    if not log.repeats and found.repeated > 0:
        said.append(
            f"{found.repeated:.1%} of consumed rows repeat an item of the same user, and "
            "repeats is false: worlds and rankers show an item to a user until it is consumed"
        )
    met = log.events["item"].nunique()
    if met < log.num_items / 2:
        said.append(f"{log.num_items - met:,} of {log.num_items:,} items are in no event")
    commas = [name for name in log.topic_names if "," in name]
    if len(commas) > len(log.topic_names) / 2:
        said.append(
            f"{len(commas)} of {len(log.topic_names)} {log.words.topics} have a comma in their "
            f"name, as {commas[0]!r}: names are parted by |"
        )
    if (again := int(log.items["title"].duplicated().sum())) > log.num_items / 10:
        said.append(f"{again:,} items have the title of another")
    return said


def left_out(log: Log) -> list[str]:
    """That rows are left out, because nothing was observed in them; a line, where it is so."""
    if not log.unobserved:
        return []
    return [
        f"{log.unobserved:,} of {len(log.events) + log.unobserved:,} rows are left out: "
        "nothing was observed in them. Where that means that the item was consumed, give them "
        "a click of 1"
    ]


def one_valued(log: Log) -> list[str]:
    """Signals of which nothing can be learned, as they never differ; a line each."""
    said = []
    for signal in log.signals[1:]:
        values = log.events[signal.name].dropna()
        if len(values) and values.min() == values.max():
            no_auc = ": of one outcome there is no AUC" if signal.kind == "binary" else ""
            said.append(f"{signal.name} is {values.iloc[0]:g} wherever it was observed{no_auc}")
    return said


def _followers(log: Log) -> list[str]:
    """Signals that are there only where another says yes: a price only where there was a purchase.

    An empty cell is a signal that was not observed, and a world gives every click every signal.
    """
    clicked = log.events[log.events["click"] > 0]
    said = []
    for signal in log.signals[1:]:
        seen = clicked[signal.name].notna()
        if signal.provenance == "derived" or signal.given or seen.all() or not seen.any():
            continue
        for other in log.signals[1:]:
            if other.kind == "binary" and other.name != signal.name:
                yes = clicked[other.name] == 1
                if yes.equals(seen):
                    said.append(
                        f"{signal.name} is observed only where {other.name} is 1, and worlds give "
                        f'one to every click: write given = "{other.name}" below '
                        f"[signals.{signal.name}] of log.toml, if it is 0 elsewhere"
                    )
    return said
