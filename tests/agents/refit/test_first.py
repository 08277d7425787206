"""Learners that begin at a refitted ranker: at its slates, with what slates are left, no worse."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from small_worlds import fixed_world, learned_world, plain_taste
from torch import Tensor

from slategym.agents.refit.first import RefitFirst, refit_settings, refitted_ranker
from slategym.agents.registry import find_agent, find_entry, load_agent, make_policy
from slategym.agents.types import Policy
from slategym.envs import engine
from slategym.envs.luck import Luck
from slategym.envs.names import UsageError
from slategym.envs.registry import make_world
from slategym.envs.types import Observation, World

NAMES = ("plackett-luce-from-refit", "adaptive-trace-from-refit", "rollout-from-refit")
SMALL = {
    **{"num_steps": 96, "num_users": 4, "rollout": 4, "minibatch": 16},
    **{"epochs": 1, "updates": 1, "depth": 3, "futures": 2},
}
CAP = {"history-rule": {"most": 1, "of": 6}, "start": {"policy": "history-rule"}}
QUOTA = {"supervised": {"kind": "quota", "strength": 0.3}, "start": {"policy": "supervised"}}


def made(name: str, world: World, **changes: Any) -> RefitFirst:
    found = find_agent(name)
    default, asked = found.default_settings(), {**SMALL, **changes}
    agent = found(
        world,
        replace(default, **{f.name: asked[f.name] for f in fields(default) if f.name in asked}),
    )
    assert isinstance(agent, RefitFirst)
    return agent


def taught(agent: RefitFirst) -> RefitFirst:
    """As after a refit that found items to be liked quite otherwise than the ranker thinks."""
    generator = torch.Generator().manual_seed(0)
    correction = agent.refit.correction
    with torch.no_grad():
        for x in (correction.item_N2, correction.last.weight, correction.direction.weight):
            x.copy_(torch.randn(x.shape, generator=generator))
    agent.refit.updates, agent.over, agent.paid = 1, True, True
    agent._make()
    return agent


def slates(policy: Policy, world: World) -> Tensor:
    """Of everybody, five slates long, of sessions in which random slates are shown."""
    user_B = torch.arange(20, dtype=torch.int32)
    session, found = engine.start(world, user_B, user_B, 0 * user_B), []
    random = make_policy("random", world)
    for _ in range(5):
        seen, now = engine.observe(world, session), Luck.at(session.key, session.step)
        found.append(policy.act(seen, now).slate)
        session, _ = engine.transition(world, session, random.act(seen, now).slate)
    return torch.stack(found)


@pytest.mark.parametrize("chosen", [CAP, QUOTA], ids=["rule", "supervised"])
@pytest.mark.parametrize("name", NAMES)
def test_with_nothing_learned_on_top_it_serves_what_refit_serves(
    name: str, chosen: Mapping[str, Any]
) -> None:
    world = replace(learned_world(), chosen=chosen)
    agent = taught(made(name, world))
    theirs, start = slates(agent.refit, world), agent.at_start()
    assert start is not None and torch.equal(slates(start, world), theirs)
    if name.startswith("plackett-luce"):  # the others serve a model of people that is untrained
        assert torch.equal(slates(agent, world), theirs)
    tuned = agent.refit.at_start()
    assert float((slates(tuned, world) != theirs).float().mean()) > 0.3  # else nothing was shown


@pytest.mark.parametrize("name", NAMES)
def test_refit_has_half_of_the_slates_and_the_learner_the_rest(name: str) -> None:
    world = learned_world()
    agent = made(name, world).learn(world)
    assert agent.refit.steps == agent.refit.settings.num_steps == 48
    assert agent.after.settings.num_steps == 48
    assert agent.steps == agent.refit.steps + agent.after.steps
    assert agent.over and agent.paid and agent.refit.updates  # there was nobody to decide
    assert agent.start_name is None and find_agent(f"{name}-gamma0").learner is agent.learner


def test_rounds_of_a_short_refit_are_shorter() -> None:
    sizes = [(s.num_users, s.rollout) for s in map(refit_settings, (1, 100, 600, 102_400))]
    assert sizes == [(1, 1), (100, 1), (256, 2), (256, 16)]


def test_a_training_is_of_its_seed() -> None:
    world, name = learned_world(), "plackett-luce-from-refit"
    settings = made(name, world).settings
    one, again, other = (
        find_agent(name)(world, settings, seeds=(seed,)).learn(world).weights()
        for seed in (1, 1, 2)
    )
    assert all(torch.equal(x, again[part]) for part, x in one.items())
    moved = {part.partition(".")[0] for part, x in one.items() if not torch.equal(x, other[part])}
    assert moved == {"refit", "learner"}


def selected(believed: list[float], chosen: Mapping[str, Any] = QUOTA) -> World:
    """Where everybody wants items 3 to 5, and selection people decide."""
    taste = plain_taste([-2.0, -2.0, -2.0, 1.0, 1.0, 1.0], [-2.0] * 3 + [1.0] * 3)
    ranker = {"ranker": {"heads": {"click": 1.0}, "nothing": None}}
    found = fixed_world(taste, [0, 0, 0, 1, 1, 1], believed, slate_size=2, horizon=10)
    plain = {"supervised": {"kind": "none", "strength": 0.0}, "start": {"policy": "supervised"}}
    return replace(found, selection=lambda: found, chosen={**ranker, **chosen, **plain})


RIGHT, WRONG = [0.0, 0.0, 0.0, 1.0, 1.1, 1.2], [0.6, 0.5, 0.4, 0.3, 0.2, 0.1]


@pytest.mark.parametrize(("believed", "pays"), [(WRONG, True), (RIGHT, False)])
def test_it_begins_at_refit_where_selection_people_are_better_off_with_it(
    believed: list[float], pays: bool
) -> None:
    """A refit that found out who wants what, or that found out the contrary."""
    world = selected(believed)
    agent = made("plackett-luce-from-refit", world)
    agent.begin(world)
    with torch.no_grad():
        agent.refit.correction.item_N2[:, 0] = torch.tensor(RIGHT if pays else WRONG) * 20
    agent.refit.updates, agent.refit.steps = 1, 48
    agent._hand_over()
    assert agent.over and agent.paid == pays
    assert agent.start_name == (None if pays else "supervised")
    begins = agent.refit if pays else make_policy("supervised", world)
    other = make_policy("supervised", world) if pays else agent.refit
    agent.refit.serve([True])
    assert torch.equal(slates(agent, world), slates(begins, world))
    assert not torch.equal(slates(agent, world), slates(other, world))


def test_what_is_learned_on_top_is_served_only_where_it_is_no_worse_than_refit() -> None:
    world = selected(WRONG)
    agent = made("plackett-luce-from-refit", world)
    agent.begin(world)
    with torch.no_grad():
        agent.refit.correction.item_N2[:, 0] = torch.tensor(RIGHT) * 20
    agent.refit.updates, agent.steps = 1, 96
    agent._hand_over()
    refit = slates(agent, world)
    for x in agent.after.policy.parameters():  # what is best comes last
        x.data.neg_()
    assert not torch.equal(slates(agent, world), refit)
    agent._decide(world)
    (served,) = agent.served
    assert served.policy == "start" and served.high < 0
    assert torch.equal(slates(agent, world), refit)


@pytest.mark.parametrize("name", NAMES)
def test_saved_and_loaded_it_goes_on_from_the_same_ranker(name: str, tmp_path: Path) -> None:
    world = replace(learned_world(), chosen=CAP)
    agent = taught(made(name, world))
    agent.serve([False])
    agent.save(tmp_path, {"agent": name})
    again = load_agent(tmp_path, learned_world())
    assert isinstance(again, RefitFirst) and again.name == name and again.over and again.paid
    assert torch.equal(slates(again, world), slates(agent, world))
    assert again.chosen()["history-rule"] == CAP["history-rule"]


def test_corrected_parts_are_those_of_the_offer() -> None:
    """Whoever retrieves and whoever asks for single items hears the same."""
    world = learned_world()
    ranker = refitted_ranker(taught(made(NAMES[0], world)).refit)
    user_B = torch.arange(20, dtype=torch.int32)
    seen: Observation = engine.observe(world, engine.start(world, user_B, user_B, 0 * user_B))
    best, utility_BC, reward_BC = ranker.retrieve_parts(seen, 7)
    assert torch.equal(best.id, ranker.retrieve(seen, 7).id) and best.id.shape == (20, 7)
    parts = ranker.parts(seen, best.id)
    torch.testing.assert_close(parts, (utility_BC, reward_BC))
    torch.testing.assert_close(ranker.utility(seen, best.id), utility_BC)
    assert torch.equal(ranker.retrieve(seen, 40).id[:, :7], best.id)
    plain = replace(ranker, corrections=None)
    best, *both = plain.retrieve_parts(seen, 7)
    torch.testing.assert_close(tuple(both), plain.parts(seen, best.id))


def test_who_begins_at_no_ranker_is_refused_in_a_line() -> None:
    for name in ("slateq", "supervised-refit", "reinforce-topk", "lookahead"):
        with pytest.raises(UsageError, match=f"{name} begins at no ranker that is refitted"):
            find_agent(f"{name}-from-refit")
    for name in ("random-from-refit", "plackett-luce-from-refit-from-refit"):
        with pytest.raises(UsageError):
            find_entry(name)
    with pytest.raises(UsageError, match="has no supervised model"):
        find_agent(NAMES[0])(make_world("InterestEvolution-v0"))
    with pytest.raises(UsageError, match="leave shortlist as it is"):
        made(NAMES[0], learned_world(), shortlist=0)
