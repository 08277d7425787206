"""A, B and J share nobody, and no model reads another's people."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from small_movielens import NUM_USERS, small_movielens

from slategym.envs.names import UsageError
from slategym.models.data.log import Log
from slategym.models.judge.factor import JudgeSettings
from slategym.models.multitask.network import MultiTaskSettings
from slategym.models.multitask.train import TrainingSettings, read_about
from slategym.models.simulator.parties import GROUP_SHARES, GROUPS, Parties, PartySettings

QUICK = PartySettings(
    model=MultiTaskSettings(width=16, feedforward=16, num_layers=1),
    training=TrainingSettings(epochs=2, batch_events=64, warmup_steps=2),
    judge=JudgeSettings(factors=4, epochs=1),
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def log(home: Path) -> Iterator[Log]:
    with small_movielens(home) as log:
        yield log


def weights(model: torch.nn.Module) -> list[torch.Tensor]:
    return list(model.state_dict().values())


def test_nobody_is_in_two_parties_or_in_two_groups(log: Log) -> None:
    people = Parties(log, QUICK).people
    for one, other in combinations(("A", "B", "J"), 2):
        assert not set(people[one]) & set(people[other])
    for one, other in combinations(GROUP_SHARES, 2):
        assert not set(people[one]) & set(people[other])
    assert sorted(np.concatenate([people[p] for p in ("A", "B", "J")])) == list(range(NUM_USERS))
    assert sorted(np.concatenate([people[g] for g in GROUP_SHARES])) == people["J"].tolist()
    assert set(people["training"]) == set(people["A"]) | set(people["B"])
    sizes = [len(people[group]) for group in ("A", "B", "J", *GROUP_SHARES)]
    assert sizes == [30, 30, 30, 6, 9, 15]


def test_a_population_is_of_its_own_group_only(log: Log) -> None:
    sides = Parties(log, QUICK)
    for group in GROUPS:
        person_U = sides.population(group).person
        assert person_U is not None
        assert set(person_U.tolist()) <= set(sides.people[group])
        assert len(set(person_U.tolist())) > 0.5 * len(sides.people[group])
    assert sides.population("selection", starts=1).size <= len(sides.people["selection"])
    with pytest.raises(UsageError, match="unknown group of users 'everyone'; known: training"):
        sides.population("everyone")


def test_agents_may_read_everything_of_bs_people_and_of_nobody_else(log: Log) -> None:
    sides = Parties(log, QUICK)
    told, events = sides.agent_log("B"), log.events
    mine = events[np.isin(events["user"], sides.people["B"])]
    assert told.item.tolist() == mine["item"].tolist()
    assert torch.equal(told.feedback[:, 2], torch.tensor(mine["rating"].to_numpy()))
    assert told.signals == log.signals and told.repeats == log.repeats
    codes = dict(zip(told.user.tolist(), mine["user"], strict=True))
    assert list(codes) == list(range(len(sides.people["B"])))  # a number each, in order
    assert list(codes.values()) == sides.people["B"].tolist()
    assert torch.equal(
        torch.bincount(told.item.long(), minlength=log.num_items).float(), sides.clicks_of("B")
    )


def altered(log: Log, users: np.ndarray) -> Log:
    """These users met other items and judged them otherwise; everybody else is the same."""
    events = log.events.copy()
    mine = events["user"].isin(users)
    events.loc[mine, "item"] = (events.loc[mine, "item"] + 31) % log.num_items
    events.loc[mine, "rating"] = 6 - events.loc[mine, "rating"]
    events.loc[mine, "like"] = (events.loc[mine, "rating"] >= 4).astype(np.float32)
    return replace(log, events=events, sha256="f" * 64)


@pytest.mark.parametrize("party", ["A", "B", "J"])
def test_a_model_knows_only_its_own_people(
    party: str, log: Log, home: Path, tmp_path: Path
) -> None:
    def fitted(log: Log) -> tuple[list[torch.Tensor], torch.Tensor]:
        with small_movielens(home, log):
            sides = Parties(log, QUICK)
            model = sides.judge() if party == "J" else sides.bert(party, progress=False)
            return weights(model), sides.clicks_of(party)

    people = Parties(log, QUICK).people
    mine, clicks_N = fitted(log)
    strangers = np.setdiff1d(np.arange(NUM_USERS), people[party])
    same, too_N = fitted(altered(log, strangers))
    assert all(map(torch.equal, mine, same)) and torch.equal(clicks_N, too_N)
    own = altered(log, people[party])
    other, fewer_N = fitted(replace(own, sha256="e" * 64))
    assert not all(map(torch.equal, mine, other)) and not torch.equal(clicks_N, fewer_N)


def test_a_folder_is_named_by_what_decides_its_model(log: Log) -> None:
    sides = Parties(log, QUICK)
    names = {sides.folder(party).name for party in ("A", "B", "J")}
    assert len(names) == 3 and all(name.startswith(f"{log.name}-") for name in names)
    judge = Parties(log, replace(QUICK, judge=JudgeSettings(factors=5)))
    assert judge.folder("J") != sides.folder("J") and judge.folder("B") == sides.folder("B")
    longer = Parties(log, replace(QUICK, training=TrainingSettings(epochs=3)))
    assert longer.folder("J") == sides.folder("J") and longer.folder("B") != sides.folder("B")


def test_a_model_is_fitted_once_and_early_stopping_uses_its_own_people(log: Log) -> None:
    sides = Parties(log, QUICK)
    epochs: list[int] = []
    folder = sides.folder("B")
    sides.prepare("B", progress=False, listener=lambda epoch, losses: epochs.append(epoch))
    about = read_about(folder)
    assert about["rows"]["users"] == 27 and about["validation"]["users"] == 3
    again: list[int] = []
    sides.prepare("B", progress=False, listener=lambda epoch, losses: again.append(epoch))
    assert again == []
    sides.prepare("J")
    figures = sides.judge_metrics()
    said = json.loads((sides.folder("J") / "config.json").read_text())["metrics"]
    assert set(figures) == {"click_auc", "like_auc", "rating_rmse"} and figures == said
    before = (sides.folder("J") / "model.safetensors").stat().st_mtime_ns
    sides.prepare("J")
    assert (sides.folder("J") / "model.safetensors").stat().st_mtime_ns == before
