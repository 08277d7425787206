"""What people see of a session."""

import warnings
from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest

import slategym  # noqa: F401  registers the worlds
from slategym.envs.gym import SlateVectorEnv
from slategym.envs.single import SlateEnv


def played(world, mode, num_steps=4):
    env = SlateEnv(world, render_mode=mode, max_episode_steps=50)
    env.reset(seed=1)
    env.action_space.seed(1)
    info = {}
    for _ in range(num_steps):
        *_, info = env.step(env.action_space.sample())
    return env, info


def test_the_text_tells_slate_clicks_and_state(world):
    env, info = played(world, "ansi")
    text = env.render()
    assert world.name in text and "4 slates" in text
    lines = [line for line in text.splitlines() if line[:3].strip().isdigit()]
    assert len(lines) == world.slate_size
    for line, clicked in zip(lines, info["feedback"][:, 0], strict=True):
        assert (line[4] == "*") == bool(clicked)


def test_the_picture_is_one_and_changes(world):
    env, _ = played(world, "rgb_array")
    first = env.render()
    assert first.dtype == np.uint8 and first.shape[1:] == (1000, 3) and first.shape[0] > 100
    env.step(env.action_space.sample())
    second = env.render()
    assert first.shape != second.shape or (first != second).any()


def test_titles_and_empty_slots_are_shown():
    env = SlateEnv("InterestEvolution-v0", render_mode="ansi")
    env.reset(seed=0)
    assert "0 slates" in env.render()
    env.step(np.array([1, 1, 2]))
    text = env.render()
    assert "a document, mean quality" in text and "(empty)" in text
    assert "budget: 199.5" in text or "click watch 4" in text


def test_titles_and_topics_do_not_act_upon_the_terminal(world):
    N = world.catalogue.num_items
    wild = replace(
        world.catalogue,
        title=("\x1b[31mred",) * N,
        topics=tuple(f"{name}\x07" for name in world.catalogue.topics),
    )
    text = played(replace(world, catalogue=wild), "ansi")[0].render()
    assert "\x1b" not in text and "\x07" not in text and r"\x1b[31mred" in text


def test_a_new_session_begins_a_new_picture():
    env = SlateVectorEnv("Sardine-SlateRerank-Static-v0", 2, render_mode="ansi")
    env.reset(seed=0)
    for _ in range(10):
        env.step(env.action_space.sample())
    text, _ = env.render()
    assert "user 2" in text and "0 slates" in text


def test_what_the_device_hides_is_said_to_be_unseen_and_context_is_in_words():
    env = SlateEnv("DayInLife-v0", render_mode="ansi")
    env.reset(seed=3)
    env.step(np.arange(10))
    device = env.world.context.names["device"][int(env._batch._session.context.device[0])]
    text = env.render()
    assert f"context device: {device}" in text
    assert text.count("not seen") == 10 - {"phone": 3, "tablet": 5, "screen": 10}[device] > 0


def test_the_users_bookkeeping_is_not_drawn():
    env = SlateEnv("Sardine-SlateTopK-Bored-v0", render_mode="ansi")
    env.reset(seed=3)
    env.step(np.arange(10))
    parts = [line.split(":")[0].strip() for line in env.render().splitlines()[-3:]]
    assert parts == ["taste", "count", "bored"]


def test_human_opens_a_window_that_shows_each_slate(monkeypatch: pytest.MonkeyPatch) -> None:
    pygame = pytest.importorskip("pygame", reason="needs the extra window")
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")  # a window that nobody sees
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # gymnasium says that its wrapper draws
        env = gym.make("slategym/InterestEvolution-v0", render_mode="human")
        env.reset(seed=0)
        seen = [pygame.surfarray.array3d(pygame.display.get_surface())]
        for _ in range(2):
            env.step(env.action_space.sample())
            seen.append(pygame.surfarray.array3d(pygame.display.get_surface()))
        env.close()
    assert all(x.std() > 5 for x in seen[1:])
    assert (seen[0] != seen[1]).any() and (seen[1] != seen[2]).any()
