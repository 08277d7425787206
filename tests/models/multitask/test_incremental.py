"""The network event by event is the network on the whole sequence."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from small_worlds import GAP, loud_bert, random_population
from torch import Tensor

from slategym.envs.engine import arrive
from slategym.envs.trees import map_tensors
from slategym.envs.types import Catalogue, Context, Items, Population
from slategym.models.multitask.incremental import BertObserver, Encoded, StateEncoder
from slategym.models.multitask.network import MultiTaskBert

N, H, B = 30, 5, 12
CLOSE = {"atol": 1e-5, "rtol": 0.0}


@pytest.fixture(scope="module")
def encoder() -> StateEncoder:
    return StateEncoder(loud_bert(N, max_history=H + 4), seconds_per_event=GAP)


@pytest.fixture(scope="module")
def people() -> Population:
    """Histories of 0 to 5 events."""
    return random_population(B, N, H, gaps=True)


def everybody(population: Population) -> Tensor:
    return torch.arange(population.size, dtype=torch.int32)


def clock(population: Population) -> Context:
    hour_B, weekday_B = population.hour, population.weekday
    assert hour_B is not None and weekday_B is not None
    zero_B = torch.zeros_like(weekday_B)
    return Context(hour_B, weekday_B, zero_B, zero_B, zero_B, torch.zeros_like(hour_B))


class Story:
    """Each user's events so far, as plain lists: the slow way to the same state."""

    def __init__(self, population: Population) -> None:
        p = population
        assert p.history is not None and p.feedback is not None and p.gap is not None
        self.people = p
        self.events = [
            [
                (int(i), f.tolist(), float(g))
                for i, f, g in zip(p.history[u], p.feedback[u], p.gap[u], strict=True)
                if i >= 0
            ]
            for u in range(p.size)
        ]

    def add(
        self,
        item_B: Tensor,
        feedback_BM: Tensor,
        took_B: Tensor,
        days_B: Tensor | None = None,
    ) -> None:
        for u, events in enumerate(self.events):
            if took_B[u]:
                gap = GAP if days_B is None else GAP + 86_400 * float(days_B[u])
                events.append((int(item_B[u]), feedback_BM[u].tolist(), gap))

    def states(self, model: MultiTaskBert) -> Tensor:
        """Last state of each user by the network's own forward, one user at a time, (B, D)."""
        p = self.people
        assert p.profile is not None and p.hour is not None and p.weekday is not None
        states = []
        with torch.no_grad():
            items_ND = model.item_vectors()
            for u, events in enumerate(self.events):
                id_1H = torch.tensor([[e[0] for e in events]], dtype=torch.int64)
                feedback_1HM = torch.tensor([[e[1] for e in events]]).reshape(1, len(events), 3)
                gap_1H = torch.tensor([[e[2] for e in events]])
                context_1D = model.sequence.context_token(
                    p.profile[[u]], p.hour[[u]], p.weekday[[u]]
                )
                events_1HD = model.sequence.event_tokens(items_ND, id_1H, feedback_1HM, gap_1H)
                states.append(model.sequence.states(context_1D, events_1HD, None)[0, -1])
        return torch.stack(states)


def random_events(turn: int) -> tuple[Tensor, Tensor, Tensor]:
    """Item, signals and whether it is taken, for B users."""
    generator = torch.Generator().manual_seed(turn)
    item_B = torch.randint(N, (B,), generator=generator)
    rating_B = torch.randint(1, 6, (B,), generator=generator).float()
    feedback_BM = torch.stack([torch.ones(B), (rating_B >= 4).float(), rating_B], 1)
    return item_B, feedback_BM, torch.rand(B, generator=generator) < 0.6


def test_event_by_event_equals_the_full_forward(encoder: StateEncoder, people: Population) -> None:
    story = Story(people)
    encoded, context = encoder.initial(arrive(people, everybody(people))), clock(people)
    torch.testing.assert_close(encoded.state, story.states(encoder.model), **CLOSE)
    for turn in range(4):
        events = random_events(turn)
        story.add(*events)
        encoded = encoder.after(encoded, *events, context)
        assert encoded.length.tolist() == [len(events) + 1 for events in story.events]
        torch.testing.assert_close(encoded.state, story.states(encoder.model), **CLOSE)
    assert len(set(encoded.length.tolist())) > 3  # of different lengths side by side
    assert encoded.state.std(0).min() > 0.1  # users are told apart


