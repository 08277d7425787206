"""Slates as a log: every slot, its exact propensity, and the whole file or none."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet
import pytest
import torch
from small_worlds import learned_world

from slategym.agents.core.random_slates import Random
from slategym.agents.registry import make_policy
from slategym.agents.types import Action, Policy
from slategym.envs import engine
from slategym.envs.observation import show
from slategym.envs.registry import make_world
from slategym.envs.types import Items, Outcome, Session, World
from slategym.experiments.measure import slate_log
from slategym.experiments.measure.log_folder import write_log_folder
from slategym.experiments.measure.offline import read_slates
from slategym.experiments.measure.play import play
from slategym.experiments.measure.slate_log import writing
from slategym.models.checksums import Damaged, check_beside
from slategym.models.data.description import Description
from slategym.models.data.schema import inspect
from slategym.models.data.tables import Table, Tables

Shown = list[tuple[Session, Items, Action, Outcome]]
K = 3


@pytest.fixture(scope="module")
def world() -> World:
    return learned_world(slate_size=K)


def logged(world: World, path: Path, policy: Policy | None = None) -> tuple[pd.DataFrame, Shown]:
    """The log of everybody's session, and what was written into it."""
    shown: Shown = []
    policy = Random(world.num_candidates, world.slate_size) if policy is None else policy
    users = torch.arange(min(world.population.size, 20), dtype=torch.int32)
    with writing(world, path) as log:

        def keep(
            session: Session, items: Items, action: Action, outcome: Outcome, after: Session
        ) -> None:
            shown.append((session, items, action, outcome))
            log.add(session, items, action, outcome, after)

        play(world, policy, users, seed=1, batch=8, on_slate=keep)
    return pd.read_parquet(path), shown


