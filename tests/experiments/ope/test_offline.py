"""From a log and a policy to an answer or a refusal: made logs, whose truth is known."""

from __future__ import annotations

import json
import tarfile
from itertools import permutations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from small_worlds import learned_world, ranker_in
from typer.testing import CliRunner

import slategym as sg
from slategym.agents.core.random_slates import Random
from slategym.agents.core.stochastic import PopularitySoftmax
from slategym.agents.core.supervised import PLAIN, supervised_with
from slategym.agents.policy_gradient.ppo import PlackettLuce, PPOSettings
from slategym.envs.names import UsageError
from slategym.experiments.cli.main import build
from slategym.models.data.folder import write_folder
from slategym.models.data.log import Log, build_log
from slategym.models.data.sets.open_bandit import load_open_bandit
from slategym.models.data.tables import Table, Tables

SHARED = Path(__file__).parents[3].parent / "shared" / "data"  # real files, where there are any
N, K = 5, 2
CLICK_N = np.array([0.8, 0.1, 0.5, 0.3, 0.2])
CHANCES = ("propensity", "slot_propensity", "position_propensity")


def drawn(weight_N: np.ndarray, people: int, seed: int, logged: tuple[str, ...] = CHANCES) -> Log:
    """Four slates a person, drawn without replacement by weight; the second slot is seen less."""
    rng, rows = np.random.default_rng(seed), []
    slates = list(permutations(range(N), K))
    share_N = weight_N / weight_N.sum()
    prob_L = np.array([share_N[a] * share_N[b] / (1 - share_N[a]) for a, b in slates])
    second_N = [sum(p for p, s in zip(prob_L, slates, strict=True) if s[1] == n) for n in range(N)]
    for at, which in enumerate(rng.choice(len(slates), 4 * people, p=prob_L)):
        first, second = slates[which]
        for k, item in enumerate((first, second)):
            rows.append({
                "user": f"u{at // 4:04d}", "item": f"i{item}", "time": 1e6 + at % 4 * 60,
                "slate_id": at, "position": k,
                "click": float(rng.random() < CLICK_N[item] / (k + 1)),
                "propensity": prob_L[which],
                "slot_propensity": share_N[item] / (1 - k * share_N[first]),
                "position_propensity": second_N[item] if k else share_N[item],
            })  # fmt: skip
    events = pd.DataFrame(rows).drop(columns=[c for c in CHANCES if c not in logged])
    items = pd.DataFrame({"item": [f"i{n}" for n in range(N)]})
    return build_log("made", Tables(Table(events, "events"), Table(items, "items")))


def worth(weight_N: np.ndarray) -> float:
    """Expected clicks of such a slate."""
    share_N = weight_N / weight_N.sum()
    return sum(
        share_N[a] * share_N[b] / (1 - share_N[a]) * (CLICK_N[a] + CLICK_N[b] / 2)
        for a, b in permutations(range(N), K)
    )


def popular(weight_N: np.ndarray) -> PopularitySoftmax:
    """Draws by those weights."""
    return PopularitySoftmax(torch.as_tensor(weight_N - 1.0), K)


EVEN, SKEWED = np.ones(N), np.array([4.0, 1.0, 3.0, 2.0, 1.0])


@pytest.fixture(scope="module")
def even() -> Log:
    return drawn(EVEN, 1_000, 0)


def test_every_estimator_finds_what_the_policy_is_worth(even: Log) -> None:
    found = sg.evaluate_offline(even, popular(SKEWED))
    names = [one.name for one in found.estimates]
    assert names == [
        "dm",
        "ips",
        "snips",
        "clipped",
        "iips",
        "rips",
        "snrips",
        "pi",
        "dr",
        "cascade-dr",
    ]
    truth = worth(SKEWED)
    assert abs(worth(EVEN) - truth) > 0.1 and found.logged.low < worth(EVEN) < found.logged.high
    for one in found.estimates:
        if one.name != "dm":
            assert one.low < truth < one.high and not one.withheld, one
        assert one.value == pytest.approx(truth, rel=0.06), one
        assert one.weight is None or one.weight == pytest.approx(1.0, abs=0.06)
    assert 0 < found["ips"].effective < found["iips"].effective < 4_000
    assert "per slate: as if no slate changed what came after it" in str(found)


def test_a_visits_slates_are_weighed_together(even: Log) -> None:
    found = sg.evaluate_offline(even, popular(np.array([1.5, 1.0, 1.5, 1.0, 1.0])), per="visit")
    truth = 4 * worth(np.array([1.5, 1.0, 1.5, 1.0, 1.0]))
    assert found.num_episodes == 1_000 and found.num_slates == 4_000
    for name in ("pdis", "wpdis", "rips", "dr", "cascade-dr"):
        assert found[name].low < truth < found[name].high


def test_what_was_not_logged_is_counted_and_said_or_not_read() -> None:
    bare = sg.evaluate_offline(drawn(SKEWED, 1_000, 1, ()), Random(N, K))
    assert any("propensities are not logged: estimated" in note for note in bare.notes)
    assert bare["rips"].value == pytest.approx(worth(EVEN), rel=0.06)
    some = drawn(SKEWED, 200, 1, ("propensity",))
    found = sg.evaluate_offline(some, Random(N, K))
    assert [one.name for one in found.estimates] == ["dm", "ips", "snips", "clipped", "dr"]
    assert "rips (propensities of each slot given those before it" in str(found)
    with pytest.raises(UsageError, match="iips needs propensities of each item in its slot"):
        sg.evaluate_offline(some, Random(N, K), estimators=["iips"])


