"""SlateQ: Q-values of single items add up to those of slates, where at most one item is chosen.

    observation -> Q(s, i) of every item, Q(s, null) of no click
    slate       =  arg max over A of  sum over i in A of P(i | A) Q(s, i) + P(null | A) Q(s, null)
    on an event i (an item clicked, or none):
                   Q(s, i)  <-  r + gamma max over A' of the same sum in s'    (SARSA: the A' shown)

The reference code (RecSim 55e50e4, slate_decomp_q_agent.py) gives no click a place in P and the
value zero. `null="zero"` is that; `null="learned"` learns it, as of any other event.

Source: Ie et al. 2019, SlateQ, arXiv:1905.12767, sections 4 and 5.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from slategym.agents.core import sessions
from slategym.agents.core.agent import Agent
from slategym.agents.core.ensemble import Ensemble, adam_state, clip_each, load_adam, ready_adam
from slategym.agents.core.inputs import Inputs
from slategym.agents.core.random_slates import Random
from slategym.agents.core.replay import Scene, Shown, SlateReplay
from slategym.agents.core.tree import filled, leaves
from slategym.agents.slateq.click_odds import CHOICES, ClickOdds, check_choice
from slategym.agents.slateq.network import ItemNetwork, of_candidates
from slategym.agents.slates.one_choice import NEVER, SEARCHES, slate_lead
from slategym.agents.types import Action
from slategym.envs import engine, luck
from slategym.envs.gym import turn_of
from slategym.envs.luck import Luck, purpose, seed_words
from slategym.envs.names import UsageError, lookup
from slategym.envs.settings import Amount, Count, Length, Rate
from slategym.envs.trees import map_tensors
from slategym.envs.types import Observation, World

EXPLORE = purpose("slateq.explore")
ROUNDS = 32  # slates per user and cycle
WARM_UP = 1 / 60  # share of the training before the first update
EXPLORED = 0.3  # share of the training after which epsilon stays at its lowest
LEAST_EPSILON, LEAST_RATE = 0.1, 0.05  # where epsilon ends; where Adam's rate ends, as a share
CLIP = 10.0  # largest norm of a gradient
ITEM = 1 / 20  # of `scale`: the unit of what an item adds to a state's value, and of errors
MOST_BYTES = 2**30  # of what is remembered, for each seed

NULLS = ("zero", "clicks", "learned")
How = Literal["ts", "gs", "os"]  # top-k, greedy, exact: see agents/slates/one_choice.py


@dataclass(frozen=True)
class SlateQSettings:
    """How item values are learnt, and which slates are made of them."""

    num_steps: Count = 299_008  # slates of each seed: 146 cycles, within the paper's 300,000
    num_users: Count = 64  # side by side, of each seed; one update per slate of all of them
    target: Literal["sarsa", "ts", "gs", "os"] = "os"  # the next slate that a target counts on
    serve: How = "os"  # how slates are found, in training and after
    null: Literal["zero", "clicks", "learned"] = "learned"  # value of no click
    choice: Literal["given", "learned"] = "learned"  # click odds: the world's true ones, or fitted
    batch: Count = 256  # events per update
    learning_rate: Amount = 1e-3  # Adam's, falling linearly to a twentieth
    tau: Rate = 0.02  # share by which the target network follows at each update
    gamma: Rate = 1.0  # discount per slate, in [0, 1]
    scale: Amount = 100.0  # reward units: the size of a state's value
    prior: Length | None = None  # column of the inputs that is, times scale, a first guess of it


class SlateQ(Agent):
    """Item-decomposed Q-learning or SARSA over slates; double, dueling, with a Polyak target."""

    name: ClassVar[str] = "slateq"
    several_seeds: ClassVar[bool] = True
    settings: SlateQSettings

    @classmethod
    def default_settings(cls) -> SlateQSettings:
        """As in the study of the paper's table, but for what only that world has."""
        return SlateQSettings()

    @classmethod
    def check_world(cls, world: World) -> None:
        """At most one item of a slate may be chosen."""
        check_choice(world)

    def build(self) -> None:
        """Item values, their slow copy, and click odds."""
        world, s = self.world, self.settings
        self.inputs = Inputs(world)
        self._check_settings()
        odds = lookup("choice", s.choice, CHOICES)
        self.odds: ClickOdds = odds(self.inputs, self.seeds, s.learning_rate)
        make = lambda: ItemNetwork(self.inputs.width, world.catalogue)  # noqa: E731
        self.values = Ensemble(make, self.seeds, world.device)
        self.target = self.values.frozen_copy()
        self.adam = ready_adam(self.values.parameters(), s.learning_rate, eps=1e-5)
        seed_S = seed_words(self.seeds, world.device)
        self.key_S = luck.key(seed_S, torch.zeros_like(seed_S), torch.zeros_like(seed_S))
        self.random = Random(world.num_candidates, world.slate_size)
        self.round = 0  # slates shown to every user

    def _check_settings(self) -> None:
        s, width = self.settings, self.inputs.width
        for name, known in (("target", (*SEARCHES, "sarsa")), ("serve", SEARCHES), ("null", NULLS)):
            lookup(name, getattr(s, name), dict.fromkeys(known))
        if s.prior is not None and not 0 <= s.prior < width:
            raise UsageError(
                f"prior names a column of slateq's {width} inputs, 0 to {width - 1}; got {s.prior}"
            )

    def begin(self, world: World) -> None:
        """Seat the users; make room to remember them."""
        self.where, self.turn = world, turn_of(world)
        self.sessions = sessions.seat(world, self.seeds, self.settings.num_users)
        self.round = 0
        scene = self._scene(engine.observe(world, self.sessions.session), len(self.seeds))
        S, B = scene.x.shape[:2]
        number_SB = scene.x.new_zeros(S, B)
        whole_SB = number_SB.long()
        slate_SBK = whole_SB[..., None].expand(-1, -1, world.slate_size)
        shown = Shown(scene, slate_SBK, whole_SB, number_SB, number_SB.bool())
        self.replay = SlateReplay.like(shown, self._num_rounds, MOST_BYTES)

    def cycle(self) -> tuple[int, dict[str, float]]:
        """Some slates for every user, with one update after each."""
        observation = engine.observe(self.where, self.sessions.session)
        losses = []
        for _ in range(ROUNDS):
            observation = self._play(observation)
            if self.round > self._warm_up:
                losses.append(self._update())
        self.sessions, figures = sessions.harvest(self.sessions)
        figures["rollout/exploration_rate"] = self._epsilon
        if losses:
            figures["train/loss"], click_loss = torch.stack(losses).mean((0, 2)).tolist()
            figures["train/learning_rate"] = self._rate
            figures["train/n_updates"] = float(self.round - self._warm_up)
            if self.settings.choice == "learned":
                figures["train/click_loss"] = click_loss
        return ROUNDS * self.settings.num_users, figures

    @torch.no_grad()
    def _play(self, observation: Observation) -> Observation:
        """One slate for every user, epsilon-greedy; what they see next."""
        S = len(self.seeds)
        scene = self._scene(observation, S)
        best_LK = self._search(scene, self.settings.serve, self.values).flatten(0, 1).int()
        now = sessions.luck_of(self.sessions)
        slate_LK = torch.where(self._explores(now), self.random.slate(observation, now), best_LK)
        self.sessions, step = sessions.show(self.where, self.turn, self.sessions, slate_LK)
        click_LK = step.outcome.feedback[..., 0] > 0
        slot_L = torch.where(click_LK.any(1), click_LK.int().argmax(1), click_LK.shape[1])
        found = (slate_LK.long(), slot_L, step.outcome.reward, step.ended)
        by_seed = (x.view(S, -1, *x.shape[1:]) for x in found)
        self.replay.put(self.round, Shown(scene, *by_seed))
        self.round += 1
        return step.next

    def _update(self) -> Tensor:
        """One step of Adam for values and for odds; the losses of every seed, (2, S)."""
        counter_S = torch.full_like(self.key_S, self.round)
        now, after = self.replay.draw(
            self.round - 1, Luck.at(self.key_S, counter_S), self.settings.batch
        )
        goal_Sn = self._goal(now, after)
        value_SnN = self._all_values(self.values, now.scene.x)
        event_Sn1, clicked_Sn = self._events(now)
        error_Sn = (value_SnN.gather(2, event_Sn1)[..., 0] - goal_Sn) / self._unit
        loss_Sn = 0.5 * error_Sn.square()
        if self.settings.null != "learned":  # nothing is learnt from no click
            share_S1 = clicked_Sn.float().mean(1, keepdim=True).clamp(min=0.01)
            loss_Sn = loss_Sn * clicked_Sn / share_S1
        loss_S = loss_Sn.mean(1)
        self.adam.param_groups[0]["lr"] = self._rate
        self.adam.zero_grad()
        loss_S.sum().backward()  # type: ignore[no-untyped-call]
        clip_each(self.values.parameters(), CLIP)
        self.adam.step()
        self.target.follow(self.values, self.settings.tau)
        return torch.stack([loss_S.detach(), self.odds.update(now, self._rate)])

    @torch.no_grad()
    def _goal(self, now: Shown, after: Shown) -> Tensor:
        """What an event was worth: its reward and the value of the next slate, (S, n)."""
        odds_SnC = self.odds(after.scene)
        if self.settings.target == "sarsa":
            slate_SnK = after.slate
        else:  # double: one network chooses, the other says what that is worth
            own_SnC, _ = self._leads(self.values, after.scene)
            search = SEARCHES[self.settings.target]
            slate_SnK = search(odds_SnC, own_SnC, self.world.slate_size)
        lead_SnC, null_Sn1 = self._leads(self.target, after.scene)
        odds_SnK = odds_SnC.gather(2, slate_SnK)
        next_Sn = null_Sn1[..., 0] + slate_lead(odds_SnK, lead_SnC.gather(2, slate_SnK))
        if self.settings.null == "clicks":
            click_Sn = odds_SnK.sum(2)
            next_Sn = next_Sn * (1.0 + click_Sn) / click_Sn.clamp(min=1e-6)
        return now.reward + self.settings.gamma * next_Sn.masked_fill(now.ended, 0.0)

    def _events(self, now: Shown) -> tuple[Tensor, Tensor]:
        """Rows that were clicked, N for none, (S, n, 1); and whether any was, (S, n)."""
        clicked_Sn = now.slot < now.slate.shape[2]
        position_Sn1 = now.slate.gather(2, (now.slot * clicked_Sn)[..., None])
        candidate = now.scene.candidate
        item_Sn1 = position_Sn1 if candidate is None else candidate.long().gather(2, position_Sn1)
        none_Sn1 = torch.full_like(item_Sn1, self.world.catalogue.num_items)
        return torch.where(clicked_Sn[..., None], item_Sn1, none_Sn1), clicked_Sn

    def _all_values(self, network: Ensemble, x_SBX: Tensor) -> Tensor:
        """Q(s, i) of every item and, last, of no click, (S, B, N + 1), reward units."""
        level_SB1, item_SBN = network(x_SBX)
        prior = self.settings.prior
        if prior is not None:
            level_SB1 = x_SBX[..., prior, None] * (1.0 + level_SB1)
        value_SBN: Tensor = self.settings.scale * level_SB1 + self._unit * item_SBN
        return value_SBN

    def _leads(self, network: Ensemble, scene: Scene) -> tuple[Tensor, Tensor]:
        """What a click on each candidate is worth more than none, (S, B, C); none's, (S, B, 1)."""
        value_SBN = self._all_values(network, scene.x)
        null_SB1 = value_SBN[..., -1:]
        if self.settings.null != "learned":
            null_SB1 = torch.zeros_like(null_SB1)
        lead_SBC = of_candidates(value_SBN[..., :-1], scene.candidate) - null_SB1
        if scene.allowed is not None:
            lead_SBC = lead_SBC.masked_fill(~scene.allowed, NEVER)
        return lead_SBC, null_SB1

    def _search(
        self, scene: Scene, how: str, network: Ensemble, odds: ClickOdds | None = None
    ) -> Tensor:
        """The best slates in these values, (S, B, K) positions."""
        lead_SBC, _ = self._leads(network, scene)
        return SEARCHES[how]((odds or self.odds)(scene), lead_SBC, self.world.slate_size)

    def _scene(self, observation: Observation, num_seeds: int) -> Scene:
        """What these S * B users see, by seed."""
        flat = Scene(
            self.inputs.vector(observation),
            observation.candidates,
            observation.allowed,
            self.odds.see(observation),
        )
        return map_tensors(lambda x: x.view(num_seeds, -1, *x.shape[1:]), flat)

    def act(self, observation: Observation, luck: Luck) -> Action:
        """The best slates, as the settings have them found."""
        return Action(self.slates(observation, self.settings.serve))

    def slates(self, observation: Observation, how: str) -> Tensor:
        """The best slates of the seed that serves, (B, K), found in one of SEARCHES."""
        scene = self._scene(observation, 1)
        at = self.serving
        return self._search(scene, how, self.values.only(at), self.odds.only(at))[0].int()

    def explore(self, observation: Observation, luck: Luck) -> Action:
        """A random slate with probability epsilon, else the best; log-probabilities are exact."""
        return self._mixed(self.act(observation, luck).slate, observation, luck)

    def _mixed(self, best_BK: Tensor, observation: Observation, luck: Luck) -> Action:
        """Some of these replaced by random slates."""
        epsilon, uniform = self._epsilon, self.random.act(observation, luck)
        assert uniform.logp is not None
        slate_BK = torch.where(self._explores(luck), uniform.slate, best_BK)
        assert uniform.slot_logp is not None and uniform.position_logp is not None
        same_BK = slate_BK == best_BK
        # of the slots up to each one: drawn so, or the best so far
        random_BK = epsilon * uniform.slot_logp.double().cumsum(1).exp()
        upto_BK = (random_BK + (1.0 - epsilon) * same_BK.int().cummin(1).values).log()
        slot_BK = torch.cat([upto_BK[:, :1], upto_BK.diff(dim=1)], 1)
        here_BK = (epsilon * uniform.position_logp.exp() + (1.0 - epsilon) * same_BK).log()
        return Action(slate_BK, upto_BK[:, -1].float(), slot_BK.float(), here_BK)

    def _explores(self, luck: Luck) -> Tensor:
        """Who is shown a random slate, (B, 1)."""
        return luck.uniform(EXPLORE, 1) < self._epsilon

    @property
    def _unit(self) -> float:
        return ITEM * self.settings.scale

    @property
    def _num_rounds(self) -> int:
        return math.ceil(self.settings.num_steps / self.settings.num_users)

    @property
    def _warm_up(self) -> int:
        """Rounds before the first update."""
        return max(1, int(WARM_UP * self._num_rounds))

    @property
    def _epsilon(self) -> float:
        """Share of random slates now."""
        gone = self.round / self._num_rounds / EXPLORED
        return max(LEAST_EPSILON, 1.0 - (1.0 - LEAST_EPSILON) * gone)

    @property
    def _rate(self) -> float:
        """Adam's rate now."""
        left = 1.0 - self.round / self._num_rounds
        return self.settings.learning_rate * max(LEAST_RATE, left)

    def weights(self) -> dict[str, Tensor]:
        """Of item values and of click odds."""
        return leaves({"values": self.values.weights, "odds": self.odds.state()["weights"]})

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Take over both; the target becomes a copy."""
        tree = {"values": self.values.weights, "odds": self.odds.state()["weights"]}
        found = filled(tree, weights)
        self.values.load(found["values"])
        self.target.load(found["values"])
        self.odds.restore({"weights": found["odds"]})

    def state(self) -> dict[str, Any]:
        """Networks, moments, everything remembered, the users and the round."""
        return {
            "values": self.values.weights,
            "target": self.target.weights,
            "adam": adam_state(self.adam),
            "odds": self.odds.state(),
            "replay": self.replay,
            "sessions": self.sessions,
            "round": torch.tensor(self.round),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over all of it."""
        self.values.load(state["values"])
        self.target.load(state["target"])
        load_adam(self.adam, state["adam"])
        self.odds.restore(state["odds"])
        self.replay, self.sessions = state["replay"], state["sessions"]
        self.round = int(state["round"])
