"""The story of one recommendation, start to end, as pure functions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from slategym.envs import luck
from slategym.envs.compiling import plain
from slategym.envs.constants import constant
from slategym.envs.luck import Luck, purpose
from slategym.envs.trees import map_tensors
from slategym.envs.types import (
    LONG_AGO,
    Arrival,
    History,
    Items,
    Observation,
    Outcome,
    PastSlates,
    Population,
    Session,
    World,
)

LEAVE = purpose("engine.leave")
# From, and up to, which repeats are looked for slot by slot; by numpy from FEW_USERS.
FEW_USERS, MANY_USERS, FEW_SLOTS = 16, 512, 16
Start = Callable[[Tensor, Tensor, Tensor], Session]  # of seed, user and visit, each (B,) int32


def start(world: World, seed_B: Tensor, user_B: Tensor, visit_B: Tensor) -> Session:
    """Sessions of the given users, at their first request.

    Args:
        world: where they are.
        seed_B: int32, decides what happens.
        user_B: int32, rows of the population.
        visit_B: int32, how many sessions these users have had before.
    """
    step_B, who_U = torch.zeros_like(user_B), world.population.person
    who_B = user_B if who_U is None else who_U.index_select(0, user_B).int()  # all their arrivals
    person = Luck.at(luck.key(step_B + world.seed, who_B, step_B), step_B)
    key_B = luck.key(seed_B, user_B, visit_B)
    now = Luck.at(key_B, step_B)
    arrival = arrive(world.population, user_B)
    context = world.context.initial(arrival, now)
    return Session(
        user=world.users.initial(arrival, person),
        user_id=user_B,
        visit=visit_B,
        seed=seed_B,
        key=key_B,
        step=step_B,
        context=context,
        offer=world.candidates.initial(world.catalogue, arrival, now),
        history=_first_history(world, arrival),
        view=world.observer.initial(arrival, context) if world.observer else None,
        past=_no_slates(world, len(user_B)),
    )


def transition(world: World, session: Session, slate_BK: Tensor) -> tuple[Session, Outcome]:
    """Show a slate; return the sessions after it and what it caused.

    Args:
        world: where they are.
        session: before the slate.
        slate_BK: int32 positions in [0, C). A repeated position, or one that the candidates do
            not allow, is an empty slot: it is never clicked.
    """
    users, catalogue, context = world.users, world.catalogue, session.context
    now = Luck.at(session.key, session.step)

    items, shown_BK = pick(world, session, slate_BK)
    appeal_BK = users.appeal(session.user, items, context)
    prob_BK, click_BK = world.choice(torch.where(shown_BK, appeal_BK, -torch.inf), now)
    value_BKM, mean_BKM = users.respond(session.user, items, context, now)
    feedback_BKM = click_BK[..., None] * value_BKM
    expected_BKM = prob_BK[..., None] * mean_BKM
    user = users.evolve(session.user, items, feedback_BKM, context, now)

    step_B = session.step + 1
    soon = Luck.at(session.key, step_B)
    later = world.context.advance(context, users.away(user), soon)
    objective_M = constant(tuple(world.objective), feedback_BKM)
    leave_B = users.leave(user)
    after = replace(
        session,
        user=user,
        step=step_B,
        context=later,
        offer=world.candidates.renew(session.offer, catalogue, items, feedback_BKM, soon),
        history=_next_history(session.history, items.id, feedback_BKM),
        view=world.observer.update(session.view, items, feedback_BKM, context)
        if world.observer
        else None,
        past=_next_past(session.past, items.id, shown_BK, click_BK),
    )
    return after, Outcome(
        feedback=feedback_BKM,
        expected=expected_BKM,
        reward=(feedback_BKM * objective_M).sum((1, 2)),
        expected_reward=(expected_BKM * objective_M).sum((1, 2)),
        left=torch.zeros_like(step_B, dtype=torch.bool)
        if leave_B is None
        else now.uniform(LEAVE, 1)[:, 0] < leave_B,
        cut=step_B >= world.horizon,
    )


def replace_rows(
    world: World,
    session: Session,
    row_R: Tensor,
    stride: int | None = None,
    everybody: Start | None = None,
) -> tuple[Session, Session]:
    """Seat the next user in rows whose session is over.

    Row b of B meets users b, b + B, b + 2B, ... of the population, then the same people on their
    second visit: the same order under any policy.

    Args:
        world: where they are.
        session: B of them.
        row_R: int64, which are over.
        stride: users by which a row moves on; None: B. Less where several groups of rows, each
            with a luck of its own, stand side by side.
        everybody: `start` in this world, for B users; None: as it stands here.

    Returns:
        All sessions, and the R new ones alone.
    """
    num_rows = session.user_id.shape[0]
    stride = num_rows if stride is None else stride
    if row_R.shape[0] == num_rows:
        fresh = (everybody or partial(start, world))(*_who_next(world, session, stride))
        return fresh, fresh
    over = replace(session, user=None, offer=None, view=None)
    few = map_tensors(lambda x: x.index_select(0, row_R), over)
    fresh = start(world, *_who_next(world, few, stride))
    merge = lambda old, new: old.index_copy(0, row_R, new)  # noqa: E731
    return map_tensors(merge, session, fresh), fresh


def observe(world: World, session: Session) -> Observation:
    """What a policy may see of these sessions."""
    profile_UF = world.population.profile
    return Observation(
        profile=None if profile_UF is None else profile_UF[session.user_id],
        history=session.history,
        context=session.context,
        candidates=world.candidates.ids(session.offer),
        allowed=world.candidates.allowed(session.offer),
        state=world.observer.embed(session.view, session.context) if world.observer else None,
        revealed=world.users.reveal(session.user),
        step=session.step,
        past=session.past,
        view=session.view,
    )


def arrive(population: Population, user_B: Tensor) -> Arrival:
    """The rows of these users."""

    def rows(table: Tensor | None) -> Tensor | None:
        return None if table is None else table.index_select(0, user_B)

    p = population
    return Arrival(
        user_id=user_B,
        profile=rows(p.profile),
        history=rows(p.history),
        feedback=rows(p.feedback),
        gap=rows(p.gap),
        hour=rows(p.hour),
        weekday=rows(p.weekday),
        consumed=None if p.consumed is None else p.consumed.rows(user_B),
        extra=rows(p.extra),
    )


def pick(world: World, session: Session, slate_BK: Tensor) -> tuple[Items, Tensor]:
    """The items at the slate's positions, and which slots are shown (B, K): no repeats, allowed."""
    ids_BC, allowed_BC = (
        f(session.offer) for f in (world.candidates.ids, world.candidates.allowed)
    )
    shown_BK = ~repeated(slate_BK)
    position_BK = slate_BK.long()
    if allowed_BC is not None:
        shown_BK = shown_BK & allowed_BC.gather(1, position_BK)
    id_BK = slate_BK.int() if ids_BC is None else ids_BC.gather(1, position_BK)
    return Items(id_BK, world.catalogue), shown_BK


