"""The wide part: read event by event it says what it says of a log's rows, and nothing leaks."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from small_log import shop_log
from small_worlds import small_log

from slategym.envs.names import UsageError
from slategym.envs.trees import map_tensors
from slategym.envs.types import Arrival, Context
from slategym.models.data.log import Log
from slategym.models.multitask.crossfit import cross_fit, describe
from slategym.models.multitask.incremental import StateEncoder
from slategym.models.multitask.losses import batch_targets, task_losses
from slategym.models.multitask.network import MultiTaskBert, MultiTaskSettings
from slategym.models.multitask.requests import Known, requests, sums_before
from slategym.models.multitask.sequences import Sequences, plan_epoch, windows_before
from slategym.models.multitask.train import train_multitask
from slategym.models.multitask.training_settings import TrainingSettings
from slategym.models.tasks import head_weights, tasks_of

SMALL = MultiTaskSettings(width=16, feedforward=32, max_history=30)
TRAINING = TrainingSettings(epochs=2, batch_events=200, warmup_steps=4)
LOGS = {"films": lambda: small_log(40, 30), "shop": shop_log}


def text_of(log: Log) -> torch.Tensor:
    return torch.randn(log.num_items, 12, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module", params=LOGS)
def log(request: pytest.FixtureRequest) -> Log:
    made: Log = LOGS[request.param]()
    return made


@pytest.fixture(scope="module")
def model(log: Log, tmp_path_factory: pytest.TempPathFactory) -> MultiTaskBert:
    model = train_multitask(
        log,
        np.arange(4, log.num_users),
        SMALL,
        TRAINING,
        tmp_path_factory.mktemp("m"),
        text_vectors_ND0=text_of(log),
        progress=False,
    )
    with torch.no_grad():  # every weight of the wide part matters
        for part in (model.wide, model.prior):
            for parameter in part.parameters():
                parameter += 0.1 * torch.arange(parameter.numel()).view_as(parameter).sin()
        model.prior.length.copy_(torch.tensor([0.1, -0.2, 0.3, 0.2]))
    return model


def followed(model: MultiTaskBert, log: Log, user: int) -> list[dict[str, torch.Tensor]]:
    """What every head says of all items before each of a user's clicks, event by event."""
    sequences = Sequences.from_log(log)
    encoder = StateEncoder(model, seconds_per_event=60.0)
    clicks = sequences.click_Q[sequences.user_E[sequences.click_Q] == user]
    nobody = Arrival(
        user_id=torch.zeros(1, dtype=torch.int32),
        profile=sequences.profile_UF[[user]],
        history=torch.full((1, 1), -1, dtype=torch.int32),
        feedback=torch.full((1, 1, len(model.tasks)), torch.nan),
        gap=torch.zeros(1, 1),
        hour=sequences.hour_E[clicks[:1]],
        weekday=sequences.weekday_E[clicks[:1]],
        extra=sequences.extra_EZ[clicks[:1]] if log.context else None,
    )
    encoded, said = encoder.read(nobody), []
    for row in clicks.tolist():
        zero_1 = torch.zeros(1)
        context = Context(
            hour=sequences.hour_E[[row]],
            weekday=sequences.weekday_E[[row]],
            device=zero_1.int(),
            place=zero_1.int(),
            weather=zero_1.int(),
            gap=zero_1,
            extra=sequences.extra_EZ[[row]] if log.context else None,
        )
        query = encoder.query(encoded, context)
        with torch.no_grad():
            query = replace(query, state=torch.zeros_like(query.state))  # gaps are another matter
            said.append(
                {head: model.logits(head, query, encoder.items_ND, None)[0] for head in model.heads}
            )
        item_1 = sequences.item_E[[row]]
        took_1 = torch.ones(1, dtype=torch.bool)
        encoded = encoder.after(encoded, item_1, sequences.feedback_EM[[row]], took_1, context)
    return said


def test_event_by_event_is_what_a_logs_rows_say(model: MultiTaskBert, log: Log) -> None:
    sequences = Sequences.from_log(log)
    for user in (0, 5):  # one who trained nothing, one who did
        clicks = sequences.click_Q[sequences.user_E[sequences.click_Q] == user].numpy()
        known = Known.of(model, sequences, clicks)
        said = followed(model, log, user)
        table = model.item_table()
        order = sequences.order_E.numpy()[clicks]
        for rows, windows in windows_before(sequences, clicks, 30, 1):
            with torch.no_grad():
                query = requests(model, table, sequences, windows, sequences.batch(windows), known)
                query = replace(query, state=torch.zeros_like(query.state))
                item = int(sequences.item_E[rows[0]])
                found = {
                    head: model.logits(head, query, table.vectors_AD, torch.tensor([[item]]))[0, 0]
                    for head in model.heads
                }
            theirs = said[int(order[list(clicks).index(rows[0])])]
            for head, value in found.items():
                torch.testing.assert_close(theirs[head][item], value, atol=2e-5, rtol=1e-5)


