"""A simulated log is played again: the policy sees what it would have, and truth is at hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

import slategym as sg
from slategym.agents.core.left_over import left_over
from slategym.agents.core.random_slates import Random
from slategym.agents.registry import make_policy
from slategym.envs.names import UsageError
from slategym.envs.registry import make_world
from slategym.experiments.cli.main import build
from slategym.experiments.measure.play import play
from slategym.experiments.measure.slate_log import writing
from slategym.experiments.ope.replayed import Replayed, read_slates, simulated_slates

ID, SETTINGS = "Workbench-v0", {"num_items": 6, "num_topics": 3, "slate_size": 2, "horizon": 3}


def write(path: Path, world: str, settings: dict[str, object], users: int) -> Path:
    """A log of random slates."""
    made, about = make_world(world, **settings), {"world": world, "settings": settings}
    random = Random(made.num_candidates, made.slate_size)
    with writing(made, path, {**about, "policy": "random", "seed": 4}, observations=False) as log:
        play(made, random, torch.arange(users), seed=4, on_slate=log.add)
    return path


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("simulated") / "log.parquet", ID, SETTINGS, 3_000)


class Again(sg.agents.Stochastic):
    """Draws what was clicked before eight times as often as all else."""

    name, privileged = "again", False

    def logits(self, observation):
        known_BN = (observation.history.id[..., None] == torch.arange(6)).any(1)
        return known_BN * torch.log(torch.tensor(8.0))

    def act(self, observation, luck):
        gumbel_BN = luck.gumbel(7, 6)
        return sg.agents.Action((self.logits(observation) + gumbel_BN).topk(2).indices.int())

    def law(self, observation, slate_BK):
        left_BKN = left_over(observation, slate_BK, 6)
        logits_B1N = self.logits(observation)[:, None]
        return logits_B1N.masked_fill(~left_BKN, -torch.inf).log_softmax(2)


def test_estimates_hold_what_the_policy_earns_when_it_acts(simulated: Path) -> None:
    found = sg.evaluate_offline(simulated, Again(), per="visit", act=True)
    assert found.known is not None and found.num_episodes == found.num_people == 3_000
    assert found.known.value > found.logged.high  # it earns more than the log did
    for name in ("pdis", "wpdis", "rips", "dr", "cascade-dr"):
        assert found[name].low < found.known.value < found[name].high, name
    assert "(policy itself)" in str(found) and "simulated by random in Workbench-v0" in str(found)


def test_what_was_seen_is_seen_again(tmp_path: Path) -> None:
    """Also where candidates change and a policy reads who the user is."""
    path = write(tmp_path / "ie.parquet", "InterestEvolution-v0", {"num_candidates": 6}, 5)
    rows, about = read_slates(path)
    world = make_world(about["world"], **about["settings"])
    slates, rows = simulated_slates(rows, world)
    again = Replayed(world, rows, slates, about["seed"])
    seen = list(again.batches(2))
    assert sorted(np.concatenate([slate_B for slate_B, _ in seen])) == list(
        range(len(slates.row_S))
    )
    for slate_B, observation in seen:
        at_BK = torch.as_tensor(again.action_SK[slate_B]).long()
        assert observation.candidates is not None
        shown_BK = observation.candidates.gather(1, at_BK)
        assert shown_BK.tolist() == slates.item_SK[slate_B].tolist()
        assert observation.step.tolist() == slates.step_S[slate_B].tolist()


def test_another_world_is_noticed(simulated: Path, tmp_path: Path) -> None:
    rows, about = read_slates(simulated)
    world = make_world(ID, **{**SETTINGS, "seed": 1})
    slates, rows = simulated_slates(rows, world)
    with pytest.raises(UsageError, match="clicks are not what its world makes of its slates"):
        list(Replayed(world, rows, slates, about["seed"]).batches(100))


def test_what_cannot_be_read_is_refused_in_a_line(simulated: Path, tmp_path: Path) -> None:
    pd.DataFrame({"user": [1]}).to_parquet(tmp_path / "other.parquet")
    with pytest.raises(UsageError, match=r"lacks item, time, .* write it by slategym simulate"):
        sg.evaluate_offline(tmp_path / "other.parquet", "random")
    with pytest.raises(UsageError, match="myopic is told hidden truths, which no log holds"):
        sg.evaluate_offline(simulated, "myopic")
    with pytest.raises(UsageError, match="take per='visit' and leave the others out"):
        sg.evaluate_offline(simulated, "random", act=True)


def test_a_file_may_not_name_code(tmp_path: Path) -> None:
    made = make_world(ID, **SETTINGS)
    about = {"world": ID, "settings": {"users": "os:system"}, "seed": 0}
    with writing(made, tmp_path / "bad.parquet", about, observations=False) as log:
        play(made, make_policy("random", made), torch.arange(3), seed=0, on_slate=log.add)
    with pytest.raises(UsageError, match=r"os:system.*would be imported and run"):
        sg.evaluate_offline(tmp_path / "bad.parquet", "random")


def test_a_simulated_log_on_the_command_line(simulated: Path) -> None:
    asked = ["ope", str(simulated), "--policy", "popularity", "--smooth", "0.5", "--json"]
    told = CliRunner().invoke(build(), [*asked, "--per", "visit", "--act"])
    document = json.loads(told.output)
    assert document["policy"] == "popularity with 50% random" and document["policy_itself"]
    gone = CliRunner().invoke(build(), ["ope", "gone.parquet", "--policy", "random"])
    assert "slategym simulate WORLD --out gone.parquet writes one" in str(gone.exception)
