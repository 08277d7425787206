"""What real clients of the environments do: Gymnasium's wrappers, sb3-contrib, TorchRL, pickles."""

import pickle
import warnings

import cloudpickle
import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import data_equivalence
from gymnasium.wrappers import RenderCollection, TimeAwareObservation
from gymnasium.wrappers import vector as vector_wrappers
from small_worlds import learned_world
from stable_baselines3 import SAC

from slategym.agents.adapters.gymnasium import ProtoActionWrapper
from slategym.agents.sb3.env import SlateVecEnv
from slategym.agents.sb3.flat import Flat
from slategym.agents.sb3.item_space import ItemSpace
from slategym.envs.gym import SlateVectorEnv
from slategym.envs.names import UsageError
from slategym.envs.registry import WORLDS, make_world
from slategym.envs.single import SlateEnv
from slategym.experiments.cli.main import answer, build

OWN = sorted(id for id, entry in WORLDS.items() if entry.builder.startswith("slategym.envs."))
IE = "slategym/InterestEvolution-v0"


@pytest.mark.parametrize("world_id", OWN)
def test_pictures_of_a_session_are_of_one_size(world_id):
    env = gym.make(world_id, render_mode="rgb_array")
    env.reset(seed=0)
    sizes = {env.render().shape}
    for _ in range(6):
        *_, left, cut, _ = env.step(env.action_space.sample())
        sizes.add(env.render().shape)
        if left or cut:
            env.reset()
    ((height, width, colours),) = sizes
    assert colours == 3 and height % 2 == width % 2 == 0  # as video formats have it


def test_a_vector_environment_renders_each_user():
    env = SlateVectorEnv(IE, 3, render_mode="rgb_array", max_episode_steps=2)
    env.reset(seed=0)
    for _ in range(3):
        env.step(np.tile(np.arange(3), (3, 1)))
    frames = env.render()
    assert len(frames) == 3 and len({frame.shape for frame in frames}) == 1
    texts = SlateVectorEnv(IE, 3, render_mode="ansi")
    texts.reset(seed=0)
    assert [text.split("user ")[1][0] for text in texts.render()] == ["0", "1", "2"]


def test_a_mask_begins_pictures_anew_where_it_resets():
    env = SlateVectorEnv(IE, 2, render_mode="ansi", autoreset_mode="DISABLED")
    env.reset(seed=0)
    env.step(np.tile(np.arange(3), (2, 1)))
    env.reset(options={"reset_mask": np.array([False, True])})
    first, second = env.render()
    assert "user 0 · 1 slates" in first and "user 3 · 0 slates" in second


def test_gymnasium_serves_lists_of_pictures():
    env = gym.make(IE, render_mode="rgb_array_list")
    assert isinstance(env, RenderCollection)
    env.reset(seed=0)
    env.step(np.arange(3))
    assert len(env.render()) == 2


def test_gymnasium_serves_human_rendering():
    pytest.importorskip("pygame")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        env = gym.make(IE, render_mode="human")
    env.reset(seed=0)
    env.close()


def test_a_video_is_recorded(tmp_path):
    pytest.importorskip("moviepy")
    folder = tmp_path / "videos"
    env = gym.wrappers.RecordVideo(gym.make(IE, render_mode="rgb_array"), str(folder))
    env.reset(seed=0)
    env.step(np.arange(3))
    env.close()
    assert list(folder.glob("*.mp4"))


def test_the_horizon_is_in_the_spec():
    assert gym.make(IE).spec.max_episode_steps == make_world(IE).horizon
    assert gym.make(IE, max_episode_steps=4).spec.max_episode_steps == 4
    env = TimeAwareObservation(gym.make("slategym/Sardine-SlateTopK-Bored-v0"), flatten=False)
    assert env.max_timesteps == 100
    again = gym.make(gym.make(IE).spec)
    assert again.spec.max_episode_steps == make_world(IE).horizon
    assert SlateEnv(IE).spec is None  # nobody registered how it was made