def test_candidates_are_those_of_the_catalogue(model: MultiTaskBert, log: Log) -> None:
    sequences = Sequences.from_log(log)
    encoder = StateEncoder(model, seconds_per_event=60.0)
    rows = sequences.click_Q[:5]
    arrival = Arrival(
        user_id=torch.arange(5, dtype=torch.int32),
        profile=sequences.profile_UF[:5],
        history=sequences.item_E[sequences.click_Q[:40]].view(5, 8).int(),
        feedback=sequences.feedback_EM[sequences.click_Q[:40]].view(5, 8, -1),
        gap=torch.ones(5, 8),
        hour=sequences.hour_E[rows],
        weekday=sequences.weekday_E[rows],
        extra=sequences.extra_EZ[rows] if log.context else None,
    )
    zero_5 = torch.zeros(5)
    context = Context(
        zero_5, zero_5.int(), zero_5.int(), zero_5.int(), zero_5.int(), zero_5, arrival.extra
    )
    encoded = encoder.read(arrival)
    id_BC = torch.arange(log.num_items - 1, -1, -3).expand(5, -1)
    for all_BN, some_BC in zip(
        encoder.score(encoded, None, context), encoder.score(encoded, id_BC, context), strict=True
    ):
        torch.testing.assert_close(all_BN.gather(1, id_BC), some_BC, atol=1e-5, rtol=1e-5)
    left = encoder.after(
        encoded, id_BC[:, 0], arrival.feedback[:, 0], torch.zeros(5, dtype=torch.bool), context
    )
    map_tensors(torch.testing.assert_close, left.beside, encoded.beside)


def test_a_users_later_rows_do_not_reach_back(model: MultiTaskBert, log: Log) -> None:
    sequences = Sequences.from_log(log)
    rows = np.flatnonzero(sequences.user_E.numpy() == 2)
    before = describe(model, sequences, rows)
    events = log.events.copy()
    for task in log.signals[1:]:
        events.loc[rows[4], task.name] = {"binary": 1.0}.get(task.kind, task.low)
    events.loc[rows[5] : rows[-1], "item"] = int(log.events["item"][rows[0]])
    after = describe(model, Sequences.from_log(replace(log, events=events)), rows)
    torch.testing.assert_close(before.feature_xX[:5], after.feature_xX[:5], rtol=0, atol=0)
    assert not torch.equal(before.feature_xX[6:], after.feature_xX[6:])


def test_a_training_users_own_rows_shape_nothing_that_describes_them(log: Log) -> None:
    train_E = log.events["user"].to_numpy() >= 4
    tasks = tasks_of(log.signals, log.like_from)
    user = 7
    own = np.flatnonzero(log.events["user"].to_numpy() == user)
    events = log.events.copy()
    for task in log.signals[1:]:
        events.loc[own, task.name] = events[task.name].to_numpy()[own][::-1]
    events.loc[own, "item"] = np.roll(events["item"].to_numpy()[own], 1)
    fits = [
        cross_fit(one, train_E, text_of(log), SMALL, tasks, seed=0)
        for one in (log, replace(log, events=events))
    ]
    assert fits[0] is not None and fits[1] is not None
    fold = int(fits[0].fold_U[user])
    assert fold == fits[1].fold_U[user] < 5
    map_tensors(
        lambda x, y: torch.testing.assert_close(x, y, rtol=0, atol=1e-6),
        fits[0].statistics[fold],
        fits[1].statistics[fold],
    )
    tables = [fit.tables for fit in fits]
    assert tables[0] is not None and tables[1] is not None
    torch.testing.assert_close(tables[0].weight[fold], tables[1].weight[fold], atol=1e-6, rtol=1e-5)
    assert not torch.allclose(tables[0].weight[-1], tables[1].weight[-1])
    other = next(f for f in range(5) if f != fold)
    assert not torch.allclose(fits[0].statistics[other].item_VN, fits[1].statistics[other].item_VN)