def repeated(slate_BK: Tensor) -> Tensor:
    """Slots whose position an earlier slot of the slate has already, (B, K) bool."""
    B, K = slate_BK.shape
    few = FEW_USERS if plain(slate_BK) else MANY_USERS
    if few > B or K > FEW_SLOTS:  # few operations
        same_BKK = (slate_BK[:, :, None] == slate_BK[:, None, :]).tril(-1)
        return same_BKK.any(2)
    if plain(slate_BK):  # numpy compares integers four times as fast
        own_KB = slate_BK.numpy().T.copy()  # few bytes: a slot of all users lies side by side
        again_KB = np.zeros(own_KB.shape, bool)
        for distance in range(1, K):
            again_KB[distance:] |= own_KB[distance:] == own_KB[:-distance]
        return torch.from_numpy(again_KB.T.copy())
    slate_KB = slate_BK.T.contiguous()
    if torch.compiler.is_compiling():  # the same, as what a compiler turns into few loops
        none_B = torch.zeros_like(slate_KB[0], dtype=torch.bool)
        later = [(slate_KB[:k] == slate_KB[k]).any(0) for k in range(1, K)]
        return torch.stack([none_B, *later], 1)
    found_KB = torch.zeros_like(slate_KB, dtype=torch.bool)
    for distance in range(1, K):
        found_KB[distance:] |= slate_KB[distance:] == slate_KB[:-distance]
    return found_KB.T.contiguous()


