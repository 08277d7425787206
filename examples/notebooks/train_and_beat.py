# %% [markdown]
# # Train a learner, and hold it against two lines of rule
#
# In SARDINE's world people tire of a topic of which they are shown too much. A minute on two cores, offline.

# %%
import slategym as sg

world = sg.make_world("Sardine-SlateTopK-Bored-v0", history_size=20)
agent = sg.agents.PlackettLuce(world)
agent.learn(world, 30_000)

# %% [markdown]
# `capped` shows the best items with at most so many of a topic: no learning, and hard to beat. `myopic` knows the truth
# and looks at the present only.

# %%
found = sg.compare(world, [agent, "capped", "myopic", "random"], users=300)
print(found)

# %% [markdown]
# If the learner is not ahead of `capped`, that is the first thing to say. Is there anything to plan for at all? The
# planner is told the truth and plays candidate slates out; what it earns above `myopic` is all that any learner could.
#
#     slategym diagnose Sardine-SlateTopK-Bored-v0
