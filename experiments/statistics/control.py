"""The control: where looking ahead is worth nothing, is a learner's lead more than a trifle?

What may not be beaten there is the same learner told to look at the present only, or the ranker
trained further on as many slates, whichever does better: over the ranker as it was, learning from
slates alone may well be worth something. Where neither was trained, it is the ranker.

Zero is the wrong line for that: with enough people any difference is clear, and with few any lead
passes. So there is a margin of equivalence, fixed before rows are seen, and the interval says:

    better       the lead is clearly beyond the margin: the control fails
    equivalent   the whole interval is within the margin, either way
    worse        clearly behind; it is said and condemns nothing
    not ahead    a lead beyond the margin is out of the question, and so is a clear loss
    cannot tell  the interval reaches beyond the margin: neither shown nor excluded

"Clear" is the one rule of `side_of`: interval and adjusted p-value agree. A 95 % interval
within the margin is two one-sided tests at 2.5 % each (Schuirmann 1987, Journal of Pharmacokinetics
and Biopharmaceutics 15, 657-680, who takes 5 %), so the rule errs towards "cannot tell".
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import pandas as pd

from slategym.experiments.places import Place
from slategym.experiments.statistics import stats
from slategym.experiments.statistics.attribution import best_present
from slategym.experiments.statistics.differences import (
    Difference,
    cell,
    difference,
    metric_of,
)
from slategym.experiments.statistics.estimate import Estimate, holm, side_of
from slategym.experiments.study import Study

MARGIN, MARGIN_SHARE = 0.25, 0.01  # of reward, and of what the baseline earns; the larger counts
Standing = Literal["better", "equivalent", "worse", "not ahead", "cannot tell"]
SAYS: dict[Standing, str] = {
    "better": "fails",
    "equivalent": "passes, equivalent",
    "worse": "passes, behind",
    "not ahead": "passes, not ahead",
    "cannot tell": "cannot tell",
}


@dataclass(frozen=True)
class Controlled:
    """A learner minus what it may not beat, where looking ahead is worth nothing."""

    difference: Difference
    margin: float  # reward per session
    beyond: Estimate  # the difference less the margin
    adjusted: float  # Holm's p-value of that, among all of the controls
    decides: bool = True  # whether such a lead condemns; False: learning from slates explains it

    @property
    def standing(self) -> Standing:
        """How it stands to the margin; see this module."""
        estimate, margin = self.difference.estimate, self.margin
        if side_of(self.beyond, self.adjusted) > 0:
            return "better"
        if estimate.high > margin or not estimate.has_interval:
            return "cannot tell"
        if estimate.low >= -margin:
            return "equivalent"
        return "worse" if self.difference.side < 0 else "not ahead"

    @property
    def fails(self) -> bool:
        """Whether it leads by clearly more than the margin over what it may not beat."""
        return self.decides and self.standing == "better"

    def said(self, study: Study) -> str:
        """In a sentence's part."""
        d, roles = self.difference, study.roles
        name, shown, margin = roles.say(d.baseline), d.estimate.signed(), f"{self.margin:.2f}"
        if self.standing == "better":
            why = ", which knows the true model" if d.baseline == roles.truth else ""
            return f"it gains {shown} over {name}{why}, clearly more than the margin of {margin}"
        if self.standing == "cannot tell":
            return (
                f"whether it gains more than the margin of {margin} over {name} cannot be told "
                f"({shown})"
            )
        words = {
            "equivalent": f"it is equivalent to {name} within a margin of {margin}",
            "worse": f"it is behind {name}",
            "not ahead": f"it is not ahead of {name} by the margin of {margin}",
        }
        return f"{words[self.standing]} ({shown})"


def margin_of(level: float) -> float:
    """The largest lead that counts as none, of a baseline that earns so much a session.

    >>> margin_of(20.0), margin_of(412.0)
    (0.25, 4.12)
    """
    return max(MARGIN, MARGIN_SHARE * abs(level))


def controls(study: Study, rows: pd.DataFrame) -> tuple[Controlled, ...]:
    """Every learner minus whom it may not beat, in every control; p-values adjusted for all."""
    metric, found = metric_of(rows), []
    for agent in study.learned:
        for place in study.of_role("control"):
            for baseline, decides in _may_not_beat(study, rows, agent, place).items():
                d = difference(study, rows, agent, baseline, place)
                if d is None:
                    continue
                ours, theirs = (cell(study, policy, place) for policy in (agent, baseline))
                margin = margin_of(stats.mean(rows, theirs, metric).value)
                beyond = stats.difference_beyond(rows, ours, theirs, margin, metric)
                found.append(Controlled(d, margin, beyond, beyond.p_value, decides))
    adjusted = holm([c.difference.estimate.p_value for c in found])
    further = holm([c.beyond.p_value for c in found])
    return tuple(
        replace(c, difference=replace(c.difference, adjusted=p), adjusted=q)
        for c, p, q in zip(found, adjusted, further, strict=True)
    )


def _may_not_beat(study: Study, rows: pd.DataFrame, agent: str, place: Place) -> dict[str, bool]:
    """Baselines in a control, and whether a lead over each condemns.

    Who knows the true model cannot be beaten there by anybody. A learner that looks ahead may not
    beat what learned there without looking ahead; where nothing did, it may not beat the opponent.
    """
    roles, found = study.roles, dict[str, bool]()
    if agent in study.ahead:
        present = best_present(study, rows, agent, place)[0]
        found |= {} if present is None else {present: True}
        found[roles.opponent] = present is None
    if roles.truth is not None:
        found[roles.truth] = True
    return found
