"""Boosted values: trees grown on statistics of others, their number chosen on held people."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from small_worlds import small_log

from slategym.models.classics.oblivious import Growing
from slategym.models.data.log import Log
from slategym.models.people.boosted import BoostedValues, best_number, fit_boosted
from slategym.models.people.types import Party

GROWING = Growing(most=30, rate=0.3)


def party(log: Log) -> Party:
    return Party(log, np.arange(80), np.arange(0, 80, 4), torch.zeros(log.num_items, 8))  # no texts


def rated(log: Log, rating_E: np.ndarray) -> Log:
    return replace(log, events=log.events.assign(rating=np.clip(np.rint(rating_E), 1, 5)))


def error(values: BoostedValues, log: Log, people: np.ndarray) -> float:
    """Mean squared, of strangers' values, each told those before it."""
    found = list[torch.Tensor]()
    own = [log.events[log.events["user"] == user] for user in people]
    B = len(people)
    belief = values.initial(torch.zeros(B, 0, dtype=torch.int64), torch.zeros(B, 0))
    for at in range(max(map(len, own))):  # everybody's next row, where there is one
        took_B = torch.tensor([at < len(rows) for rows in own])
        last = [min(at, len(rows) - 1) for rows in own]
        item_B, value_B = (
            torch.tensor([rows[name].iloc[t] for rows, t in zip(own, last, strict=True)])
            for name in ("item", "rating")
        )
        value_B = value_B.float()
        found.append((values.mean(belief, item_B[:, None])[:, 0] - value_B)[took_B].square())
        belief = values.after(belief, item_B, value_B, took_B)
    return float(torch.cat(found).double().mean())


def test_where_items_differ_by_luck_alone_trees_take_back_what_was_made_of_few_rows() -> None:
    """Were a person's own rows in the statistics that describe them, trees would lean on these."""
    log, strangers, errors = small_log(120, 300), np.arange(80, 100), []
    for seed in (0, 1):
        drawn_E = np.random.default_rng(seed).uniform(0.5, 5.5, len(log.events))
        luck = rated(log, drawn_E)
        trees = fit_boosted(party(luck), "rating", np.arange(80), GROWING)
        none = fit_boosted(party(luck), "rating", np.arange(80), replace(GROWING, most=0))
        assert none.trees.value_SV.numel() == 0
        errors.append((error(trees, luck, strangers), error(none, luck, strangers)))
    of_trees, of_none = np.mean(errors, 0)
    # .94 of it, .95 over four draws; 1.03 of it, if people are described by their own rows too
    assert of_trees < 0.97 * of_none


def test_what_a_line_cannot_say_is_learned_and_counted_on_held_people() -> None:
    """Everybody gives one end or the other, by what the item is and how many were met before."""
    log = small_log(120, 40)
    order_E = log.events.groupby("user").cumcount().to_numpy()
    odd_E = (log.events["item"].to_numpy() % 2 == 1) ^ (order_E >= 8)
    made = rated(log, np.where(odd_E, 5.0, 1.0))
    number = best_number(party(made), "rating", GROWING)
    assert number > 0
    strangers = np.arange(80, 100)
    trees = fit_boosted(party(made), "rating", np.arange(80), replace(GROWING, most=number))
    none = fit_boosted(party(made), "rating", np.arange(80), replace(GROWING, most=0))
    assert error(trees, made, strangers) < 0.8 * error(none, made, strangers)
    luck = rated(log, np.random.default_rng(0).uniform(0.5, 5.5, len(log.events)))
    assert best_number(party(luck), "rating", GROWING) < number


def test_all_items_and_some_say_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where few users fit into a part."""
    log = small_log(120, 40)
    values = fit_boosted(party(log), "rating", np.arange(80), GROWING)
    history_BH, value_BH = torch.randint(0, 40, (5, 6)), torch.randint(1, 6, (5, 6)).float()
    belief = values.initial(history_BH, value_BH)
    every_BN = values.mean(belief, None)
    monkeypatch.setattr("slategym.models.people.boosted.PAIRS_AT_ONCE", 3)
    id_BC = torch.randint(0, 40, (5, 4))
    torch.testing.assert_close(values.mean(belief, id_BC), every_BN.gather(1, id_BC))
    torch.testing.assert_close(values.mean(belief, None), every_BN)
