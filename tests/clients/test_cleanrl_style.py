"""PPO as CleanRL writes it, on Gymnasium's vector environments: torch alone, nothing of ours."""

from __future__ import annotations

import numpy as np
import torch
from clients_play import assert_gains, flat_envs, gain, tensor
from torch import Tensor, nn
from torch.distributions import Normal

ENVS, STEPS, ROUNDS, EPOCHS = 32, 30, 12, 6
GAMMA, TRACE, CLIP = 0.9, 0.95, 0.2


class ActorCritic(nn.Module):
    def __init__(self, width: int, actions: int) -> None:
        super().__init__()
        self.mean = nn.Sequential(nn.Linear(width, 64), nn.Tanh(), nn.Linear(64, actions))
        self.value = nn.Sequential(nn.Linear(width, 64), nn.Tanh(), nn.Linear(64, 1))
        self.log_std = nn.Parameter(torch.zeros(actions))

    def law(self, seen: Tensor) -> Normal:
        return Normal(self.mean(seen), self.log_std.exp())


def test_it_gains() -> None:
    torch.manual_seed(0)
    envs = flat_envs(ENVS)
    assert envs.single_observation_space.shape and envs.single_action_space.shape
    agent = ActorCritic(envs.single_observation_space.shape[0], envs.single_action_space.shape[0])
    adam = torch.optim.Adam(agent.parameters(), 3e-3, eps=1e-5)
    seen, _ = envs.reset(seed=0)
    for _ in range(ROUNDS):
        rows: list[tuple[Tensor, ...]] = []
        for _ in range(STEPS):
            now = tensor(seen)
            with torch.no_grad():
                law = agent.law(now)
                action = law.sample()
                value = agent.value(now)[:, 0]
            seen, reward, left, cut, _ = envs.step(action.numpy())
            over = tensor(left | cut)
            logp = law.log_prob(action).sum(1)
            rows.append((now, action, logp, value, tensor(reward) / 20.0, over))
        columns = (torch.stack(x) for x in zip(*rows, strict=True))
        obs, actions, logps, values, rewards, overs = columns
        with torch.no_grad():
            coming = agent.value(tensor(seen))[:, 0]
        advantages, trace = torch.zeros_like(rewards), torch.zeros(ENVS)
        for t in reversed(range(STEPS)):
            delta = rewards[t] + GAMMA * coming * (1 - overs[t]) - values[t]
            trace = delta + GAMMA * TRACE * (1 - overs[t]) * trace
            advantages[t], coming = trace, values[t]
        batch = [x.flatten(0, 1) for x in (obs, actions, logps, advantages, advantages + values)]
        for _ in range(EPOCHS):
            for index in torch.randperm(ENVS * STEPS).split(240):
                o, a, old, adv, target = (x[index] for x in batch)
                law = agent.law(o)
                ratio = (law.log_prob(a).sum(1) - old).exp()
                adv = (adv - adv.mean()) / (adv.std() + 1e-8)
                gained = torch.minimum(ratio * adv, ratio.clamp(1 - CLIP, 1 + CLIP) * adv)
                loss = -gained.mean() + 0.5 * (agent.value(o)[:, 0] - target).square().mean()
                adam.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(agent.parameters(), 0.5)
                adam.step()

    def act(seen: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return agent.mean(tensor(seen)).numpy()

    assert_gains(gain(act), 20.0)
