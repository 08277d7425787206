"""Every study by name: a line each, or an entry point `slategym.studies` in another package.

Strings only: nothing heavy is imported before a study is asked for. What a name points at is a
`Study`, or a function from a `Request` to one where the study depends on what is asked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from slategym.envs.names import Registry, load_object, path_of

if TYPE_CHECKING:
    from slategym.experiments.request import Request
    from slategym.experiments.study import Study

HERE = "slategym.experiments.studies"


class StudyEntry(NamedTuple):
    """Where a study is, and what it is in a line."""

    where: str  # "module:name" of a Study, or of a function from a Request to one
    one_line: str


STUDIES: dict[str, StudyEntry] = {
    "movielens": StudyEntry(
        f"{HERE}.movielens:STUDY", "RL against the supervised multi-task ranker on MovieLens-100K"
    ),
    "log": StudyEntry(
        f"{HERE}.log:study", "RL against the supervised ranker on a log of your own, or a named one"
    ),
    "slateq": StudyEntry(
        f"{HERE}.slateq:STUDY",
        "SlateQ's published table, and what the value of no click does to it",
    ),
    "sardine": StudyEntry(
        f"{HERE}.sardine:STUDY",
        "agents that see no preferences against a greedy one that does, where people are bored",
    ),
    "recsim": StudyEntry(
        f"{HERE}.recsim:STUDY",
        "RecSim's worlds of interests to explore and of satisfaction that wears out",
    ),
    "topicrec": StudyEntry(
        f"{HERE}.topicrec:STUDY",
        "GeMS and other learners against an oracle that does not look ahead, in GeMS' own world",
    ),
}


studies = Registry("study", STUDIES, {"slategym.studies": StudyEntry})


def find_study(name: str, request: Request) -> Study:
    """The study of that name or at "module:name", as asked for.

    Raises:
        UsageError: there is none; the nearest is offered.
    """
    from slategym.experiments.study import Study

    found = load_object(studies.find(name).where)
    made: Study = found if isinstance(found, Study) else found(request)
    return made


def register_study(name: str, study: str | Callable[[Request], Study], one_line: str = "") -> None:
    """Add a study in this process; for every process, a package has an entry point.

    Args:
        name: as on the command line.
        study: a function from a `Request` to a `Study`, or the "module:name" of it or of a `Study`.
        one_line: what it asks.

    Raises:
        UsageError: there is a study of that name; the function is found by no other process.
    """
    path = path_of(study)
    studies.register(name, StudyEntry(path, one_line or path))
