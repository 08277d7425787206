"""The README.md of a trained agent's folder: front matter that the hub reads, then for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slategym.envs.names import in_markdown

LIMITS = (
    "acts before this catalogue and in slates of this size alone; other sizes are refused",
    "learned in a simulated world: what it earns there is no promise of what people would do",
    "what it earns beside the ranker, the rules and the judges is said by a study "
    "(`slategym benchmark`) or by `slategym compare`, not by this card",
)


def agent_card(kept: Mapping[str, Any]) -> str:
    """The card.

    Args:
        kept: what `read_about` says of the agent.
    """
    from huggingface_hub import ModelCardData

    about = kept["about"]
    world = str(about.get("world", ""))
    front = ModelCardData(
        library_name="slategym",
        pipeline_tag="reinforcement-learning",
        tags=["reinforcement-learning", "recommender-system", "slates", kept["agent"]],
        license="other",
        license_name="terms-of-the-data",
        license_link="#terms",
    )
    # what a stranger's folder says is no code: values that are none of these are left to the reader
    given = [
        f"{name}={value!r}"
        for name, value in about.get("world_settings", {}).items()
        if name.isidentifier() and isinstance(value, bool | int | float | str)
    ]
    settings = {**about.get("world_settings", {}), "slate_size": kept["slate_size"]}
    seeds = ", ".join(str(seed) for seed in kept["seeds"])
    where = in_markdown(world) if world else "a world that is not named here"
    return "\n".join(
        [
            *("---", str(front.to_yaml()).strip(), "---"),
            *(f"# {in_markdown(kept['agent'])}, {where}", ""),
            f"A policy that shows slates of {kept['slate_size']} items, trained by slategym on "
            f"{kept['steps']:,} slates in {where} (training seeds: {seeds}).",
            *("", "## World"),
            *(f"- {in_markdown(f'{name}: {value}')}" for name, value in settings.items()),
            *("", "## Settings"),
            *(f"- {in_markdown(f'{name}: {value}')}" for name, value in kept["settings"].items()),
            *("", "## What is served"),
            *(_served(kept) or ["- what was learned"]),
            *("", "## Limits", *(f"- {limit}" for limit in LIMITS)),
            *("", "## Terms"),
            "An agent that learned before people of a log holds what it learned of them: the terms "
            "of the log apply to it too.",
            *("", "## Use", "```python", "import slategym as sg", ""),
            f"world = sg.make_world({', '.join([repr(world or 'WORLD'), *given])})",
            'agent = sg.agents.from_hub("owner/name", world)  # or sg.load_agent("this folder", '
            "world)",
            *("```", ""),
        ]
    )


def _served(kept: Mapping[str, Any]) -> list[str]:
    """A line for each training seed that was held against its start on selection people."""
    lines = []
    for seed, one in zip(kept["seeds"], kept.get("served") or [], strict=False):
        what = "what was learned" if one["policy"] == "trained" else "what it began at"
        lines.append(f"- seed {seed}: {what}; selection people decided")
    return lines
