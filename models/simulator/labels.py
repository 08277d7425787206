"""What is measured in a learned world and what is not: (what, label, why) for report and card."""

from __future__ import annotations

from slategym.models.data.log import Log
from slategym.models.simulator.assumptions import Label
from slategym.models.simulator.click_rates import ClickRates, Constants


def labels_of_log(log: Log, warm: int, wanted: int) -> tuple[Label, ...]:
    """Signals, clock, context, and who may arrive.

    Args:
        log: whose people.
        warm: clicks with which everybody arrives.
        wanted: with which they would, if all had them.
    """
    words = log.words
    told: list[Label] = []
    for signal in log.signals:
        unit = "" if signal.unit in ("", "count") else f", in {signal.unit}"
        why = f"a column of the log{unit}"
        if signal.provenance == "derived" and signal.name == "click":
            why = f"what anything came of, against sampled {words.items} of which nothing did"
        elif signal.provenance == "derived":
            why = f"follows from the log's other signals{unit}"
        told.append((signal.name, signal.provenance, why))
    told.append(("hour, weekday", "derived", "time stamps of the log"))
    told += [
        (column.name, "logged", "a column of the log, as it was when that person came")
        for column in log.context
    ]
    again = f"{words.items} may be had again" if log.repeats else f"no {words.item} twice"
    told.append((again, "derived", "as in the log"))
    if warm < wanted:
        few = f"the log's people have too few for {wanted}"
        told.append((f"{warm} clicks before arrival", "derived", few))
    return tuple(told)


def label_of_choice(found: Constants, rates: ClickRates) -> Label:
    """How an appeal turns into a click."""
    if found.slates and found.decay is not None:
        return (
            "choice",
            "derived",
            f"several clicks a slate, slot by slot: level, slope and a decay of {found.decay:.2f} "
            f"from one slot to the next, fitted on {found.slates} logged slates of calibration "
            f"people, of which {found.logged_rate:.0%} were clicked",
        )
    if found.slates:
        return (
            "choice",
            "derived",
            f"skip and temperature fitted on {found.slates} logged slates of calibration people, "
            f"of which {found.logged_rate:.0%} were clicked; the effect of the slot is estimated "
            "and averaged out",
        )
    if found.met:
        why = "share of random and of popular slates that get a click"
        return (f"click rates {rates.random:.2g} / {rates.popular:.2g}", "assumed", why)
    return (
        f"click rate {rates.popular:.2g}",
        "assumed",
        f"share of popular slates that get a click; random ones get {found.random_rate:.2f}: the "
        f"model tells the two too little apart for {rates.random:.2g}",
    )