def test_a_wrapped_environment_is_made_again_from_its_spec():
    env = ProtoActionWrapper(gym.make(IE))
    again = gym.make(env.spec)
    assert isinstance(again, ProtoActionWrapper)
    action = np.linspace(-1, 1, 20, dtype=np.float32)
    told = [(one.reset(seed=3)[0], one.step(action)[1]) for one in (env, again)]
    assert data_equivalence(*told)


def test_flat_observations_need_gymnasiums_own_autoreset():
    env = gym.make_vec(IE, num_envs=2, autoreset_mode="NEXT_STEP")
    flat = vector_wrappers.FlattenObservation(env)
    obs, _ = flat.reset(seed=0)
    assert obs.shape[0] == 2 and obs in flat.observation_space


def test_stable_baselines_asks_for_spec_and_pictures():
    env = SlateVecEnv(IE, 2, render_mode="rgb_array", max_episode_steps=2)
    assert env.get_attr("spec")[0].id == IE and env.render_mode == "rgb_array"
    assert env.get_attr("spec")[1].max_episode_steps == 2
    env.reset()
    for _ in range(3):
        env.step(np.tile(np.arange(3), (2, 1)))
    assert env.render().ndim == 3 and len(env.get_images()) == 2
    assert SlateVecEnv(learned_world(), 2).get_attr("spec") == [None, None]
    with pytest.raises(UsageError, match="unknown render mode 'ansi'"):
        SlateVecEnv(IE, 2, render_mode="ansi")


def test_masks_for_maskable_ppo():
    world = learned_world(num_items=7, slate_size=3)
    env = SlateVecEnv(world, 4)
    obs = env.reset()
    masks = np.stack(env.env_method("action_masks"))  # as sb3-contrib gets them
    assert masks.shape == (4, 3 * 7) and masks.dtype == np.bool_ and env.has_attr("action_masks")
    for slot in range(3):
        assert (masks[:, 7 * slot : 7 * (slot + 1)] == (obs["action_mask"] > 0)).all()
    assert not masks.all()
    assert len(env.env_method("action_masks", indices=[2])) == 1
    free = SlateVecEnv(IE, 2)
    with pytest.raises(RuntimeError, match="call reset"):
        free.action_masks()
    free.reset()
    assert free.action_masks().all() and free.action_masks().shape == (2, 30)


@pytest.mark.filterwarnings("ignore")
def test_maskable_ppo_shows_nothing_that_is_masked():
    contrib = pytest.importorskip("sb3_contrib")
    env = SlateVecEnv(learned_world(), 4)
    model = contrib.MaskablePPO("MultiInputPolicy", env, n_steps=8, batch_size=16)
    model.learn(64)
    obs = env.reset()
    action, _ = model.predict(obs, action_masks=env.action_masks())
    assert np.take_along_axis(obs["action_mask"], action, 1).all()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["CrossQ", "ARS", "TQC"])
def test_sb3_contrib_on_one_plain_vector(name):
    contrib = pytest.importorskip("sb3_contrib")
    world = make_world("LongTermSatisfaction-v0")
    env = SlateVecEnv(world, 2, Flat(ItemSpace(world)), max_episode_steps=4)
    policy = "LinearPolicy" if name == "ARS" else "MlpPolicy"
    getattr(contrib, name)(policy, env).learn(40)


def test_one_plain_vector():
    world = make_world("LongTermSatisfaction-v0")
    env = SlateVecEnv(world, 3, Flat(ItemSpace(world)), max_episode_steps=4)
    assert isinstance(env.observation_space, gym.spaces.Box)
    obs = env.reset()
    assert obs.shape == (3, *env.observation_space.shape) and obs.dtype == np.float32
    SAC("MlpPolicy", env, learning_starts=4, batch_size=4, buffer_size=50).learn(18)
    with pytest.raises(UsageError, match="Flat needs a view of one vector"):
        SlateVecEnv(world, 3, Flat(SlateVecEnv(world, 1).view))