def test_where_support_is_missing_nothing_is_said() -> None:
    lacking = np.array([0.0, 1.0, 1.0, 1.0, 1.0])  # the log never shows the first item
    found = sg.evaluate_offline(drawn(lacking, 500, 2), popular(SKEWED))
    assert not found.answered
    assert "mean weight" in found["ips"].withheld and "never shows" in found["dm"].withheld
    assert "withheld" in str(found) and found.unseen > 0.3


def test_a_policy_that_does_not_draw_is_a_point_mass_and_may_be_smoothed(even: Log) -> None:
    class Fixed:
        name, privileged = "fixed", False

        def act(self, observation, luck):
            slate_BK = torch.tensor([[0, 2]]).expand(len(observation.step), 2).int()
            return sg.agents.Action(slate_BK)

    sharp = sg.evaluate_offline(even, Fixed())
    assert sharp["rips"].low < CLICK_N[0] + CLICK_N[2] / 2 < sharp["rips"].high
    half = sg.evaluate_offline(even, Fixed(), smooth=0.5)
    truth = 0.5 * (CLICK_N[0] + CLICK_N[2] / 2) + 0.5 * worth(EVEN)
    assert half["rips"].low < truth < half["rips"].high and half.policy == "fixed with 50% random"
    assert half["ips"].effective > 2 * sharp["ips"].effective


def test_a_policy_that_draws_in_secret_is_refused(even: Log) -> None:
    class Secret:
        name, privileged = "secret", False

        def act(self, observation, luck):
            return Random(N, K).act(observation, luck)

    with pytest.raises(UsageError, match="secret draws its slates and does not say how likely"):
        sg.evaluate_offline(even, Secret())


def test_a_policy_that_reads_a_learned_state_is_refused_with_what_to_do(
    even: Log, tmp_path: Path
) -> None:
    world = learned_world(horizon=4)
    ranked = supervised_with(world, PLAIN, ranker_in(world))
    trained = PlackettLuce(world, PPOSettings(num_users=4, rollout=4, minibatch=16))
    (tmp_path / "trained").mkdir()
    for policy in (ranked, trained, "supervised", str(tmp_path / "trained")):
        name = policy if isinstance(policy, str) else policy.name
        with pytest.raises(UsageError, match="reads a model's state of each person") as refused:
            sg.evaluate_offline(even, policy)
        told = str(refused.value)
        assert name in told and "--set log=made" in told and "popularity-softmax, as:LOG" in told


def test_on_the_command_line(even: Log, tmp_path: Path) -> None:
    write_folder(even, tmp_path / "made")
    asked = ["ope", str(tmp_path / "made"), "--policy", "random"]
    shown = CliRunner().invoke(build(), asked)
    assert shown.exit_code == 0 and "Next: do slates change what comes later?" in shown.output
    told = CliRunner().invoke(build(), [*asked, "--json", "--per", "visit"])
    document = json.loads(told.output)
    assert document["per"] == "visit" and document["episodes"] == 1_000
    other = CliRunner().invoke(build(), ["ope", str(tmp_path / "made"), "--policy", "randon"])
    assert isinstance(other.exception, UsageError) and "did you mean 'random'" in str(
        other.exception
    )


def test_obp_says_the_same_where_it_is_installed(even: Log) -> None:
    pytest.importorskip("obp", reason="obp is not installed")
    found = sg.evaluate_offline(even, popular(SKEWED))
    assert found.outside.keys() == {"sips", "iips", "rips"} and "The package obp" in str(found)
    for theirs, ours in (("sips", "ips"), ("iips", "iips"), ("rips", "rips")):
        assert found.outside[theirs] == pytest.approx(found[ours].value, rel=1e-6)


@pytest.mark.skipif(not SHARED.exists(), reason="the real files are not beside the repository")
def test_open_bandit_both_ways(tmp_path: Path) -> None:
    """Fewer than 50 clicks a log: intervals are wide, and the other policy's value is in them."""
    inside = {policy: f"obd-small/obp/dataset/obd/{policy}/all" for policy in ("random", "bts")}
    with tarfile.open(SHARED / "obd-small.tgz") as archive:
        archive.extractall(tmp_path, filter="data")
    logs = {policy: load_open_bandit(tmp_path / at, policy) for policy, at in inside.items()}
    found = sg.evaluate_offline(logs["bts"], "random")
    assert found.num_slates == 10_000 and found["ips"].weight == pytest.approx(1.0, abs=0.05)
    assert found["ips"].low < 0.0038 < found["ips"].high
    write_folder(logs["bts"], tmp_path / "bts")
    back = sg.evaluate_offline(logs["random"], f"as:{tmp_path / 'bts'}")
    assert back.known is not None and back.known.value == pytest.approx(0.0042)
    assert back["snips"].low < back.known.value < back["snips"].high
    assert "error" in str(back) and "reward per slot" in str(back)
