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
from slategym.envs.trees import map_tensors
from slategym.models.data.log import Log
from slategym.models.multitask import training_settings
from slategym.models.multitask.network import MultiTaskSettings
from slategym.models.multitask.train import TrainingSettings, read_about
from slategym.models.people.taste import ClassicTaste
from slategym.models.simulator.parties import (
    GROUP_SHARES,
    GROUPS,
    MOST_SPLITS,
    Parties,
    PartySettings,
)

QUICK = PartySettings(
    model=MultiTaskSettings(width=16, feedforward=16, num_layers=1, max_history=8),
    training=TrainingSettings(epochs=2, batch_events=128, warmup_steps=2),
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def log(home: Path) -> Iterator[Log]:
    with small_movielens(home) as log:
        yield log


def weights(model: torch.nn.Module | ClassicTaste) -> list[torch.Tensor]:
    if isinstance(model, torch.nn.Module):
        return list(model.state_dict().values())
    found: list[torch.Tensor] = []
    map_tensors(lambda x: found.append(x) or x, model)  # type: ignore[func-returns-value]
    return found


def test_a_party_of_many_rows_is_trained_for_fewer_epochs(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    parties = Parties(log, replace(QUICK, training=replace(QUICK.training, epochs=4)))
    before = parties.folder("A")
    assert parties.training("A").epochs == 4
    rows = int(np.isin(log.events["user"], parties.people["A"]).sum())
    monkeypatch.setattr(training_settings, "MOST_ROWS", 3 * rows)
    assert parties.training("A").epochs == 3
    assert parties.folder("A") != before  # another model


def test_nobody_is_in_two_parties_or_in_two_groups(log: Log) -> None:
    people = Parties(log, QUICK).people
    for one, other in combinations(("A", "B", "J"), 2):
        assert not set(people[one]) & set(people[other])
    for one, other in combinations(GROUP_SHARES, 2):
        assert not set(people[one]) & set(people[other])
    assert sorted(np.concatenate([people[p] for p in ("A", "B", "J")])) == list(range(NUM_USERS))
    assert not set(people["control"]) & set(np.concatenate([people[g] for g in GROUP_SHARES]))
    groups = (*GROUP_SHARES, "control")
    assert sorted(np.concatenate([people[g] for g in groups])) == people["J"].tolist()
    assert set(people["training"]) == set(people["A"]) | set(people["B"])
    sizes = [len(people[group]) for group in ("A", "B", "J", *groups)]
    assert sizes == [30, 30, 30, 6, 9, 10, 5]


def test_splits_turn_the_parties_round(log: Log) -> None:
    """Everybody is judged once, and nobody selects in one split and is read in another."""
    splits = [Parties(log, QUICK, split) for split in range(MOST_SPLITS)]
    first, second, third = (made.people for made in splits)
    assert np.array_equal(first["B"], second["A"]) and np.array_equal(second["B"], third["A"])
    judged = np.concatenate([people["J"] for people in (first, second, third)])
    assert sorted(judged) == list(range(NUM_USERS))
    for one, other in ((first, second), (second, third), (first, third)):
        read = {*other["evaluation"], *other["control"]}
        assert not {*one["selection"], *one["calibration"]} & read
    assert len({made.folder("A") for made in splits}) == MOST_SPLITS
    assert splits[0].folder("A") == Parties(log, QUICK).folder("A")
    met = np.concatenate([people["selection"] for people in (first, second, third)])
    for made in splits:
        assert not set(made.people["evaluation"]) & set(met)


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
            if party != "J":
                return weights(sides.bert(party, progress=False)), sides.clicks_of(party)
            judge = sides.taste("factor", "J")
            assert isinstance(judge, ClassicTaste)
            return weights(judge), sides.clicks_of(party)

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
    folders = {
        sides.folder("J", 0, family) for family in ("bert", "factor", "gp", "covisitation", "trees")
    }
    assert len(folders) == 5 and sides.folder("J") == sides.folder("J", 0, "factor")
    assert sides.folder("A", 1, "gp") != sides.folder("A", 0, "gp")
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
    about = json.loads((sides.folder("J") / "config.json").read_text())
    assert about["people"] == 30 and about["held"] == len(sides.people["calibration"])
    figures = sides.quality("factor", "J").figures
    assert {"click_auc", "like_auc", "rating_rmse", "hr10", "like_ece"} <= set(figures)
    card = (sides.folder("J") / "README.md").read_text()
    assert f"like AUC {figures['like_auc']:.3f} (online biases" in card
    before = (sides.folder("J") / "model.safetensors").stat().st_mtime_ns
    sides.prepare("J")
    assert (sides.folder("J") / "model.safetensors").stat().st_mtime_ns == before


@pytest.mark.parametrize("party", ["A", "J"])
def test_a_familys_figures_are_read_on_people_unknown_to_its_fit(
    party: str, log: Log, home: Path
) -> None:
    """Whatever the selection people did otherwise, the fit that is read is the same."""
    sides = Parties(log, QUICK)
    read = "A" if party == "A" else "J-unmet"
    assert not set(sides.people[read]) & set(sides.people["selection"])
    first = weights(sides.taste("covisitation", read))  # type: ignore[arg-type]
    changed = replace(altered(log, sides.people["selection"]), sha256="d" * 64)
    with small_movielens(home, changed):
        again = Parties(changed, QUICK)
        assert all(map(torch.equal, first, weights(again.taste("covisitation", read))))  # type: ignore[arg-type]


@pytest.mark.parametrize(("party", "role"), [("A", "world"), ("J", "judge")])
def test_a_family_that_is_worse_than_no_model_is_refused_with_its_figures(
    party: str, role: str, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    sides = Parties(log, QUICK)
    found = sides.quality("covisitation", "A")
    assert found.rows > 20 and 5 < found.people <= len(sides.people["selection"])
    sides.check("covisitation", "A")
    poor = replace(found, worse=("like_auc",), figures={**found.figures, "like_auc": 0.4})
    kind = {"trees": poor}
    monkeypatch.setattr(Parties, "quality", lambda self, family, party: kind.get(family, found))
    with pytest.raises(UsageError, match=rf"'trees' is refused as a {role}: on 7 people") as no:
        sides.check("trees", party)
    online = found.anchors["online biases"]["like_auc"]
    assert f"like AUC 0.400 against {online:.3f} of online biases" in str(no.value)
    assert "try bert, factor, gp, covisitation; or take it with anyway=True" in str(no.value)
    monkeypatch.setattr(Parties, "quality", lambda self, family, party: poor)
    with pytest.raises(UsageError, match="no family passes on this log; or take it with anyway"):
        sides.check("trees", party)


def test_an_unknown_family_is_answered_with_the_nearest(log: Log) -> None:
    with pytest.raises(UsageError, match="did you mean 'covisitation'"):
        Parties(log, QUICK).taste("covisit", "A")
