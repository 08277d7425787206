"""Other people's libraries train a minute where something is to be gained, and gain it.

    pip install 'slategym[clients]' && pytest -m slow tests/clients

RLlib and d3rlpy pin older releases of Gymnasium than they need: install them with `--no-deps`.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from clients_play import WORLD, assert_gains, earned, flat_env, gain, paired, random_slates, tensor
from five_items import five_items
from torch import nn
from torch.distributions import Categorical, Independent, Normal

from slategym.agents.registry import make_policy
from slategym.agents.sb3.env import SlateVecEnv
from slategym.agents.sb3.flat import Flat
from slategym.agents.sb3.item_space import ItemSpace
from slategym.envs.gym import SlateVectorEnv
from slategym.envs.registry import make_world
from slategym.experiments.measure.offline import (
    d3rlpy_dataset,
    minari_dataset,
    obp_feedback,
    read_slates,
)
from slategym.experiments.measure.play import play
from slategym.experiments.measure.slate_log import writing

# theirs: of imports and of options that we do not set
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def library(name: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip(name, reason=f"{name} is not installed", exc_type=ImportError)


def test_sb3_contribs_tqc_gains() -> None:
    contrib = library("sb3_contrib")
    world = make_world("LongTermSatisfaction-v0")
    env = SlateVecEnv(world, 16, Flat(ItemSpace(world)))
    model = contrib.TQC("MlpPolicy", env, learning_starts=960, seed=0)
    model.learn(16_000)
    assert_gains(gain(lambda seen: model.predict(seen, deterministic=True)[0]), 20.0)


def test_sb3_contribs_maskable_ppo_gains() -> None:
    """Slates of positions, where items are few enough to tell apart by their places."""
    contrib = library("sb3_contrib")
    world = five_items()
    model = contrib.MaskablePPO(
        "MultiInputPolicy", SlateVecEnv(world, 16), n_steps=64, batch_size=256, seed=0
    )
    model.learn(16_000)
    envs = SlateVectorEnv(world, 256)
    ours = earned(envs, lambda seen: model.predict(seen, deterministic=True)[0])
    assert_gains(paired(ours - random_slates(envs)), 5.0)


def test_torchrls_ppo_gains() -> None:
    library("torchrl")
    from tensordict.nn import TensorDictModule
    from torchrl.modules import ProbabilisticActor, ValueOperator
    from torchrl.objectives import ClipPPOLoss
    from torchrl.objectives.value import GAE

    from slategym.agents.adapters.torchrl import SlateTensorDictEnv

    torch.manual_seed(0)
    world = make_world("LongTermSatisfaction-v0")
    env, K, C = SlateTensorDictEnv(world, 32), world.slate_size, world.num_candidates

    class PerCandidate(nn.Module):
        """Logits of every slot from each candidate's own features."""

        def __init__(self) -> None:
            super().__init__()
            width = world.catalogue.embedding.shape[1]
            self.score = nn.Sequential(nn.Linear(width, 32), nn.Tanh(), nn.Linear(32, K))

        def forward(self, items_BCD: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = self.score(items_BCD).transpose(-1, -2)
            return logits

    def law(logits: torch.Tensor) -> Independent:
        return Independent(Categorical(logits=logits), 1)

    net = TensorDictModule(PerCandidate(), ["candidate_embedding"], ["logits"])
    actor = ProbabilisticActor(
        net, ["logits"], distribution_class=law, return_log_prob=True, spec=env.action_spec
    )
    critic = ValueOperator(nn.Sequential(nn.Flatten(-2), nn.Linear(C, 1)), ["candidate_embedding"])
    loss_of = ClipPPOLoss(actor, critic, entropy_bonus=False, normalize_advantage=True)
    loss_of.set_keys(sample_log_prob=actor.log_prob_keys[0])
    gae = GAE(gamma=0.9, lmbda=0.95, value_network=critic)
    adam = torch.optim.Adam(loss_of.parameters(), 3e-3)
    for _ in range(20):
        with torch.no_grad():
            rollout = env.rollout(30, actor, break_when_any_done=False)
            rollout["next", "reward"] = rollout["next", "reward"] / 20.0
            gae(rollout)
        flat = rollout.reshape(-1)
        for _ in range(6):
            for index in torch.randperm(len(flat)).split(240):
                told = loss_of(flat[index])
                loss = told["loss_objective"] + told["loss_critic"]
                adam.zero_grad()
                loss.backward()
                adam.step()
    envs = SlateVectorEnv(world, 128)

    def act(seen: dict[str, np.ndarray]) -> np.ndarray:
        with torch.no_grad():
            logits: torch.Tensor = net.module(tensor(seen["candidate_embedding"]))
        return logits.argmax(-1).int().numpy()

    assert_gains(paired(earned(envs, act) - random_slates(envs)), 20.0)  # type: ignore[arg-type]


def test_tianshous_ppo_gains() -> None:
    library("tianshou")
    from tianshou.algorithm import PPO
    from tianshou.algorithm.modelfree.reinforce import ProbabilisticActorPolicy
    from tianshou.algorithm.optim import AdamOptimizerFactory
    from tianshou.data import Collector, VectorReplayBuffer
    from tianshou.env import DummyVectorEnv
    from tianshou.trainer import OnPolicyTrainerParams
    from tianshou.utils.net.common import Net
    from tianshou.utils.net.continuous import ContinuousActorProbabilistic, ContinuousCritic

    torch.manual_seed(0)
    envs = DummyVectorEnv([flat_env] * 8)
    envs.seed(0)
    one = flat_env()
    width, actions = one.observation_space.shape, one.action_space.shape
    actor = ContinuousActorProbabilistic(
        preprocess_net=Net(state_shape=width, hidden_sizes=[64]),
        action_shape=actions,
        unbounded=True,
    )
    critic = ContinuousCritic(preprocess_net=Net(state_shape=width, hidden_sizes=[64]))
    policy = ProbabilisticActorPolicy(
        actor=actor,
        dist_fn=lambda mean_std: Independent(Normal(*mean_std), 1),
        action_space=one.action_space,
        deterministic_eval=True,
    )
    algorithm = PPO(
        policy=policy,
        critic=critic,
        optim=AdamOptimizerFactory(lr=1e-3),
        gamma=0.9,
        return_scaling=True,
        max_grad_norm=0.5,
    )
    collector = Collector(algorithm, envs, VectorReplayBuffer(4_096, 8))
    algorithm.run_training(
        OnPolicyTrainerParams(
            training_collector=collector,
            max_epochs=1,
            epoch_num_steps=12_000,
            collection_step_num_env_steps=960,
            batch_size=240,
            update_step_num_repetitions=6,
            show_progress=False,
            verbose=False,
        )
    )

    def act(seen: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            (mean, _), _ = actor(tensor(seen))
        return mean.numpy()

    assert_gains(gain(act), 20.0)


def test_rllibs_ppo_gains() -> None:
    ray = library("ray")
    library("ray.rllib")
    from ray.rllib.algorithms.ppo import PPOConfig
    from ray.tune.registry import register_env

    register_env("flat", lambda config: flat_env())
    config = (
        PPOConfig()
        .environment("flat")
        .env_runners(num_env_runners=0, num_envs_per_env_runner=8, rollout_fragment_length=120)
        .training(
            train_batch_size_per_learner=960,
            minibatch_size=240,
            num_epochs=6,
            lr=1e-3,
            gamma=0.9,
            vf_clip_param=1e6,
            vf_loss_coeff=1e-3,
            grad_clip=0.5,
        )
        .debugging(seed=0, log_level="ERROR")
    )
    ray.init("local", num_cpus=1, include_dashboard=False, log_to_driver=False)
    try:
        algorithm = config.build_algo()
        for _ in range(12):
            algorithm.train()
        module = algorithm.get_module()
        algorithm.stop()
    finally:
        ray.shutdown()

    def act(seen: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            inputs = module.forward_inference({"obs": tensor(seen)})["action_dist_inputs"]
        return inputs.chunk(2, -1)[0].numpy()

    assert_gains(gain(act), 20.0)


def logged(path: Path, id: str, users: int, **settings: Any) -> Path:
    """What random slates brought about, with what is needed to learn from it."""
    world = make_world(id, **settings)
    about = {"world": f"slategym/{id}", "settings": settings, "policy": "random", "seed": 0}
    with writing(world, path, about) as log:
        play(world, make_policy("random", world), torch.arange(users), seed=0, on_slate=log.add)
    return path


def careful(d3rlpy: Any, *rates: str) -> dict[str, Any]:
    """Settings for rewards that are mostly noise: scaled, a short way ahead, learned quickly."""
    rates = rates or ("actor_learning_rate", "critic_learning_rate")
    scaler = d3rlpy.preprocessing.StandardRewardScaler()
    return {
        "gamma": 0.3,
        "batch_size": 256,
        "reward_scaler": scaler,
        **dict.fromkeys(rates, 1e-3),
    }


def fitted(d3rlpy: Any, config: Any, data: Any) -> Any:
    """A learner that is careful with what the log does not show, trained a minute."""
    d3rlpy.seed(0)
    learner = config.create()
    learner.build_with_dataset(data)
    learner.fit(
        data,
        n_steps=600,
        n_steps_per_epoch=600,
        show_progress=False,
        logger_adapter=d3rlpy.logging.NoopAdapterFactory(),
    )
    return learner


def test_d3rlpy_gains_from_our_own_log(tmp_path: Path) -> None:
    """The whole way: a log of random slates, one call, an offline learner, and the world again."""
    d3rlpy = library("d3rlpy")
    data = d3rlpy_dataset(logged(tmp_path / "log.parquet", WORLD, 300, slate_size=1))
    learner = fitted(d3rlpy, d3rlpy.algos.TD3PlusBCConfig(**careful(d3rlpy)), data)
    assert_gains(gain(learner.predict), 20.0)


def test_minari_keeps_our_log_and_d3rlpy_gains_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Positions in an offer, seen as the offer's vectors: what Minari keeps as it was shown."""
    minari, d3rlpy = library("minari"), library("d3rlpy")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    path = logged(tmp_path / "log.parquet", WORLD, 300, slate_size=1)
    minari_dataset(path, "mine/satisfaction-v0")
    kept = minari.load_dataset("mine/satisfaction-v0")
    world = kept.recover_environment().unwrapped.world
    assert world.slate_size == 1 and world.name == f"slategym/{WORLD}"
    log = read_slates(path)
    assert kept.total_episodes == 300 and kept.total_steps == len(log.item)
    episodes = list(kept.iterate_episodes())
    first = episodes[0]
    assert first.observations["candidate_item"].shape == (len(first) + 1, 10)
    np.testing.assert_array_equal(first.actions, log.action[: len(first)])

    def joined(parts: list[np.ndarray]) -> np.ndarray:
        return np.concatenate(parts).astype(np.float32)

    data = d3rlpy.dataset.MDPDataset(
        observations=joined([e.observations["candidate_embedding"][:-1, :, 0] for e in episodes]),
        actions=np.concatenate([e.actions for e in episodes]),
        rewards=joined([e.rewards for e in episodes])[:, None],
        terminals=joined([e.terminations for e in episodes]),
        timeouts=joined([e.truncations for e in episodes]),
        action_space=d3rlpy.constants.ActionSpace.DISCRETE,
        action_size=10,
    )
    learner = fitted(
        d3rlpy, d3rlpy.algos.DiscreteCQLConfig(**careful(d3rlpy, "learning_rate")), data
    )
    envs = SlateVectorEnv(make_world(WORLD, slate_size=1), 128)

    def act(seen: dict[str, np.ndarray]) -> np.ndarray:
        return learner.predict(seen["candidate_embedding"][..., 0]).astype(np.int32)[:, None]

    assert_gains(paired(earned(envs, act) - random_slates(envs)), 20.0)  # type: ignore[arg-type]


def test_open_bandit_pipelines_slate_estimators_find_the_truth(tmp_path: Path) -> None:
    """Another policy's worth from a log of random slates, and what it earns in the world itself."""
    library("obp")
    from obp.ope import SlateRewardInteractionIPS, SlateStandardIPS

    settings = {"num_items": 8, "slate_size": 2, "horizon": 1}
    path = logged(tmp_path / "log.parquet", "Workbench-v0", 20_000, **settings)
    feedback = obp_feedback(path)
    weight_N = np.exp(np.linspace(-1.0, 1.0, 8))  # Plackett-Luce, whoever comes
    item_SK = feedback["action"].reshape(-1, 2)
    first_S = weight_N[item_SK[:, 0]] / weight_N.sum()
    second_S = weight_N[item_SK[:, 1]] / (weight_N.sum() - weight_N[item_SK[:, 0]])
    truth = drawn_value(settings, weight_N)
    shared = {name: feedback[name] for name in ("slate_id", "reward", "position")}
    sips = SlateStandardIPS(len_list=2).estimate_interval(
        **shared,
        pscore=feedback["pscore"],
        evaluation_policy_pscore=np.repeat(first_S * second_S, 2),
        random_state=0,
        n_bootstrap_samples=1_000,
    )
    rips = SlateRewardInteractionIPS(len_list=2).estimate_interval(
        **shared,
        pscore_cascade=feedback["pscore_cascade"],
        evaluation_policy_pscore_cascade=np.stack([first_S, first_S * second_S], 1).ravel(),
        random_state=0,
        n_bootstrap_samples=1_000,
    )
    for told in (sips, rips):
        low, high = (told[f"95.0% CI ({end})"] for end in ("lower", "upper"))
        assert low <= truth <= high, (told, truth)
        assert high - low < 0.2 * truth


def drawn_value(settings: dict[str, Any], weight_N: np.ndarray) -> float:
    """What Plackett-Luce slates of these weights earn, by drawing them."""
    world = make_world("Workbench-v0", **settings)
    envs, chance = SlateVectorEnv(world, 20_000), np.random.default_rng(5)

    def act(seen: object) -> np.ndarray:
        gumbel_BN = chance.gumbel(size=(20_000, 8)) + np.log(weight_N)
        return np.argsort(-gumbel_BN, 1)[:, :2].astype(np.int32)

    return float(earned(envs, act).mean())