def _who_next(world: World, session: Session, num_rows: int) -> tuple[Tensor, Tensor, Tensor]:
    """Seed, user and visit of the sessions that these rows, of num_rows, have next."""
    arrival_B, size = session.user_id + num_rows, world.population.size
    return session.seed, arrival_B % size, session.visit + arrival_B // size


def _first_history(world: World, arrival: Arrival) -> History:
    """What is remembered on arrival, cut or padded to the world's length."""
    B, H, M = arrival.user_id.shape[0], world.history_size, world.num_signals
    device = arrival.user_id.device
    id_BH = torch.full((B, H), -1, dtype=torch.int32, device=device)
    feedback_BHM = torch.zeros(B, H, M, device=device)
    if arrival.history is not None and arrival.feedback is not None and H:
        id_BH = torch.cat([id_BH, arrival.history], 1)[:, -H:].contiguous()
        known_BHM = arrival.feedback.masked_fill(arrival.feedback.isnan(), 0.0)
        feedback_BHM = torch.cat([feedback_BHM, known_BHM], 1)[:, -H:].contiguous()
    return History(id_BH, feedback_BHM, torch.full_like(id_BH, LONG_AGO))


def _next_history(history: History, id_BK: Tensor, feedback_BKM: Tensor) -> History:
    """Append the clicked items in slot order; forget the oldest."""
    H = history.id.shape[1]
    if H == 0:
        return history
    click_BK = feedback_BKM[..., 0] > 0
    order_BK = (~click_BK).int().argsort(dim=1, stable=True)  # clicked slots first
    new_BKM = feedback_BKM.gather(1, order_BK[..., None].expand_as(feedback_BKM))
    keep_BH = torch.arange(H, device=id_BK.device) + click_BK.sum(1, keepdim=True)
    id_BH = torch.cat([history.id, id_BK.gather(1, order_BK)], 1).gather(1, keep_BH)
    age_BH = torch.cat([history.age + 1, torch.ones_like(id_BK)], 1).gather(1, keep_BH)
    keep_BHM = keep_BH[..., None].expand(-1, -1, feedback_BKM.shape[2])
    return History(
        id_BH,
        torch.cat([history.feedback, new_BKM], 1).gather(1, keep_BHM),
        age_BH.clamp(max=LONG_AGO),
    )


def _no_slates(world: World, num_users: int) -> PastSlates | None:
    """What is remembered of slates on arrival: nothing yet."""
    if not world.shown_size:
        return None
    shape = (num_users, world.shown_size, world.slate_size)
    id_BPK = torch.full(shape, -1, dtype=torch.int32, device=world.device)
    return PastSlates(id_BPK, torch.zeros_like(id_BPK, dtype=torch.bool))


def _next_past(
    past: PastSlates | None, id_BK: Tensor, shown_BK: Tensor, click_BK: Tensor
) -> PastSlates | None:
    """Append a slate; forget the oldest."""
    if past is None:
        return None
    id_BK = id_BK.masked_fill(~shown_BK, -1)
    return PastSlates(
        torch.cat([past.id[:, 1:], id_BK[:, None]], 1),
        torch.cat([past.taken[:, 1:], click_BK[:, None]], 1),
    )
