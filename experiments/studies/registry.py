"""Every study by name: a line each, or an entry point `slategym.studies` in another package.

Strings only: nothing heavy is imported before a study is asked for. What a name points at is a
`Study`, or a function from a `Request` to one where the study depends on what is asked.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, NamedTuple

from slategym.envs.names import lookup

if TYPE_CHECKING:
    from slategym.experiments.study import Request, Study

PLUG_INS = "slategym.studies"
HERE = "slategym.experiments.studies"


class StudyEntry(NamedTuple):
    """Where a study is, and what it is in a line."""

    where: str  # "module:name" of a Study, or of a function from a Request to one
    one_line: str


STUDIES: dict[str, StudyEntry] = {
    "movielens": StudyEntry(
        f"{HERE}.movielens:STUDY", "RL against the supervised multi-task ranker on MovieLens-100K"
    ),
    "slateq": StudyEntry(
        f"{HERE}.slateq:STUDY", "SlateQ's published table, and what the value of no click does to it"
    ),
    "sardine": StudyEntry(
        f"{HERE}.sardine:STUDY",
        "agents that see no preferences against a greedy one that does, where people are bored",
    ),
    "topicrec": StudyEntry(
        f"{HERE}.topicrec:STUDY",
        "GeMS and other learners against an oracle that does not look ahead, in GeMS' own world",
    ),
}


def studies() -> dict[str, StudyEntry]:
    """All that can be named: this package's, then those of others. A name of ours stays ours."""
    theirs = {
        point.name: StudyEntry(point.value, f"of {point.dist.name if point.dist else 'elsewhere'}")
        for point in entry_points(group=PLUG_INS)
    }
    return {**theirs, **STUDIES}


def find_study(name: str, request: Request) -> Study:
    """The study of that name, as asked for.

    Raises:
        UsageError: there is none; the nearest is offered.
    """
    from slategym.experiments.study import Study

    module, _, attribute = lookup("study", name, studies()).where.partition(":")
    found = getattr(import_module(module), attribute)
    made: Study = found if isinstance(found, Study) else found(request)
    return made
