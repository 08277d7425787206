"""When, by which code and on which machine a study was computed and drawn, for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from slategym.experiments.report.markup import Html, element, join


def origin_line(
    made: Mapping[str, str], command: str, computed: Sequence[Mapping[str, str]] = ()
) -> Html | None:
    """A paragraph; None where nothing is known.

    Args:
        made: date, version, commit and machine of the drawing.
        command: that repeats the study.
        computed: the same of what was computed, each once, with its number of "units"; no
            "commit": it was not kept.
    """
    if not made:
        return None
    earlier = computed_by(made, computed)
    drawn = f"{made['date']} · {code_of(made)} · {made['machine']} · "
    line = f"{earlier} Drawn {drawn}" if earlier else drawn
    return element("p", join([line, element("code", command)]), class_="soft")


def computed_by(made: Mapping[str, str], computed: Sequence[Mapping[str, str]]) -> str:
    """By what else than the code that draws it, as a sentence; "": by the same alone."""
    if all(_place(one) == _place(made) for one in computed):
        return ""
    those = "; ".join(f"{one['units']} {_told(one)}" for one in computed)
    return f"Computed, in units: {those}."


def code_of(made: Mapping[str, str]) -> str:
    """Version and commit."""
    commit = made.get("commit")
    return f"slategym {made['version']}" + (f", commit {commit}" if commit else "")


def _told(one: Mapping[str, str]) -> str:
    if "commit" not in one:
        return f"by slategym {one['version']}, of which the commit was not kept"
    return f"on {one['date']} by {code_of(one)} on {one['machine']}"


def _place(one: Mapping[str, str]) -> tuple[str | None, ...]:
    """What tells code and machines apart; days do not."""
    return tuple(one.get(name) for name in ("version", "commit", "machine"))
