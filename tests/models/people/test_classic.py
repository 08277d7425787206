"""Families made of classics: fitted on their party, calibrated, moved click by click, kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import expit
from small_log import shop_log
from small_worlds import small_log
from torch import Tensor

from slategym.envs.engine import arrive
from slategym.envs.trees import map_tensors
from slategym.models import metrics
from slategym.models.data.log import Log
from slategym.models.people.calibration import Mix, fit_mix, plain
from slategym.models.people.figures import quality
from slategym.models.people.reading import answer, ask, rows_of
from slategym.models.people.registry import families
from slategym.models.people.taste import ClassicTaste
from slategym.models.people.types import Party
from slategym.models.simulator.population import population
from slategym.models.tasks import tasks_of

pytestmark = pytest.mark.usefixtures("whole_searches")

CLASSIC = ("factor", "gp", "covisitation", "trees")


@pytest.fixture(scope="module")
def log() -> Log:
    return small_log(120, 40)


@pytest.fixture(scope="module", params=CLASSIC)
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def texts(log: Log) -> Tensor:
    return torch.randn(log.num_items, 8, generator=torch.Generator().manual_seed(0))


def fit(log: Log, family: str, people: np.ndarray) -> ClassicTaste:
    party = Party(log, people, people[::4], texts(log), history=12)
    kind = families.find(family).load()
    if kind.growing is not None:
        kind = replace(kind, growing=replace(kind.growing, most=32))  # trees
    taste = kind.fit(party)
    assert isinstance(taste, ClassicTaste)
    return taste


@pytest.fixture(scope="module")
def taste(log: Log, family: str) -> ClassicTaste:
    return fit(log, family, np.arange(80))


def tensors(value: object) -> list[Tensor]:
    found: list[Tensor] = []
    map_tensors(lambda x: found.append(x) or x, value)  # type: ignore[func-returns-value]
    return found


def test_it_reads_its_own_people_alone(log: Log, family: str, taste: ClassicTaste) -> None:
    events = log.events.copy()
    strangers = events["user"] >= 80
    events.loc[strangers, "item"] = (events.loc[strangers, "item"] + 7) % log.num_items
    events.loc[strangers, "rating"] = 6 - events.loc[strangers, "rating"]
    again = fit(replace(log, events=events), family, np.arange(80))
    assert all(map(torch.equal, tensors(taste), tensors(again)))
    other = fit(log, family, np.arange(10, 80))
    assert not torch.equal(taste.popular_N, other.popular_N)


def test_clicks_one_by_one_are_the_whole_history(log: Log, taste: ClassicTaste) -> None:
    people = population(log, np.arange(80, 120), starts=2, warm=6, seed=0)
    everybody = torch.arange(people.size, dtype=torch.int32)
    arrival = arrive(people, everybody)
    assert arrival.history is not None and arrival.feedback is not None
    part = replace(arrival, history=arrival.history[:, :3], feedback=arrival.feedback[:, :3])
    state = taste.initial(part)
    took_B = torch.ones(people.size, dtype=torch.bool)
    for h in range(3, arrival.history.shape[1]):
        item_B, feedback_BM = arrival.history[:, h].long(), arrival.feedback[:, h]
        state = taste.after(state, item_B, feedback_BM, took_B, None)  # type: ignore[arg-type]
    whole = taste.initial(arrival)
    near = dict(rtol=1e-3, atol=1e-4)
    for one, other in zip(tensors(state), tensors(whole), strict=True):
        torch.testing.assert_close(one, other, **near)
    still = taste.after(state, item_B, feedback_BM, ~took_B, None)  # type: ignore[arg-type]
    assert all(map(torch.equal, tensors(still), tensors(state)))
    ready = taste.prepared(people)
    for one, other in zip(tensors(ready.initial(arrival)), tensors(whole), strict=True):
        torch.testing.assert_close(one, other)
    every = taste.score(whole, None, None)  # type: ignore[arg-type]
    id_BC = torch.tensor([[3, 0, 11]], dtype=torch.int32).expand(people.size, 3)
    some = taste.score(whole, id_BC, None)  # type: ignore[arg-type]
    for all_BN, few_BC in zip(every, some, strict=True):
        torch.testing.assert_close(few_BC, all_BN.gather(1, id_BC.long()), **near)


def test_saved_and_loaded(taste: ClassicTaste, family: str, tmp_path: Path) -> None:
    kind = families.find(family).load()
    kind.save(taste, tmp_path)
    again = kind.load(tmp_path, taste.tasks, "cpu")
    assert isinstance(again, ClassicTaste) and again.tasks == taste.tasks
    assert all(map(torch.equal, tensors(taste), tensors(again)))
    assert [m.shift for m in again.mixes] == [m.shift for m in taste.mixes]


def test_outputs_mean_what_they_say_to_strangers(log: Log, taste: ClassicTaste) -> None:
    strangers = np.arange(80, 120)
    found = quality(taste, log, np.arange(80), strangers, least=3, history=12)
    assert found.people == 40 and found.figures["like_auc"] >= 0.5
    assert found.figures["click_ece"] < 0.1 and found.figures["like_ece"] < 0.15
    assert set(found.anchors) == {"online biases", "popularity"}
    assert "rating RMSE" in found.sentence()


def test_draws_know_how_much_more_could_be_known(log: Log, taste: ClassicTaste) -> None:
    people = population(log, np.arange(80, 120), starts=1, warm=6, seed=0)
    arrival = arrive(people, torch.arange(people.size, dtype=torch.int32))
    assert arrival.history is not None and arrival.feedback is not None
    id_BC = torch.arange(log.num_items).expand(people.size, -1)
    (after_BC,) = taste.spread(taste.initial(arrival), id_BC)
    first = replace(arrival, history=arrival.history[:, :1], feedback=arrival.feedback[:, :1])
    (before_BC,) = taste.spread(taste.initial(first), id_BC)
    # of the item met first some of what was learned fades with the drift
    unmet_BC = id_BC != arrival.history[:, :1]
    assert bool((after_BC <= before_BC + 1e-5)[unmet_BC].all())
    assert bool((after_BC < before_BC).any())


def test_what_was_shown_in_vain_is_read(family: str) -> None:
    log = shop_log(160, 48)
    taste = fit(log, family, np.arange(120))
    asked = ask(log, rows_of(log, np.arange(120, 160), least=2, most=2_000), 10)
    assert asked.id_xC.shape[1] == 1  # nothing is drawn where the log shows what was passed
    said, label_x = answer(taste, asked), asked.value_xM[:, 0]
    assert 0 < label_x.mean() < 0.5
    rate = float(expit(said.click_xC[:, 0]).mean())
    assert rate == pytest.approx(label_x.mean(), abs=0.06)
    assert metrics.auc(label_x, said.click_xC[:, 0]) > 0.5


def test_a_row_is_read_from_what_came_before_it_alone(log: Log, taste: ClassicTaste) -> None:
    row_x = rows_of(log, np.arange(80, 120), least=3, most=60)
    first = answer(taste, ask(log, row_x, 12))
    events = log.events.copy()
    events.loc[row_x, "rating"] = 6 - events.loc[row_x, "rating"]
    own = answer(taste, ask(replace(log, events=events), row_x[::9], 12))
    np.testing.assert_allclose(own.output_xM[:1], first.output_xM[:1], rtol=1e-5)
    earlier = row_x[1] - 1
    events = log.events.copy()
    events.loc[earlier, "rating"] = 6 - events.loc[earlier, "rating"]
    moved = answer(taste, ask(replace(log, events=events), row_x, 12))
    told = bool(taste.mixes[2].weight_F[0] > 0)  # biases alone tell nothing of this log's ratings
    assert np.allclose(moved.output_xM[1, 2], first.output_xM[1, 2]) != told


def test_a_mix_is_platt_scaling_where_the_task_is_binary() -> None:
    click = tasks_of(small_log(12, 10).signals)[0]
    rng = np.random.default_rng(0)
    input_xF = rng.normal(size=(4_000, 2))
    logit_x = 0.8 * input_xF[:, 0] - 1.0
    value_x = (rng.random(4_000) < expit(logit_x)).astype(float)
    mix = fit_mix(click, input_xF, value_x, plain(2))
    assert mix.weight_F.tolist() == pytest.approx([0.8, 0.0], abs=0.12)
    assert mix.shift == pytest.approx(-1.0, abs=0.12)
    start = Mix(torch.tensor([0.5, 0.0]), 2.0)
    assert fit_mix(click, input_xF, np.ones(4_000), start) is start  # one class says nothing
    assert fit_mix(click, input_xF[:5], value_x[:5], start) is start
    against = fit_mix(click, -input_xF, value_x, plain(2), rising=True)
    assert against.weight_F.tolist() == pytest.approx([0.0, 0.0], abs=0.1)
    assert float(expit(against.shift)) == pytest.approx(value_x.mean(), abs=0.02)