def test_torchrls_masks_are_of_every_slot():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("torchrl")
        from torchrl.envs import TransformedEnv
        from torchrl.envs.transforms import ActionMask

        from slategym.agents.adapters.torchrl import SlateTensorDictEnv

        world = learned_world()
        env = TransformedEnv(SlateTensorDictEnv(world, 4), ActionMask())
        rollout = env.rollout(5, break_when_any_done=False)
    mask_BTKC, action_BTK = rollout["action_mask"], rollout["action"]
    assert mask_BTKC.shape[-2:] == (world.slate_size, world.num_candidates)
    assert mask_BTKC.gather(-1, action_BTK[..., None]).all()


def test_torchrls_gymnasium_environment_goes_on_without_frameskip():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("torchrl")
        from torchrl.envs import GymEnv

        assert GymEnv(IE).rollout(3).shape[0] == 3


@pytest.mark.parametrize("dumps", [pickle.dumps, cloudpickle.dumps])
def test_worlds_cross_processes(dumps):
    for world in (learned_world(), make_world(IE), make_world("DayInLife-v0")):
        there = pickle.loads(dumps(world))
        rewards = []
        for one in (world, there):
            env = SlateVectorEnv(one, 2)
            env.reset(seed=0)
            slates = np.tile(np.arange(world.slate_size), (2, 1))
            rewards.append([env.step(slates)[1].tolist() for _ in range(3)])
        assert rewards[0] == rewards[1]


def test_what_a_policy_is_shown_is_numbers():
    """NaN in an observation is named; the slate of it would mean nothing."""
    from slategym.agents.policy_gradient.ppo import PlackettLuce

    world = learned_world()
    env = SlateVectorEnv(world, 2)
    shown, _ = env.reset(seed=0)
    agent = PlackettLuce(world)
    assert agent.predict(shown).shape == (2, world.slate_size)
    for name in ("state", "history_feedback"):
        wrong = {key: x.copy() for key, x in shown.items()}
        wrong[name].flat[3] = np.nan
        with pytest.raises(ValueError, match=f"{name!r} must be finite.*user 0"):
            agent.predict(wrong)
    with pytest.raises(ValueError, match="'state' must be finite"):
        agent.predict(
            {**shown, "state": torch.full_like(torch.as_tensor(shown["state"]), torch.inf)}
        )


def test_paths_are_texts_too(tmp_path):
    from slategym.agents.policy_gradient.ppo import PlackettLuce
    from slategym.models.multitask.network import MultiTaskBert

    world = learned_world()
    agent, folder = PlackettLuce(world), str(tmp_path / "agent")
    agent.save(folder)
    assert PlackettLuce.load(folder, world).steps == 0
    model = world.observer.encoder.model
    model.save_pretrained(str(tmp_path / "model"))
    assert MultiTaskBert.from_pretrained(str(tmp_path / "model")).settings == model.settings


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_sac_gains_where_something_is_to_be_gained():
    """Random slates earn 950 to 970 here, the best some 1,118."""
    from stable_baselines3.common.evaluation import evaluate_policy

    world = make_world("LongTermSatisfaction-v0")
    model = SAC(
        "MlpPolicy", SlateVecEnv(world, 16, Flat(ItemSpace(world))), learning_starts=960, seed=0
    )
    mean = []
    for steps in (0, 16_000):
        if steps:
            model.learn(steps)
        env = SlateVecEnv(world, 32, Flat(ItemSpace(world)), seed=1)
        mean.append(evaluate_policy(model, env, 64, deterministic=True)[0])
    assert mean[1] > max(mean[0], 985), mean


@pytest.mark.parametrize("name", ["InterestEvolution-v0", "Workbench-v0", "MovieLens-v0"])
def test_every_page_says_the_name_that_worker_processes_know(name, capsys):
    assert answer(build, ["worlds", name]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert f'gymnasium.make("slategym:{name}")' in said and 'know the name "slategym:NAME"' in said
