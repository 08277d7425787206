# %% [markdown]
# # A user model of your own, in two methods
#
# `appeal` says how likely a click is, as log-odds; `evolve` says how a person changes. All randomness comes from `luck`.

# %%
import torch

import slategym as sg
from slategym.envs import UserModel, purpose

LIKES = purpose("notebook.likes")


class Weary(UserModel[torch.Tensor]):
    def initial(self, arrival, luck):
        return luck.normal(LIKES, 10)  # the liking of ten topics

    def appeal(self, state, items, context):
        return state.gather(1, items.topic.long())

    def evolve(self, state, items, feedback_BKM, context, luck):
        return state.scatter_add(1, items.topic.long(), -0.3 * feedback_BKM[..., 0])


# %% [markdown]
# The contract checker says in words what is wrong, if anything is.

# %%
sg.check_user_model(Weary())

# %% [markdown]
# These people before a made-up catalogue, a bandit that learns of them, and what it must beat.

# %%
world = sg.make_world("Workbench-v0", users=Weary())
agent = sg.agents.LinUCB(world)
agent.learn(world, 10_000)
print(sg.compare(world, [agent, "myopic", "popularity", "random"], users=300))