@pytest.mark.parametrize("sequence", ["gru", "cloze"])
def test_other_sequences_event_by_event_equal_their_full_forward(
    sequence: str, people: Population
) -> None:
    encoder = StateEncoder(
        loud_bert(N, max_history=H + 4, sequence=sequence), seconds_per_event=GAP
    )
    story = Story(people)
    ready = encoder.prepared(people)
    encoded, context = ready.initial(arrive(people, everybody(people))), clock(people)
    torch.testing.assert_close(encoded.state, story.states(encoder.model), **CLOSE)
    for turn in range(4):
        events = random_events(turn)
        story.add(*events)
        encoded = encoder.after(encoded, *events, context)
        torch.testing.assert_close(encoded.state, story.states(encoder.model), **CLOSE)


@pytest.mark.parametrize("sequence", ["causal", "gru"])
def test_days_between_visits_are_told_with_the_next_event(
    sequence: str, people: Population
) -> None:
    """Also where the first slates after the return were passed over."""
    encoder = StateEncoder(
        loud_bert(N, max_history=H + 6, sequence=sequence), seconds_per_event=GAP
    )
    story, days_B = Story(people), torch.zeros(B)
    encoded, context = encoder.initial(arrive(people, everybody(people))), clock(people)
    for turn in range(6):
        item_B, feedback_BM, took_B = random_events(turn)
        away_B = torch.where(torch.arange(B) % 3 == turn % 3, 0.5 + turn, 0.0)
        days_B = days_B + away_B
        story.add(item_B, feedback_BM, took_B, days_B)
        days_B = days_B.masked_fill(took_B, 0.0)
        now = replace(context, gap=away_B)
        encoded = encoder.after(encoded, item_B, feedback_BM, took_B, now)
        torch.testing.assert_close(encoded.state, story.states(encoder.model), **CLOSE)
    assert days_B.count_nonzero() > 0  # somebody's days still wait for an event


def test_who_takes_nothing_stays_as_they_are(encoder: StateEncoder, people: Population) -> None:
    before, context = encoder.initial(arrive(people, everybody(people))), clock(people)
    item_B, feedback_BM, _ = random_events(0)
    nobody_B = torch.zeros(B, dtype=torch.bool)
    after = encoder.after(before, item_B, feedback_BM, nobody_B, context)
    assert torch.equal(after.state, before.state) and torch.equal(after.length, before.length)
    events = random_events(1)
    torch.testing.assert_close(
        encoder.after(after, *events, context).state, encoder.after(before, *events, context).state
    )


def test_the_state_that_is_passed_in_is_not_written_to(
    encoder: StateEncoder, people: Population
) -> None:
    for ready in (encoder, encoder.prepared(people)):
        before = ready.initial(arrive(people, everybody(people)))
        copy = map_tensors(Tensor.clone, before)
        ready.after(before, *random_events(2), clock(people))
        assert all(map(torch.equal, leaves(before), leaves(copy)))


def leaves(encoded: Encoded) -> list[Tensor]:
    return [*encoded.inputs, encoded.state, encoded.length]


def test_a_look_up_equals_reading(encoder: StateEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "slategym.models.multitask.incremental.PEOPLE_AT_ONCE", 5
    )  # parts of unlike lengths
    people = random_population(B, N, H, gaps=True, seed=3)
    assert people.history is not None
    people.history[5:10] = -1  # a whole part without history
    user_B = torch.tensor([11, 0, 0, 7, 3], dtype=torch.int32)
    arrival = arrive(people, user_B)
    read, ready = encoder.read(arrival), encoder.prepared(people)
    found = ready.initial(arrival)
    torch.testing.assert_close(found.state, read.state, **CLOSE)
    assert torch.equal(found.length, read.length)
    events = tuple(x[:5] for x in random_events(1))
    context = map_tensors(lambda x: x[user_B.long()], clock(people))
    torch.testing.assert_close(
        ready.after(found, *events, context).state,
        encoder.after(read, *events, context).state,
        **CLOSE,
    )
    blank = replace(arrival, history=None)
    assert torch.equal(ready.initial(blank).state, found.state)  # the table alone was asked
    assert encoder._table is None


