"""Every sentence that a study can end in."""

from __future__ import annotations

import pytest
from made_up import GAINS, ROLES, episode_rows

from slategym.experiments.statistics.verdict import Roles, Verdict, verdict

ONE = Roles(boredom=4.0, agents=("plackett-luce",))


def judged(world: float, judge: float, static: float = 0.0, **settings: float) -> Verdict:
    """The verdict on one agent with these mean gains over supervised."""
    gains = {"world": world, "judge": judge, "static": static}
    return verdict(
        episode_rows(gains={k: {"plackett-luce": v} for k, v in gains.items()}, **settings),
        ONE,  # type: ignore[arg-type]
    )


def test_wins_in_the_world_and_before_the_judge() -> None:
    found = judged(1.8, 2.4)
    assert found.best.outcome == "wins" and found.best.same_sign
    assert found.sentence.startswith("RL (plackett-luce) beats the supervised ranker: +1.")
    assert "before the independent judge. It also beats the tuned diversity cap" in found.sentence
    assert "in the static twin" in found.sentence


def test_wins_but_not_over_the_cap() -> None:
    assert "It loses to the tuned diversity cap (" in judged(0.6, 0.6, num_users=400).sentence
    assert "no clear difference" in judged(1.0, 1.0).sentence
    assert "clearly ahead in the world only" in judged(1.8, 1.0).sentence
    assert "ahead before the judge only" in judged(1.0, 1.8).sentence


@pytest.mark.parametrize(
    ("world", "judge", "outcome", "words"),
    [
        (1.8, 0.0, "world only", "shows no clear difference before the independent judge"),
        (1.8, -1.0, "world only", "but loses before the independent judge"),
        (0.0, 0.0, "no difference", "no clear difference either"),
        (0.0, -1.0, "no difference", "before the independent judge: loses"),
        (0.0, 1.5, "judge only", "Not shown: RL (plackett-luce) is ahead of the supervised ranker"),
        (-1.0, -1.0, "loses", "loses to the supervised ranker: -"),
        (-1.0, 0.0, "loses", "before the independent judge: no clear difference"),
        (-1.0, 1.5, "loses", "before the independent judge: wins"),
    ],
)
def test_everything_short_of_a_win(world: float, judge: float, outcome: str, words: str) -> None:
    found = judged(world, judge)
    assert found.best.outcome == outcome
    assert words in found.sentence
    assert "beats the supervised ranker:" not in found.sentence


@pytest.mark.parametrize(
    ("static", "noise", "words"),
    [
        (0.8, 1.0, "it gains +0."),
        (-0.8, 1.0, "it loses -0."),
        (3.0, 1.0, "it beats the policy that knows the true model by +"),
    ],
)
def test_a_failed_control_outweighs_any_win(static: float, noise: float, words: str) -> None:
    found = judged(1.8, 2.4, static, noise=noise)
    assert found.best.outcome == "not believed"
    assert found.sentence.startswith("The result is not to be believed: in the static twin")
    assert words in found.sentence
    assert "beats the supervised ranker:" not in found.sentence


def test_a_control_too_noisy_to_pass_by_zero_alone_fails() -> None:
    found = judged(1.8, 2.4, 2.0, noise=9.0, num_users=20)
    assert found.best.static_supervised.spans_zero
    assert abs(found.best.static_supervised.value) > 1
    assert "is further from zero than 1" in found.sentence


def test_the_agent_is_chosen_on_selection_users_only() -> None:
    rows = episode_rows()
    assert verdict(rows, ROLES).best.agent == "plackett-luce"
    flattered = rows.copy()
    chosen = (rows["group"] == "selection") & (rows["policy"] == "proto-sac")
    flattered.loc[chosen, "return"] += 5.0
    found = verdict(flattered, ROLES)
    assert found.best.agent == "proto-sac"
    assert "RL (proto-sac)" in found.sentence
    assert [facts.agent for facts in found.facts] == ["proto-sac", "plackett-luce"]


def test_what_is_missing_is_named() -> None:
    rows = episode_rows()
    with pytest.raises(ValueError, match=r"no episode rows where .*variant == 'judge'"):
        verdict(rows[rows["variant"] != "judge"], ROLES)
    with pytest.raises(ValueError, match=r"no episode rows where .*group == 'selection'"):
        verdict(rows[rows["group"] != "selection"], ROLES)
    with pytest.raises(ValueError, match="at least one RL agent"):
        verdict(rows, Roles(boredom=4.0, agents=()))


def test_made_up_rows_have_the_stated_gains() -> None:
    found = verdict(episode_rows(num_users=600), ROLES)
    gain = found.best.world_supervised
    assert gain.low < GAINS["world"]["plackett-luce"] < gain.high
    assert found.best.drop.value == pytest.approx(1.8 - 2.4, abs=0.3)