def test_a_row_per_slot_with_its_feedback(world: World, tmp_path: Path) -> None:
    frame, shown = logged(world, tmp_path / "log.parquet")
    assert len(frame) == K * sum(len(items.id) for _, items, _, _ in shown)
    at = 0
    for session, items, _, outcome in shown:
        for b in range(len(items.id)):
            rows = frame.iloc[at : at + K]
            assert rows["slate_id"].unique().tolist() == [at // K]
            assert rows["position"].tolist() == list(range(K))
            assert rows["item"].tolist() == items.id[b].tolist()
            assert rows["user"].unique().tolist() == [int(session.user_id[b])]
            assert rows["step"].unique().tolist() == [int(session.step[b])]
            assert rows["hour"].unique() == pytest.approx([float(session.context.hour[b])])
            click_K = outcome.feedback[b, :, 0].numpy()
            np.testing.assert_array_equal(rows["click"], click_K)
            for m, name in ((1, "like"), (2, "rating")):  # unknown where nothing was clicked
                values_K = np.where(click_K > 0, outcome.feedback[b, :, m].numpy(), np.nan)
                np.testing.assert_array_equal(rows[name], values_K)
            at += K
    assert 0 < frame["click"].sum() < len(frame) / K


def test_propensities_are_exact(world: World, tmp_path: Path) -> None:
    frame, shown = logged(world, tmp_path / "log.parquet")
    at = 0
    for session, items, _, _ in shown:
        for b in range(len(items.id)):
            left = int((~session.offer[b]).sum())  # items not consumed yet
            rows = frame.iloc[at : at + K]
            slots = [1 / left, 1 / (left - 1), 1 / (left - 2)]
            assert rows["slot_propensity"].tolist() == pytest.approx(slots)
            assert rows["propensity"].tolist() == pytest.approx([float(np.prod(slots))] * K)
            assert rows["position_propensity"].tolist() == pytest.approx([1 / left] * K)
            at += K
    sure, _ = logged(world, tmp_path / "sure.parquet", make_policy("supervised", world))
    assert (sure[["propensity", "slot_propensity", "position_propensity"]] == 1).all().all()


def test_what_the_agent_saw_and_what_came_last(world: World, tmp_path: Path) -> None:
    path, seen, final = tmp_path / "log.parquet", [], []
    policy = make_policy("random", world)
    with writing(world, path) as log:

        def keep(*slate: Session | Items | Action | Outcome) -> None:
            session, _, _, outcome, after = slate
            for told, of in ((seen, session), (final, after)):
                shown = show(world, engine.observe(world, of))
                told += [{n: x[b] for n, x in shown.items()} for b in range(len(of.step))]
            ended.extend((outcome.left | outcome.cut).tolist())
            log.add(*slate)

        ended: list[bool] = []
        play(world, policy, torch.arange(20, dtype=torch.int32), seed=1, batch=8, on_slate=keep)
    frame = pd.read_parquet(path)
    about = json.loads(pyarrow.parquet.read_schema(path).metadata[slate_log.ABOUT])
    first = frame[frame["position"] == 0]
    assert len(first) == len(seen) and set(about["observation"]) == set(seen[0])
    for name, form in about["observation"].items():
        column, last = f"observation_{name}", f"final_observation_{name}"
        assert frame.loc[frame["position"] > 0, [column, last]].isna().all().all()
        assert first[last].notna().tolist() == ended
        for got, expected in zip(first[column], seen, strict=True):
            assert got.dtype == form["dtype"] and list(expected[name].shape) == form["shape"]
            np.testing.assert_array_equal(got, expected[name].numpy().ravel())
        last_seen = [x for x, over in zip(final, ended, strict=True) if over]
        for got, expected in zip(first[last].dropna(), last_seen, strict=True):
            np.testing.assert_array_equal(got, expected[name].numpy().ravel())
    with writing(world, path, observations=False) as log:
        play(world, policy, torch.arange(4, dtype=torch.int32), seed=1, on_slate=log.add)
    assert not [name for name in pd.read_parquet(path) if "observation" in str(name)]


def test_the_action_shows_the_item(tmp_path: Path) -> None:
    world = make_world("InterestEvolution-v0", slate_size=K)
    frame, _ = logged(world, tmp_path / "log.parquet")
    offered = frame["offered"].dropna().tolist()
    for row in range(0, len(frame), K):
        rows = frame.iloc[row : row + K]
        assert offered[row // K][rows["action"]].tolist() == rows["item"].tolist()


def test_times_never_go_back(world: World, tmp_path: Path) -> None:
    frame, _ = logged(world, tmp_path / "log.parquet")
    slates = frame.drop_duplicates("slate_id")
    pause = slates.groupby("user")["time"].diff().dropna()
    assert pause.between(35, 37).all()  # seconds, as the clock of this world moves
    hour = slates["time"] % 86_400 / 3_600
    away = (hour - slates["hour"]).abs()
    assert np.minimum(away, 24 - away).max() < 1e-3
    assert ((slates["time"] // 86_400 + 3) % 7).tolist() == slates["weekday"].tolist()


def test_written_in_chunks_it_is_the_same(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, _ = logged(world, tmp_path / "whole.parquet")
    monkeypatch.setattr(slate_log, "FLUSH_ROWS", 30)
    parts, _ = logged(world, tmp_path / "parts.parquet")
    pd.testing.assert_frame_equal(parts, whole)


def test_the_whole_file_or_none(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slate_log, "FLUSH_ROWS", 30)  # some of it is on disk when it fails
    path = tmp_path / "deep" / "log.parquet"
    policy, seen = Random(world.num_candidates, K), []

    def fail(log: slate_log.SlateLog) -> None:
        def keep(*slate: object) -> None:
            log.add(*slate)
            seen.append(slate)
            if len(seen) == 5:
                raise KeyboardInterrupt

        play(world, policy, torch.arange(20), seed=1, on_slate=keep)

    with pytest.raises(KeyboardInterrupt), writing(world, path) as log:
        fail(log)
    assert list(path.parent.iterdir()) == []
    whole, _ = logged(world, path)
    seen.clear()
    with pytest.raises(KeyboardInterrupt), writing(world, path) as log:
        fail(log)
    assert {p.name for p in path.parent.iterdir()} == {"log.parquet", "log.parquet.sha256"}
    check_beside(path)
    pd.testing.assert_frame_equal(pd.read_parquet(path), whole)


@pytest.mark.parametrize("id", ["MovieLens-like", "InterestEvolution-v0"])
def test_the_schema_of_logs_takes_it(world: World, id: str, tmp_path: Path) -> None:
    where = world if id == "MovieLens-like" else make_world(id)
    frame, _ = logged(where, tmp_path / "log.parquet")
    items = pd.DataFrame({"item": range(where.catalogue.num_items)})
    settled, problems = inspect(Tables(Table(frame, "log"), Table(items, "items")), Description())
    assert settled is not None, problems
    events = settled.events
    assert len(events) == len(frame) and events["click"].sum() == frame["click"].sum()


def test_places_that_cannot_be_written_are_one_line_at_once(world: World, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(
        OSError, match=r"cannot write results into .*file: (Not a directory|File exists)"
    ):
        writing(world, tmp_path / "file" / "log.parquet").__enter__()
    with pytest.raises(OSError, match="it is a folder; choose another name"):
        writing(world, tmp_path).__enter__()


KILLED = """
import sys, torch
from pathlib import Path
from slategym.agents.registry import make_policy
from slategym.envs import engine
from slategym.envs.observation import show
from slategym.envs.registry import make_world
from slategym.experiments.measure import slate_log
from slategym.experiments.measure.play import play
slate_log.FLUSH_ROWS = 30
world = make_world("InterestEvolution-v0")
slates = iter(range(10**9))
with slate_log.writing(world, Path(sys.argv[1])) as log:
    def keep(*slate):
        log.add(*slate)
        if next(slates) == 20:
            print("some is written", flush=True)
            sys.stdin.read()
    play(world, make_policy("random", world), torch.arange(8), seed=1, on_slate=keep)
"""


def test_a_killed_process_leaves_nothing_half_written(tmp_path: Path) -> None:
    path = tmp_path / "log.parquet"
    path.write_text("an older log")
    command = [sys.executable, "-c", KILLED, str(path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "some is written\n"
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert path.read_text() == "an older log"
    if hasattr(os, "O_TMPFILE"):
        assert [file.name for file in tmp_path.iterdir()] == ["log.parquet"]


@pytest.mark.skipif(not hasattr(os, "O_TMPFILE"), reason="then the other tests show it")
def test_without_unnamed_files_it_is_written_all_the_same(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, _ = logged(world, tmp_path / "whole.parquet")
    real = os.open

    def refuses(path: str, flags: int, *rest: int, **more: int) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError("this file system has no files without a name")
        return real(path, flags, *rest, **more)

    monkeypatch.setattr(os, "open", refuses)
    named, _ = logged(world, tmp_path / "named.parquet")
    pd.testing.assert_frame_equal(named, whole)
    names = {"whole.parquet", "named.parquet"}
    assert {file.name for file in tmp_path.iterdir()} == names | {f"{n}.sha256" for n in names}
    check_beside(tmp_path / "named.parquet")


def test_what_offline_learners_need(world: World, tmp_path: Path) -> None:
    """Reward, ends and offers, and in the file itself whose slates these are."""
    path = tmp_path / "log.parquet"
    frame, shown = logged(world, path)
    reward = np.concatenate([outcome.reward.numpy() for *_, outcome in shown])
    ended = np.concatenate([(outcome.left | outcome.cut).numpy() for *_, outcome in shown])
    slates = frame.groupby("slate_id")
    np.testing.assert_allclose(slates["reward"].sum(), reward, rtol=1e-6)
    first = slates.first()
    np.testing.assert_array_equal(first["terminated"] | first["truncated"], ended)
    assert ended.sum() == len(frame.groupby(["user", "visit"])) and "offered" not in frame

    fresh = make_world("InterestEvolution-v0", slate_size=K)
    frame, shown = logged(fresh, tmp_path / "fresh.parquet")
    session, *_ = shown[0]
    offered = frame["offered"]
    assert offered[1:K].isna().all() and offered[0].tolist() == session.offer[0].tolist()
    assert set(frame["item"][:K]) <= set(offered[0].tolist())


def test_whose_slates_they_are(world: World, tmp_path: Path) -> None:
    path = tmp_path / "log.parquet"
    with writing(world, path, {"world": world.name, "policy": "random", "seed": 1}) as log:
        play(world, Random(40, K), torch.arange(2, dtype=torch.int32), seed=1, on_slate=log.add)
    kept = json.loads(pyarrow.parquet.read_schema(path).metadata[slate_log.ABOUT])
    assert kept.pop("observation")["step"] == {"shape": [1], "dtype": "int32"}
    assert kept == {
        **{"format": slate_log.FORMAT, "status": "finished"},
        **{"world": "small", "policy": "random", "seed": 1},
        **{"signals": ["click", "like", "rating"], "objective": [1.0, 1.0, 0.0]},
        **{"slots": K, "candidates": 40},
    }


def test_altered_slates_are_refused(world: World, tmp_path: Path) -> None:
    path = tmp_path / "slates.parquet"
    logged(world, path)
    read_slates(path)
    table = pyarrow.parquet.read_table(path)
    half = pyarrow.array(table["propensity"].to_numpy() / 2)
    changed = table.set_column(table.column_names.index("propensity"), "propensity", half)
    pyarrow.parquet.write_table(changed, path)
    with pytest.raises(
        Damaged, match=r"slates\.parquet was altered.*delete slates\.parquet\.sha256"
    ):
        read_slates(path)
    with pytest.raises(Damaged, match="was altered"):
        write_log_folder(world, path, tmp_path / "log")
    path.with_name(path.name + ".sha256").unlink()  # the change was mine
    read_slates(path)
