"""Every sentence that a study can end in, and the one rule of "clear"."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest
from made_up import AGENTS, GAINS, episode_rows, numbers_of, paid, study

from slategym.experiments.statistics.control import Controlled, margin_of
from slategym.experiments.statistics.differences import Difference
from slategym.experiments.statistics.estimate import LEVEL, Estimate
from slategym.experiments.statistics.numbers import Numbers, compute_numbers

ONE = ("plackett-luce",)


def judged(world: float, judge: float, static: float = 0.0, **settings: float) -> Numbers:
    """The numbers of one agent with these mean gains over supervised."""
    gains = {"world": world, "judge": judge, "static": static}
    rows = episode_rows(
        gains={k: {"plackett-luce": v} for k, v in gains.items()},
        **settings,  # type: ignore[arg-type]
    )
    return numbers_of(rows, ONE)


def test_wins_in_the_world_and_before_the_judge() -> None:
    found = judged(1.8, 2.4, num_users=400).verdict
    assert found.outcome == "wins" and found.agent == "plackett-luce"
    assert found.sentence.startswith("RL (plackett-luce) beats the supervised ranker: +1.")
    assert "before the independent judge. It also beats the tuned diversity cap" in found.sentence
    assert "In the static, where looking ahead is worth nothing: it is equivalent" in found.sentence


def test_other_assumptions_have_sentences_of_their_own() -> None:
    """The same rows under another name, with the learner further behind."""
    rows = episode_rows()
    more = rows[rows["variant"].isin(["world", "judge"]) & (rows["group"] == "evaluation")]
    more = more[more["strength"] == 4.0]
    more = more.assign(
        variant=more["variant"].astype(str) + "-lasting",
        trained_in=more["trained_in"].replace("world", "world-lasting"),
    )
    more = paid(more, more["policy"] == "plackett-luce", -5.0)
    made = study()
    world, judge = (
        replace(place, name=f"{place.name}-lasting", of=f"{place.of}-lasting" if place.of else "")
        for place in made.places[:2]
    )
    made = replace(made, places=(*made.places, world, judge))
    found = compute_numbers(made, pd.concat([rows, more], ignore_index=True), pd.DataFrame())
    plain = numbers_of(rows, AGENTS)
    first, second, rest = found.verdict.parts
    assert found.verdict.outcome == plain.verdict.outcome  # the first place names it
    assert found.verdict.outcomes == {"world": "wins", "world-lasting": "loses"}
    assert (first.place, second.place, rest.place) == ("world", "world-lasting", "")
    assert first.sentences[0].startswith("In world: RL (plackett-luce) beats")
    assert second.sentences[0].startswith("In world-lasting: RL (plackett-luce) loses to the sup")
    assert found.verdict.tone == "bad"
    assert found.verdict.tag == "in world: RL is ahead; in world-lasting: RL loses"
    turned = "The sign against the supervised ranker turns, clearly: behind in 2 of 4 places (world"
    assert any(turned in sentence for sentence in rest.sentences)
    assert "turns" not in plain.verdict.sentence


def test_who_is_matched_without_learning_is_ahead_of_the_opponent_only() -> None:
    for gains, much in (((0.6, 0.6), "More"), ((1.0, 1.0), "As much")):  # the cap's own gain is 1
        found = judged(*gains, num_users=400).verdict
        assert (found.outcome, found.tone) == ("opponent only", "unsure")
        lead = f"{much} is had without looking ahead, by the tuned diversity cap"
        end = "behind cheaper methods" if much == "More" else "not of cheaper methods"
        assert found.tag == f"ahead of the ranker, {end}"
        assert found.sentence.startswith(lead)
        assert "beats the supervised ranker: +" in found.sentence
    assert judged(1.8, 1.0, num_users=400).verdict.outcome == "wins"


def before_a_second_judge(learner: float, cap: float, **gains: float) -> Numbers:
    """Wins in the world and before the first judge; before a second one these two earn more."""
    gains = {"world": 1.8, "judge": 2.4, "static": 0.0} | gains
    rows = episode_rows(gains={k: {"plackett-luce": v} for k, v in gains.items()}, num_users=400)
    more = rows[(rows["variant"] == "judge") & (rows["group"] == "evaluation")]
    more = more.assign(variant="judge-gp")
    more = paid(more, more["policy"] == "plackett-luce", learner)
    more = paid(more, more["policy"] == "supervised-capped", cap)
    made = study(ONE)
    judge = replace(made.places[1], name="judge-gp", title="judge of family gp")
    assert judge.role == "judge"
    made = replace(made, places=(*made.places, judge))
    rows = pd.concat([rows, more], ignore_index=True)
    return compute_numbers(made, rows, pd.DataFrame())


def test_the_judge_that_it_does_worst_before_decides() -> None:
    found = before_a_second_judge(0.0, 0.0).verdict
    assert found.outcome == "wins" and "before the judge of family gp" in found.sentence
    lost = before_a_second_judge(-5.0, 0.0).verdict
    assert lost.outcome == "world only"
    assert "but loses before the judge of family gp (-" in lost.sentence
    assert "clearly ahead before the independent judge (+" in lost.sentence
    apart = before_a_second_judge(-2.4, 0.0, world=0.0).verdict
    assert apart.outcome == "no difference"
    assert "before the independent judge: ahead (+" in apart.sentence
    turned = before_a_second_judge(0.0, 5.0).verdict
    assert turned.outcome == "opponent only"
    words = "and before the independent judge and clearly behind before the judge of family gp ("
    assert words in turned.sentence and "also beats" not in turned.sentence


def test_wins_but_not_over_the_cap() -> None:
    lost = judged(0.6, 0.6, num_users=400).verdict.sentence
    assert "It loses to the tuned diversity cap (" in lost
    assert "no clear difference" in judged(1.0, 1.0).verdict.sentence
    assert "clearly ahead in the world only" in judged(1.8, 1.0).verdict.sentence
    assert "ahead before the independent judge only" in judged(1.0, 1.8).verdict.sentence
    split = judged(2.4, 0.2).verdict.sentence
    assert "clearly ahead in the world and clearly behind before the independent judge (+" in split


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
    found = judged(world, judge).verdict
    assert found.outcome == outcome
    assert words in found.sentence
    assert "beats the supervised ranker:" not in found.sentence


@pytest.mark.parametrize(
    ("static", "noise", "words"),
    [
        (0.8, 1.0, "over the supervised ranker, clearly more than the margin of 0."),
        (3.0, 1.0, "over the policy of the true model, which knows the true model, clearly more"),
    ],
)
def test_a_failed_control_outweighs_any_win(static: float, noise: float, words: str) -> None:
    found = judged(1.8, 2.4, static, noise=noise).verdict
    assert found.outcome == "not believed"
    assert found.sentence.startswith("The result is not to be believed: where looking ahead is")
    assert words in found.sentence
    assert "beats the supervised ranker:" not in found.sentence


def test_a_loss_in_the_control_is_said_and_condemns_nothing() -> None:
    found = judged(1.8, 2.4, -0.8).verdict
    assert found.outcome == "wins"
    assert "it is behind the supervised ranker (-0." in found.sentence


def test_a_control_too_noisy_to_tell_takes_the_win_back() -> None:
    numbers = judged(5.0, 5.0, 0.1, noise=3.0, num_users=400)
    d = numbers.find("plackett-luce", "supervised", "static")
    assert d is not None and d.side == 0 and d.estimate.high > margin_of(18.0)
    assert numbers.verdict.outcome == "not controlled" and numbers.verdict.tone == "unsure"
    assert "cannot be told (" in numbers.verdict.sentence
    assert "not to be believed" not in numbers.verdict.sentence


@pytest.mark.parametrize(
    ("ends", "p", "standing"),
    [
        ((0.05, 0.20), 0.01, "equivalent"),  # clearly above zero, and yet a trifle
        ((-0.20, 0.24), 0.9, "equivalent"),
        ((0.10, 0.30), 0.01, "cannot tell"),
        ((-0.90, 0.90), 0.9, "cannot tell"),
        ((-0.60, -0.10), 0.01, "worse"),
        ((-0.60, 0.10), 0.4, "not ahead"),
        ((0.30, 0.80), 0.01, "better"),
        ((0.30, 0.80), 0.2, "cannot tell"),  # the adjusted p-value does not agree
    ],
)
def test_the_interval_says_how_a_learner_stands_to_the_margin(
    ends: tuple[float, float], p: float, standing: str
) -> None:
    low, high = ends

    def estimate(by: float) -> Estimate:
        return Estimate((low + high) / 2 - by, low - by, high - by, p, 9, 9, 3, "")

    d = Difference("a", "supervised", "static", None, estimate(0.0), {}, estimate(0.0), None, p)
    found = Controlled(d, 0.25, estimate(0.25), p)
    assert found.standing == standing
    assert found.fails == (standing == "better")
    assert not replace(found, decides=False).fails  # learning from slates explains it
    alone = replace(d, estimate=replace(d.estimate, num_people=1))
    one = replace(found, difference=alone, beyond=replace(found.beyond, num_people=1))
    assert one.standing == "cannot tell" and not one.fails  # of one person there is no interval


def test_the_margin_is_a_quarter_or_one_per_cent() -> None:
    assert [margin_of(level) for level in (0.0, 20.0, -30.0)] == [0.25, 0.25, 0.3]
    (found, _) = judged(1.8, 2.4).controls
    assert found.difference.baseline == "supervised"
    level = 18.0  # of the opponent in made-up rows, nearly
    assert found.margin == pytest.approx(max(0.25, 0.01 * level), abs=0.02)


def test_the_metric_is_the_expected_return_where_there_is_one() -> None:
    rows = episode_rows()
    assert numbers_of(rows, ONE).metric == "expected_return"
    assert numbers_of(rows.drop(columns="expected_return"), ONE).metric == "return"
    noisy = rows.assign(**{"return": rows["return"] + 100.0})
    d = numbers_of(noisy, ONE).find("plackett-luce", "supervised", "world")
    same = numbers_of(rows, ONE).find("plackett-luce", "supervised", "world")
    assert d is not None and same is not None and d.estimate == same.estimate


def test_few_seeds_have_students_interval_beside_the_bootstraps() -> None:
    d = judged(1.8, 2.4).find("plackett-luce", "supervised", "world")
    assert d is not None and d.few is not None and d.few.low < d.estimate.value < d.few.high
    many = judged(1.8, 2.4, num_seeds=5).find("plackett-luce", "supervised", "world")
    assert many is not None and many.few is None


def test_sentence_and_table_agree_on_what_is_clear() -> None:
    """An interval beyond zero is not clear if its p-value, adjusted for all lines, is not small."""
    unclear = 0
    for seed in range(4):
        numbers = numbers_of(episode_rows(seed=seed, num_users=60, noise=4.0, num_seeds=2))
        for d in (*numbers.differences, *numbers.control):
            assert d.adjusted is not None and d.adjusted >= d.estimate.p_value
            beyond = d.estimate.above_zero or d.estimate.below_zero
            assert (d.side != 0) == (beyond and d.adjusted < LEVEL)
            unclear += beyond and d.side == 0
        found = numbers.verdict
        assert found.agent is not None
        world = numbers.find(found.agent, "supervised", "world")
        cap = [numbers.find(found.agent, "supervised-capped", p) for p in ("world", "judge")]
        assert world is not None and all(cap)
        if "clearly ahead in the world only" in found.sentence:
            assert [d.side for d in cap if d] == [1, 0]
        assert ("beats the supervised ranker:" in found.sentence) <= (world.side == 1)
    assert unclear > 0  # the rules that contradicted each other did so in these rows


def test_the_agent_is_chosen_on_selection_users_only() -> None:
    rows = episode_rows()
    assert numbers_of(rows).verdict.agent == "plackett-luce"
    chosen = (rows["group"] == "selection") & (rows["policy"] == "proto-sac")
    flattered = paid(rows, chosen, 5.0)
    found = numbers_of(flattered).verdict
    assert found.agent == "proto-sac"
    assert "RL (proto-sac)" in found.sentence
    assert found.agents == ("proto-sac", "plackett-luce")


def test_a_learner_that_serves_its_start_is_told_from_one_that_is_level() -> None:
    rows = episode_rows(num_users=40)
    parts = [rows[rows["policy"] != "plackett-luce"]]
    for seed in range(3):
        same = rows[rows["policy"] == "supervised"]
        home = same["variant"].map({"world": "world", "judge": "world", "static": "static"})
        parts.append(same.assign(policy="plackett-luce", seed=seed, trained_in=home))
    found = numbers_of(pd.concat(parts, ignore_index=True), ONE).verdict
    assert found.outcome == "no difference"
    assert "shows the very slates of the supervised ranker, as before it learned." in found.sentence
    assert "shows the very slates" not in judged(0.0, 0.0).verdict.sentence


def test_what_is_missing_is_named() -> None:
    rows = episode_rows()
    with pytest.raises(ValueError, match=r"no rows compare .* with supervised in judge"):
        numbers_of(rows[rows["variant"] != "judge"], ONE)
    with pytest.raises(ValueError, match="no rows compare plackett-luce"):
        numbers_of(rows[rows["policy"] != "plackett-luce"], ONE)
    with pytest.raises(ValueError, match="at least one learner"):
        numbers_of(rows, ())


def test_made_up_rows_have_the_stated_gains() -> None:
    numbers = numbers_of(episode_rows(num_users=600), AGENTS)
    gain = numbers.find("plackett-luce", "supervised", "world")
    assert gain is not None
    assert gain.estimate.low < GAINS["world"]["plackett-luce"] < gain.estimate.high
    ((judge, drop),) = numbers.drops["plackett-luce"]
    assert judge == "judge" and drop.value == pytest.approx(1.8 - 2.4, abs=0.3)
