"""What a lead consists of: the parts add up, and the better of what looks at the present counts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from made_up import episode_rows, paid, study

from slategym.experiments.statistics.attribution import (
    INTERACTION,
    PLANNING,
    TRIAL,
    TUNING,
    names_of,
)
from slategym.experiments.statistics.numbers import Numbers, compute_numbers
from slategym.experiments.study import Learner, Study

PL, REFIT, GAMMA0 = "plackett-luce", "supervised-refit", "plackett-luce-gamma0"
WITH = ("world", "judge", "static")


def made(refit: float | None, gamma0: float | None, planning: float = 1.0) -> tuple[Study, Numbers]:
    """A learner above the better of the two by `planning`; they above `supervised` by so much."""
    ahead = max(x for x in (refit, gamma0, 0.0) if x is not None) + planning
    gains = {place: {PL: ahead} for place in WITH}
    rows = episode_rows(gains=gains, num_users=60, noise=0.2, boredoms=())
    own = rows[rows["policy"] == PL]
    parts = [rows]
    names = [(REFIT, refit), (GAMMA0, gamma0)]
    for policy, gain in names:
        if gain is not None:
            parts.append(paid(own, slice(None), gain - ahead).assign(policy=policy))
    plain = rows["policy"] == "supervised"
    parts.append(paid(rows[plain], slice(None), -2.0).assign(policy="supervised-untuned"))
    learners = tuple(Learner(name) for name, gain in [(PL, 0.0), *names] if gain is not None)
    value = study((PL,), ())
    value = replace(value, learners=learners, policies=(*value.policies, "supervised-untuned"))
    rows = pd.concat(parts, ignore_index=True)
    return value, compute_numbers(value, rows, pd.DataFrame())


def values(numbers: Numbers, place: str = "world") -> dict[str, float]:
    found = numbers.attribution(PL, place)
    assert found is not None
    return {step.name: round(step.difference.estimate.value, 1) for step in found.steps}


def test_the_parts_add_up_to_the_lead_over_what_is_not_tuned() -> None:
    value, numbers = made(0.5, 0.2)
    assert value.ahead == (PL,) and set(value.present) == {REFIT, GAMMA0}
    assert values(numbers) == {TUNING: 2.0, INTERACTION: 0.5, PLANNING: 1.0}
    for place in WITH:
        found = numbers.attribution(PL, place)
        assert found is not None and found.start == "supervised-untuned" and not found.missing
        end = numbers.of(PL).mean[place].value
        total = sum(step.difference.estimate.value for step in found.steps)
        assert found.level + total == pytest.approx(end, abs=1e-9)
    assert found.chosen_on == "the people before whom they are read"  # of the control, none chose
    world = numbers.attribution(PL, "world")
    assert world is not None and world.chosen_on == "selection people"


def test_where_gamma_0_is_better_than_the_refit_that_step_is_told_apart() -> None:
    _, numbers = made(0.5, 0.9)
    assert values(numbers) == {TUNING: 2.0, INTERACTION: 0.5, TRIAL: 0.4, PLANNING: 1.0}
    (planning,) = [c.difference for c in numbers.controls if c.decides and c.fails]
    assert planning.baseline == GAMMA0  # what looks ahead may not beat it where nothing is to come


def test_what_is_missing_is_left_out_and_said() -> None:
    _, numbers = made(None, 0.4)
    found = numbers.attribution(PL, "world")
    assert found is not None and found.missing == (REFIT,)
    assert values(numbers) == {TUNING: 2.0, INTERACTION: 0.4, PLANNING: 1.0}
    assert "(not read here: supervised-refit)" in numbers.verdict.sentence
    _, bare = made(None, None)
    assert set(values(bare)) == {TUNING, "all that is learned"}
    assert "how much of it is planning is not known" in bare.verdict.sentence


def test_the_sentence_is_made_of_the_parts() -> None:
    _, numbers = made(0.5, 0.2)
    sentence = numbers.verdict.parts[0].sentences[1]
    planning = numbers.find(PL, REFIT, "world")
    refit = numbers.find(REFIT, "supervised", "world")
    assert planning is not None and refit is not None
    assert sentence.startswith("RL is ahead of the supervised ranker by +1.5")
    assert f"of which looking ahead is {planning.estimate.signed()} (clear)" in sentence
    words = "a supervised model with the same slates would be"
    assert f"{words} {refit.estimate.signed()} ahead of it as well" in sentence
    _, nothing = made(0.5, 0.2, planning=0.0)
    nothing_of_it = nothing.attribution(PL, "world")
    assert nothing_of_it is not None and nothing_of_it.planning is not None
    shown = nothing_of_it.planning.estimate.signed()
    assert f"looking ahead is {shown} (not clear)" in nothing.verdict.parts[0].sentences[1]


def test_a_comparison_is_as_clear_here_as_in_every_other_table() -> None:
    _, numbers = made(0.5, 0.9)
    told = {
        (d.agent, d.baseline, d.place): d.adjusted for d in (*numbers.differences, *numbers.control)
    }
    parts = [step.difference for a in numbers.attributions for step in a.steps]
    both = [d for d in parts if (d.agent, d.baseline, d.place) in told]
    assert len(both) == 5  # interaction and planning in two places, planning in the control
    for d in both:
        assert d.adjusted == told[d.agent, d.baseline, d.place]
    assert all(d.adjusted is not None and np.isfinite(d.adjusted) for d in parts)


def test_parts_are_named_in_the_order_in_which_they_follow() -> None:
    without, within = made(0.5, 0.2)[1], made(0.5, 0.9)[1]  # gamma 0 behind the refit, ahead of it
    found = [a for n in (without, within) if (a := n.attribution(PL, "world")) is not None]
    assert [step.name for step in found[0].steps] == [TUNING, INTERACTION, PLANNING]
    assert names_of(found) == [TUNING, INTERACTION, TRIAL, PLANNING]
