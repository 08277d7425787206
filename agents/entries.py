"""The policies of this package, as data: what `slategym agents` lists and `--policy` takes.

Strings only, so that the list is there before torch is. A policy that needs no training is a
function from a world; a learner is a class (see agents/core/agent.py). They are found, made and
loaded in agents/registry.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from slategym.envs.names import UsageError, load_object

if TYPE_CHECKING:
    from slategym.agents.types import Policy
    from slategym.envs.types import World

PRESENT = "-gamma0"  # ends the name of a learner that looks at the present only
FROM_REFIT = "-from-refit"  # and, before that, of one that begins at a refitted ranker
PLAIN_WORLD = "Sardine-SlateTopK-Bored-v0"  # any policy can act in it but for those that say not


class PolicyEntry(NamedTuple):
    """How a policy is made for a world, and what it is in a line."""

    kind: str  # baseline | supervised | bandit | reference | learner | plug-in
    one_line: str
    build: str | None  # "module:function" of a world. None: must be trained; named by its folder
    agent: str | None = None  # "module:Class" of what trains it, see agents/core/agent.py
    needs: str = ""  # what a world must have, for people; "": any world will do
    fixed: tuple[tuple[str, Any], ...] = ()  # settings that the name decides
    example: str = PLAIN_WORLD  # a world that it can act in
    tuning: str | None = None  # "module:function" of a world: what is tuned of it, each a `Tuning`
    refit_first: bool = False  # whether it begins at a ranker that is refitted first

    def make(self, world: World) -> Policy:
        """The policy for this world.

        Raises:
            UsageError: it must be trained first; the world lacks what it needs.
        """
        if self.build is None:
            raise UsageError(f"{self.agent} must be trained before it can act")
        policy: Policy = load_object(self.build)(world, **dict(self.fixed))
        return policy


def plain_name(name: str) -> str:
    """Of a learner's variant, the learner.

    >>> plain_name("plackett-luce-from-refit-gamma0")
    'plackett-luce'
    """
    return name.removesuffix(PRESENT).removesuffix(FROM_REFIT)


MADE = "slategym.agents.policies"
DIVERSE = f"{MADE}:supervised_diverse"
START = f"{MADE}:tune_start_steps"  # of what learners begin from
MYOPIC = "slategym.agents.references.myopic"
PLANNER = "slategym.agents.references.planner"
STATE, LEARNED = "a learned state, as MovieLens-v0 has", "MovieLens-v0"
ONE_CHOICE = "at most one click a slate, as InterestEvolution-v0 has"
CHOOSING = "InterestEvolution-v0"
LOG = "a log that agents may read, as MovieLens-v0 has"

POLICIES: dict[str, PolicyEntry] = {
    "random": PolicyEntry("baseline", "uniform distinct items", f"{MADE}:random"),
    "popularity": PolicyEntry(
        "baseline", "the most clicked items, the same for all", f"{MADE}:popularity"
    ),
    "popularity-softmax": PolicyEntry(
        "baseline",
        "drawn in proportion to clicks, each slate with its exact probability",
        f"{MADE}:popularity_softmax",
    ),
    "ease": PolicyEntry(
        "baseline",
        "every item regressed on all others, over the last clicks, which fade",
        f"{MADE}:ease",
        needs=LOG,
        example=LEARNED,
        tuning=f"{MADE}:tune_classic_ease",
    ),
    "knn": PolicyEntry(
        "baseline",
        "items that the same people clicked as the last clicks, which fade",
        f"{MADE}:knn",
        needs=LOG,
        example=LEARNED,
        tuning=f"{MADE}:tune_classic_knn",
    ),
    "transitions": PolicyEntry(
        "baseline",
        "what people clicked soon after the last clicks, which fade",
        f"{MADE}:transitions",
        needs=LOG,
        example=LEARNED,
        tuning=f"{MADE}:tune_classic_transitions",
    ),
    "ease-transitions": PolicyEntry(
        "baseline",
        "EASE and the logarithm of transitions together",
        f"{MADE}:ease_transitions",
        needs=LOG,
        example=LEARNED,
        tuning=f"{MADE}:tune_classic_ease_transitions",
    ),
    "gp": PolicyEntry(
        "baseline",
        "a Gaussian process of what a click is worth times implicit factors' odds of one",
        f"{MADE}:gp",
        needs=LOG,
        example=LEARNED,
    ),
    "supervised": PolicyEntry(
        "supervised",
        "the multi-task model's slate of most expected reward, weights and diversity tuned",
        f"{MADE}:supervised",
        needs=STATE,
        example=LEARNED,
        tuning=f"{MADE}:tune_supervised_steps",
    ),
    "supervised-untuned": PolicyEntry(
        "supervised",
        "the same with nothing tuned: click log-odds plus log reward, no diversity",
        f"{MADE}:supervised_untuned",
        needs=STATE,
        example=LEARNED,
    ),
    "supervised-cap1": PolicyEntry(
        "supervised",
        "the tuned ranker with at most one item of a topic",
        f"{MADE}:supervised_diverse",
        needs=STATE,
        fixed=(("kind", "cap"), ("strength", 1.0)),
        example=LEARNED,
    ),
    "supervised-cap2": PolicyEntry(
        "supervised",
        "the tuned ranker with at most two items of a topic",
        f"{MADE}:supervised_diverse",
        needs=STATE,
        fixed=(("kind", "cap"), ("strength", 2.0)),
        example=LEARNED,
    ),
    "supervised-cap3": PolicyEntry(
        "supervised",
        "the tuned ranker with at most three items of a topic",
        f"{MADE}:supervised_diverse",
        needs=STATE,
        fixed=(("kind", "cap"), ("strength", 3.0)),
        example=LEARNED,
    ),
    "supervised-capped": PolicyEntry(
        "supervised",
        "the tuned ranker with the cap per topic that serves selection users best",
        f"{MADE}:supervised_diverse",
        needs=STATE,
        fixed=(("kind", "cap"),),
        example=LEARNED,
        tuning=f"{MADE}:tune_supervised_steps",
    ),
    "supervised-quota": PolicyEntry(
        "supervised",
        "the same with score lost per earlier slot of the topic, as much as serves them best",
        f"{MADE}:supervised_diverse",
        needs=STATE,
        fixed=(("kind", "quota"),),
        example=LEARNED,
        tuning=f"{MADE}:tune_supervised_steps",
    ),
    "supervised-mmr": PolicyEntry(
        "supervised",
        "the same made various by maximal marginal relevance, as much as serves them best",
        f"{MADE}:supervised_diverse",
        needs=STATE,
        fixed=(("kind", "mmr"),),
        example=LEARNED,
        tuning=f"{MADE}:tune_supervised_steps",
    ),
    "supervised-dpp": PolicyEntry(
        "supervised",
        "the same made various by a determinantal point process, as much as serves them best",
        f"{MADE}:supervised_diverse",
        needs=STATE,
        fixed=(("kind", "dpp"),),
        example=LEARNED,
        tuning=f"{MADE}:tune_supervised_steps",
    ),
    "history-rule": PolicyEntry(
        "supervised",
        "the tuned ranker less what topics clicked lately cost, by two numbers that serve best",
        f"{MADE}:history_rule_tuned",
        needs=STATE,
        example=LEARNED,
        tuning=f"{MADE}:tune_history_rule_steps",
    ),
    "noisy-greedy": PolicyEntry(
        "reference",
        "drawn by the truth with a ranker's errors: writes logs",
        "slategym.agents.references.noisy:NoisyGreedy",
    ),
    "noisy-greedy-mixed": PolicyEntry(
        "reference",
        "noisy-greedy, and every fifth slate at random: writes logs",
        f"{MADE}:noisy_greedy_mixed",
    ),
    "myopic": PolicyEntry(
        "reference",
        "the best slate for one request under the world's true model",
        f"{MYOPIC}:Myopic",
    ),
    "capped": PolicyEntry(
        "reference",
        "myopic with at most two items of a topic",
        f"{MYOPIC}:Myopic",
        fixed=(("cap", 2),),
    ),
    "planner": PolicyEntry(
        "reference",
        "the best of some slates by rollouts in the true world, eight slates deep",
        f"{PLANNER}:Planner",
    ),
    "planner-one-step": PolicyEntry(
        "reference",
        "the same without looking beyond the request",
        f"{PLANNER}:Planner",
        fixed=(("depth", 1),),
    ),
    "rule-aware": PolicyEntry(
        "reference",
        "the supervised ranker told the boredom rule",
        f"{MADE}:rule_aware",
        needs=STATE,
        example=LEARNED,
    ),
    "linucb": PolicyEntry(
        "bandit",
        "linear bandit with upper confidence bounds, which looks no further than the request",
        None,
        "slategym.agents.bandits.linear:LinUCB",
    ),
    "thompson": PolicyEntry(
        "bandit",
        "the same bandit, exploring by draws from its posterior",
        None,
        "slategym.agents.bandits.linear:Thompson",
    ),
    "linear-bandit": PolicyEntry(
        "bandit",
        "linear bandit on topics clicked lately and the heads, from the tuned ranker on",
        None,
        "slategym.agents.bandits.ranked:RankedBandit",
        needs=STATE,
        example=LEARNED,
    ),
    "supervised-refit": PolicyEntry(
        "bandit",
        "the supervised model trained further on slates that it shows, for this slate alone",
        None,
        "slategym.agents.refit.agent:SupervisedRefit",
        needs=STATE,
        example=LEARNED,
        tuning=START,
    ),
    "slateq": PolicyEntry(
        "learner",
        "Q-learning of single items whose values add up to a slate's, where one item is chosen",
        None,
        "slategym.agents.slateq.agent:SlateQ",
        needs=ONE_CHOICE,
        example=CHOOSING,
    ),
    "plackett-luce": PolicyEntry(
        "learner",
        "PPO on slates drawn without replacement, from scratch or from the best tuned policy on",
        None,
        agent="slategym.agents.policy_gradient.ppo:PlackettLuce",
        tuning=START,
    ),
    "lookahead": PolicyEntry(
        "learner",
        "exact slates of tuned `supervised`, with who chooses what, and what it leads to, learnt",
        None,
        "slategym.agents.lookahead.agent:Lookahead",
        needs=STATE,
        example=LEARNED,
    ),
    "rollout": PolicyEntry(
        "learner",
        "rules on topics clicked lately, searched at every request in a learned model of people",
        None,
        "slategym.agents.rollout.agent:Rollout",
        needs=STATE,
        example=LEARNED,
        tuning=f"{MADE}:tune_history_rule_steps",
    ),
    "adaptive-trace": PolicyEntry(
        "learner",
        "a history rule that allows for how this person answers, the best of some by the return",
        None,
        "slategym.agents.rollout.adaptive:AdaptiveTrace",
        needs=STATE,
        example=LEARNED,
        tuning=f"{MADE}:tune_history_rule_steps",
    ),
    "reinforce-topk": PolicyEntry(
        "learner",
        "REINFORCE on logged slates, corrected for who showed them and for the other slots",
        None,
        agent="slategym.agents.policy_gradient.reinforce:ReinforceTopK",
    ),
    "proto-sac": PolicyEntry(
        "learner",
        "stable-baselines3's SAC on a point of the item space; slates by inner product",
        None,
        "slategym.agents.sb3.proto:ProtoSAC",
    ),
    "proto-td3": PolicyEntry(
        "learner",
        "stable-baselines3's TD3 on a point of the item space; slates by inner product",
        None,
        "slategym.agents.sb3.proto:ProtoTD3",
    ),
    "fusion-sac": PolicyEntry(
        "learner",
        "stable-baselines3's SAC on the weights of the multi-task model's heads",
        None,
        "slategym.agents.sb3.fusion:FusionSAC",
        needs=STATE,
        example=LEARNED,
    ),
    "fusion-ppo": PolicyEntry(
        "learner",
        "stable-baselines3's PPO on the weights of the multi-task model's heads",
        None,
        "slategym.agents.sb3.fusion:FusionPPO",
        needs=STATE,
        example=LEARNED,
    ),
    "gems": PolicyEntry(
        "learner",
        "SAC in the latent space of a slate auto-encoder, fitted on a log",
        None,
        "slategym.agents.latent.gems:Gems",
    ),
    "hac": PolicyEntry(
        "learner",
        "hyper-actor critic: a learned direction ranks, the critic is asked of what was shown",
        None,
        "slategym.agents.latent.hac:Hac",
    ),
    "ppo-multidiscrete": PolicyEntry(
        "learner",
        "stable-baselines3's PPO on a position per slot, as most people would try it",
        None,
        "slategym.agents.sb3.multidiscrete:PPOMultiDiscrete",
    ),
}


FAMILIES: dict[str, tuple[str, tuple[tuple[str, Any], ...], str, type, str]] = {
    # of a number: function, settings that the name decides, argument, kind, needs
    r"supervised-cap([1-9]\d*)": (DIVERSE, (("kind", "cap"),), "strength", float, STATE),
    r"supervised-quota(\d+(?:\.\d+)?)": (DIVERSE, (("kind", "quota"),), "strength", float, STATE),
    r"supervised-mmr(\d+(?:\.\d+)?)": (DIVERSE, (("kind", "mmr"),), "strength", float, STATE),
    r"supervised-dpp(\d+(?:\.\d+)?)": (DIVERSE, (("kind", "dpp"),), "strength", float, STATE),
    r"history-rule(-?\d+(?:\.\d+)?)": (f"{MADE}:history_rule", (), "strength", float, STATE),
    r"history-rule-cap(\d+of\d+)": (f"{MADE}:history_rule_capped", (), "cap", str, STATE),
    r"ease-cap([1-9]\d*)": (f"{MADE}:ease", (), "cap", int, LOG),
    r"knn-cap([1-9]\d*)": (f"{MADE}:knn", (), "cap", int, LOG),
    r"ease-transitions-cap([1-9]\d*)": (f"{MADE}:ease_transitions", (), "cap", int, LOG),
    r"transitions-cap([1-9]\d*)": (f"{MADE}:transitions", (), "cap", int, LOG),
    r"gp-cap([1-9]\d*)": (f"{MADE}:gp", (), "cap", int, LOG),
}