def test_the_company_does_not_matter(encoder: StateEncoder, people: Population) -> None:
    user_B, context, events = everybody(people), clock(people), random_events(4)
    together = encoder.after(encoder.initial(arrive(people, user_B)), *events, context)
    for b in range(B):
        one = slice(b, b + 1)
        alone = encoder.after(
            encoder.initial(arrive(people, user_B[one])),
            *(x[one] for x in events),
            map_tensors(lambda x, one=one: x[one], context),
        )
        torch.testing.assert_close(alone.state, together.state[one], **CLOSE)


def test_when_the_places_are_used_up_the_last_one_is_written_anew(people: Population) -> None:
    full = StateEncoder(loud_bert(N, max_history=H), seconds_per_event=GAP)
    people = random_population(B, N, H)
    story, context = Story(people), clock(people)
    encoded = full.initial(arrive(people, everybody(people)))
    assert set(encoded.length.tolist()) == {full.capacity}
    for turn in range(3):
        events = random_events(turn)
        encoded = full.after(encoded, *events, context)
        for u, before in enumerate(story.events):
            if events[2][u]:
                before.pop()
        story.add(*events)
        assert set(encoded.length.tolist()) == {full.capacity}
        torch.testing.assert_close(encoded.state, story.states(full.model), **CLOSE)


def test_arrivals_that_cannot_be_read_are_refused(
    encoder: StateEncoder, people: Population
) -> None:
    arrival = arrive(people, everybody(people))
    with pytest.raises(ValueError, match="a population with a history"):
        encoder.read(replace(arrival, history=None))
    with pytest.raises(ValueError, match="profiles and arrival times"):
        encoder.read(replace(arrival, hour=None))
    long = arrive(random_population(B, N, H + 5), everybody(people))
    with pytest.raises(ValueError, match="10 events of history exceed the model's 9"):
        encoder.read(long)


def test_scores_and_embedding_know_the_time_of_the_request(
    encoder: StateEncoder, people: Population
) -> None:
    encoded, context = encoder.initial(arrive(people, everybody(people))), clock(people)
    model = encoder.model
    query_BD = model.sequence.query(encoded.state, context.hour, context.weekday)
    torch.testing.assert_close(encoder.embed(encoded, context), query_BD)
    later = replace(context, hour=(context.hour + 6) % 24)
    assert not torch.allclose(encoder.embed(encoded, later), query_BD, atol=0.1)
    every = encoder.score(encoded, None, context)
    some = encoder.score(encoded, torch.tensor([[4, 0]]).expand(B, -1), context)
    for all_BN, few_B2 in zip(every, some, strict=True):
        torch.testing.assert_close(few_B2, all_BN[:, [4, 0]])


def test_the_observer_reads_the_clicked_item_of_each_slate(
    encoder: StateEncoder, people: Population
) -> None:
    observer, context = BertObserver(encoder), clock(people)
    before = observer.initial(arrive(people, everybody(people)), context)
    slate_BK = torch.arange(2 * B, dtype=torch.int32).view(B, 2)
    feedback_BKM = torch.zeros(B, 2, 3)
    feedback_BKM[0, 1] = torch.tensor([1.0, 1.0, 5.0])  # user 0 clicks item 1, five stars
    items = Items(slate_BK, Catalogue(torch.zeros(N), encoder.items_ND, torch.zeros(N)))
    after = observer.update(before, items, feedback_BKM, context)
    took_B = torch.arange(B) == 0
    feedback_BM = torch.tensor([1.0, 1.0, 5.0]).expand(B, 3)
    expected = encoder.after(before, torch.full((B,), 1), feedback_BM, took_B, context)
    assert torch.equal(after.state[0], expected.state[0])
    assert torch.equal(after.state[1:], before.state[1:])
    assert observer.width == 16 and observer.embed(after, context).shape == (B, 16)