def test_doubt_falls_with_what_was_seen(model: MultiTaskBert, log: Log) -> None:
    sequences = Sequences.from_log(log)
    encoder = StateEncoder(model, seconds_per_event=60.0)
    signal = model.tasks[1:][model.wide.regressed[0]].signal.name
    clicks = sequences.click_Q[~sequences.feedback_EM[sequences.click_Q].isnan().any(1)][:8]
    nothing = torch.full((1, 8), -1, dtype=torch.int32)
    arrival = Arrival(
        user_id=torch.zeros(1, dtype=torch.int32),
        profile=sequences.profile_UF[:1],
        history=sequences.item_E[clicks][None].int(),
        feedback=sequences.feedback_EM[clicks][None],
        gap=torch.ones(1, 8),
        hour=torch.zeros(1),
        weekday=torch.zeros(1).long(),
        extra=sequences.extra_EZ[clicks[:1]] if log.context else None,
    )
    id_1C = torch.arange(log.num_items)[None]
    known = encoder.doubt(encoder.read(arrival), signal, id_1C)
    unknown = encoder.doubt(encoder.read(replace(arrival, history=nothing)), signal, id_1C)
    assert bool((known < unknown).all()) and float(known.min()) > 0
    with pytest.raises(UsageError, match="unknown regressed signal 'clik'"):
        encoder.doubt(encoder.read(arrival), "clik", id_1C)


@pytest.mark.parametrize("passed_over", [3, 1], ids=["some", "all"])
def test_rows_set_apart_give_the_losses_and_gradients_of_all_rows(
    model: MultiTaskBert, log: Log, passed_over: int
) -> None:
    """Of a row without a click no value is known, and nothing of it came next."""
    model = deepcopy(model).requires_grad_()
    events = log.events.copy()
    known_E = np.isin(events["user"], range(20))
    events.loc[np.flatnonzero(known_E)[::passed_over], "click"] = np.float32(0)
    sequences = Sequences.from_log(replace(log, events=events))
    rows = np.arange(sequences.num_rows)
    length_U = sequences.prefix_lengths(known_E)
    (windows, *_) = plan_epoch(sequences, length_U, 31, 10_000, np.random.default_rng(0))
    batch, known = sequences.batch(windows), Known.of(model, sequences, rows)
    limit_B = sequences.clicks_U[batch.user_B]
    targets = batch_targets(sequences, batch, limit_B, 2, torch.Generator().manual_seed(0))
    found = []
    for apart in (False, True):
        model.zero_grad()
        table = model.item_table()
        query = requests(model, table, sequences, windows, batch, known, apart=apart)
        losses = task_losses(model, table, query, sequences, targets, head_weights(model.tasks, {}))
        torch.stack(list(losses.values())).sum().backward()
        found.append(
            (losses, {n: p.grad for n, p in model.named_parameters() if p.grad is not None})
        )
    assert query.clicked is not None
    assert (
        len(query.clicked.state) == int(sequences.click_E[targets.row_x].sum()) < len(query.state)
    )
    (losses, gradients), (apart_losses, apart_gradients) = found
    torch.testing.assert_close(apart_losses, losses)
    for name, gradient in gradients.items():
        other = apart_gradients.get(name, torch.zeros_like(gradient))
        torch.testing.assert_close(other, gradient, atol=1e-6, rtol=1e-4, msg=name)


def test_rows_that_all_have_a_click_are_not_set_apart(model: MultiTaskBert, log: Log) -> None:
    """Logs of clicks alone train as they always did."""
    sequences = Sequences.from_log(log)
    rows = sequences.click_Q.numpy()[:20]
    known = Known.of(model, sequences, rows)
    for _, windows in windows_before(sequences, rows, 30, 20):
        batch = sequences.batch(windows)
        query = requests(model, model.item_table(), sequences, windows, batch, known, apart=True)
        assert query.clicked is None and query.values is not None


def test_sums_that_do_not_fade_know_of_clicks_before_the_window(
    model: MultiTaskBert, log: Log
) -> None:
    assert model.prior is not None
    sequences = Sequences.from_log(log)
    rows = np.flatnonzero(sequences.order_E.numpy() > 6)[:20]
    usual_T = model.prior.fade_T.clone()
    try:
        model.prior.fade_T.fill_(1.0)
        known = Known.of(model, sequences, rows)
        (_, windows), *_ = windows_before(sequences, rows, 2, 64)
        batch = sequences.batch(windows)
        tables = known.tables
        assert tables is not None
        sums = sums_before(known, tables, sequences, windows, batch, None)
        for row, sum_TN in zip(windows.row_B, sums.value, strict=True):
            first = sequences.first_click_U[sequences.user_E[row]]
            clicks = sequences.click_Q[first : first + sequences.order_E[row]]
            history_BH = sequences.item_E[clicks][None]
            whole_BTN = tables.read(torch.zeros(1, dtype=torch.int64), history_BH, log.num_items)
            torch.testing.assert_close(sum_TN, whole_BTN[0])
        assert sums.clicks.tolist() == sequences.order_E[windows.row_B].tolist()  # none forgotten
    finally:
        model.prior.fade_T.copy_(usual_T)
