# %% [markdown]
# # People, policies, and the same luck for all
#
# A world is people, items and what happens when a slate is shown. Here are people whose day goes by: hour, place and
# device change what they like. Nothing is fetched; all of it takes seconds.

# %%
import gymnasium as gym

import slategym as sg

world = sg.make_world("DayInLife-v0")
print(sg.envs.describe_world("DayInLife-v0").split("\n\n")[0])

# %% [markdown]
# One person, two slates of random items, as text: titles, what was clicked, and the hidden state, which no agent sees.

# %%
env = gym.make("slategym/DayInLife-v0", render_mode="ansi")
env.reset(seed=3)
for _ in range(2):
    env.step(env.action_space.sample())
print(env.render())

# %% [markdown]
# Three policies before the same 200 people with the same luck. `myopic` is told the truth and looks at the present slate
# only; the differences are paired, person by person, with 95 % intervals over people.

# %%
found = sg.compare(world, ["myopic", "popularity", "random"], users=200)
print(found)

# %% [markdown]
# The rows behind it: one per session.

# %%
rows = sg.play(world, "popularity", users=200, seed=0)
print(rows[["user", "return", "clicks", "length"]].describe().round(2))
