"""A session by hand is one that simulation plays; what is changed moves slate and chance."""

from __future__ import annotations

import pytest
import torch
from small_worlds import learned_world

from slategym.agents.registry import make_policy
from slategym.envs import engine
from slategym.envs.names import UsageError
from slategym.envs.registry import make_world
from slategym.envs.types import World
from slategym.experiments.measure.play import play
from slategym.experiments.workbench import bench as benches
from slategym.experiments.workbench.markup import bars, past_tables, slate_table


@pytest.fixture(scope="module")
def day() -> World:
    return make_world("DayInLife-v0")


@pytest.fixture(scope="module")
def learned() -> World:
    return learned_world()


def test_stepped_by_hand_it_earns_what_simulation_earns(day: World) -> None:
    named = [(name, make_policy(name, day)) for name in ("myopic", "random")]
    bench = benches.begin(day, named, user=3, seed=0)
    while not all(side.over for side in bench.sides):
        bench = benches.step(bench)
    for side, (_, policy) in zip(bench.sides, named, strict=True):
        row = play(day, policy, torch.tensor([3], dtype=torch.int32), seed=0).iloc[0]
        assert side.earned == pytest.approx(float(row["return"]), rel=1e-5)
        assert len(side.past) == int(row["length"])
    ended = benches.step(bench)
    assert [side.past for side in ended.sides] == [side.past for side in bench.sides]


def test_what_is_proposed_is_what_is_shown(day: World) -> None:
    bench = benches.begin(day, [("myopic", make_policy("myopic", day))], user=1)
    for _ in range(3):
        proposed = benches.slate_of(bench, bench.sides[0])
        assert proposed == benches.slate_of(bench, bench.sides[0])  # looking changes nothing
        bench = benches.step(bench)
        assert bench.sides[0].past[-1].slots == proposed
    assert len(bench.sides[0].past) == 3
    values = benches.states(bench.sides[0], day)
    assert values and all(len(numbers) <= 24 for numbers in values.values())


def test_every_field_of_the_context_can_be_changed(day: World) -> None:
    bench = benches.begin(day, [("myopic", make_policy("myopic", day))], user=0)
    fields = benches.fields_of(bench)
    assert {"hour", "device", "weather"} <= set(fields)
    before, moved = benches.slate_of(bench, bench.sides[0]), set()
    for name, (value, words) in fields.items():
        for new in range(len(words)) if words else (value + 6.0,):
            other = benches.changed(bench, name, float(new))
            found, told = benches.fields_of(other)[name]
            assert found == float(new) and told == words
            if benches.slate_of(other, other.sides[0]) != before:
                moved.add(name)
    assert {"hour", "device"} <= moved
    with pytest.raises(UsageError, match="shows no 'wether' in its context; fields: hour"):
        benches.changed(bench, "wether", 1.0)


def test_another_history_is_another_state_and_slate(learned: World) -> None:
    policy = make_policy("supervised-untuned", learned)
    bench = benches.begin(learned, [("ranker", policy)], user=2)
    before = benches.history_of(bench)
    assert before and all(title == benches.title_of(learned, item) for item, title in before)
    items = [item for item, _ in before]
    same = benches.with_history(bench, items)
    slots, again = (benches.slate_of(one, one.sides[0]) for one in (bench, same))
    assert [slot.item for slot in again] == [slot.item for slot in slots]
    assert [slot.chance for slot in again] == pytest.approx(
        [slot.chance for slot in slots], rel=1e-4
    )
    new = next(n for n in range(learned.catalogue.num_items) if n not in items)
    for changed in (items[:1], [*items[1:], new], []):
        other = benches.with_history(bench, changed)
        assert [item for item, _ in benches.history_of(other)] == changed
        ours, theirs = (
            engine.observe(side.world, side.sides[0].session).state for side in (bench, other)
        )
        assert ours is not None and theirs is not None and not torch.allclose(ours, theirs)
        assert benches.slate_of(other, other.sides[0]) != benches.slate_of(bench, bench.sides[0])
    assert benches.history_of(bench) == before  # the world itself is as it was
    with pytest.raises(UsageError, match="a history is at most"):
        benches.with_history(bench, [10**6])


def test_who_is_not_there_is_said(day: World) -> None:
    policy = make_policy("random", day)
    with pytest.raises(UsageError, match="people are 0 to"):
        benches.begin(day, [("random", policy)], user=-1)
    bench = benches.begin(day, [("random", policy)], user=0)
    assert benches.history_of(bench) == ()
    with pytest.raises(UsageError, match="has no histories to change"):
        benches.with_history(bench, [1])


def test_labels_stay_text() -> None:
    slots = (
        benches.Slot(0, "<script>alert(1)</script>", "a & b", 0.25, True),
        benches.Slot(1, "plain", "t", 0.0, False),
    )
    table = slate_table(slots, (True, False))
    assert "<script>" not in table and "&lt;script&gt;" in table and "a &amp; b" in table
    assert "✓ clicked" in table and "(empty slot)" in table and "25.0%" in table
    assert "clicked" not in slate_table(slots)
    past = past_tables([benches.Shown(slots, (True, False), 1.5, "<b>now</b>")] * 2)
    assert past.index("slate 2") < past.index("slate 1") and "<b>" not in past
    assert bars("a", [0.5]) == "<p>a: 0.5</p>" and "height: 100%" in bars("<a>", [0.0, 2.0])
