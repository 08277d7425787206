"""The sentences at the top of a report, derived from a study's numbers by stated rules.

One rule of "clear", in tables and sentences alike: the interval leaves out zero, and the p-value,
adjusted by Holm for all comparisons of the same table, is below .05 (`stats.side_of`).

Against an opponent (`against_opponent`), typically the supervised ranker:
1. The learner that speaks for RL is, of those that look ahead, the one with the highest mean return
   on *selection* people in the place it was trained in. Everything said about it is read on
   *evaluation* people.
2. The control is a place where nothing a user does changes what comes next, so that looking ahead
   is worth nothing. There it may not be ahead, by clearly more than a margin, of what learned as
   much without looking ahead (`control`). If it is, the result is not to be believed. Where the
   interval reaches beyond the margin, the control cannot tell, and no win is called believed; that
   it loses there is said, and condemns nothing.
3. RL wins in a place only if it is clearly above the opponent in the world and before every judge
   of it, and clearly above whatever else without looking ahead it is compared with in at least one
   of these and clearly below in none. If it is not, it is ahead of the opponent only, and the
   verdict names what does as well. Where judges disagree, the one before whom it does worst
   decides.
4. What its lead consists of is said beside it (`attribution`).

A world that fails a check of `validate` against its own log is an objection (`objected`): it is
said first, and a win is called unsure.

Every open place (set of assumptions) is judged alike; the first gives the verdict its name, and the
others stand beside it. A sign that turns between judges or assumptions is said.

Against an oracle (`oracle`): the opponent itself knows the true model and looks one slate ahead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from slategym.experiments.statistics import sentences
from slategym.experiments.statistics.sentences import Facts
from slategym.experiments.study import Study

if TYPE_CHECKING:
    from slategym.experiments.statistics.numbers import Numbers


class Part(NamedTuple):
    """What is said of one open place, or of none in particular."""

    place: str  # "": of none
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class Verdict:
    """What the report says first."""

    outcome: str  # in a word or two, for programs: of the first place
    tone: str  # "wins" | "bad" | "unsure"
    tag: str  # for people
    parts: tuple[Part, ...]
    agent: str | None = None  # the learner that it speaks of; None: of several
    agents: tuple[str, ...] = ()  # learners, the one that it speaks of first
    outcomes: Mapping[str, str] = field(default_factory=dict)  # by open place
    objections: tuple[str, ...] = ()  # open places whose world fails against its log

    @property
    def sentences(self) -> tuple[str, ...]:
        """All of them."""
        return tuple(sentence for part in self.parts for sentence in part.sentences)

    @property
    def sentence(self) -> str:
        """All of it."""
        return " ".join(self.sentences)

    def beginning_with(self, first: Mapping[str, str]) -> Verdict:
        """The same with a first sentence for each of these places."""
        parts = tuple(
            part._replace(sentences=(first[part.place], *part.sentences))
            if part.place in first
            else part
            for part in self.parts
        )
        unsaid = tuple(s for p, s in first.items() if p not in {part.place for part in parts})
        whole = (Part("", unsaid), *parts) if unsaid else parts
        return replace(self, parts=whole)


TAGS = {
    "wins": ("wins", "RL is ahead"),
    "opponent only": ("unsure", "ahead of the ranker, not of cheaper methods"),
    "loses": ("bad", "RL loses"),
    "not believed": ("bad", "not to be believed"),
    "not controlled": ("unsure", "ahead, but the control cannot tell"),
    "no difference": ("unsure", "no clear difference"),
    "world only": ("unsure", "not shown"),
    "judge only": ("unsure", "not shown"),
    "beaten": ("wins", "looking ahead pays"),
    "not beaten": ("unsure", "not shown"),
}


def objected(verdict: Verdict, objections: Mapping[str, str]) -> Verdict:
    """The same verdict where the world of some open places is not like its log.

    What the numbers claim stays; that it is a win is not said without the objection, which is the
    first sentence of its place.

    Args:
        verdict: of the numbers.
        objections: a sentence each, by open place.
    """
    if not objections:
        return verdict
    tone = "unsure" if verdict.tone == "wins" else verdict.tone
    tag = f"{verdict.tag}; the world fails against its log"
    said = replace(verdict, tone=tone, tag=tag, objections=tuple(objections))
    return said.beginning_with(objections)


def one_part(study: Study, said: Sequence[str]) -> tuple[Part, ...]:
    """Sentences of a study that does not tell its places apart."""
    return (Part(study.main[0].name, tuple(said)),)


def against_opponent(study: Study, numbers: Numbers, rows: pd.DataFrame) -> Verdict:
    """Does RL beat the opponent, and can it be believed?

    Raises:
        ValueError: if the study has no learner, or rows that the verdict needs are missing.
    """
    if not study.learned:
        raise ValueError("a verdict needs at least one learner; the study has none")
    order = sorted(study.ahead, key=lambda agent: -_rank(numbers, agent))
    agent = order[0]
    found = [Facts(study, numbers, agent, place) for place in study.of_role("open")]
    # of a further place there may be no rows; of the first there must
    found = [facts for facts in found if facts is found[0] or facts.read]
    several = len(found) > 1
    parts = [Part(facts.place.name, tuple(facts.sentences(several))) for facts in found]
    parts.append(Part("", tuple(sentences.of_all(study, numbers, agent, found))))
    outcomes = {facts.place.name: facts.outcome for facts in found}
    tone, tag = _tag(study, found)
    return Verdict(found[0].outcome, tone, tag, tuple(parts), agent, tuple(order), outcomes)


def _tag(study: Study, found: Sequence[Facts]) -> tuple[str, str]:
    """One word for all places, or one for each where they differ."""
    tones, tags = zip(*(_tag_of(facts) for facts in found), strict=True)
    tone = next(tone for tone in ("bad", "unsure", "wins") if tone in tones)
    if len(set(tags)) == 1:
        return tone, tags[0]
    where = (sentences.under(study, facts.place) for facts in found)
    return tone, "; ".join(f"{at}: {tag}" for at, tag in zip(where, tags, strict=True))


def _tag_of(facts: Facts) -> tuple[str, str]:
    """Of one place; that something cheaper is clearly ahead is never left out."""
    tone, tag = TAGS[facts.outcome]
    if not facts.betters:
        return tone, tag
    more = {
        "opponent only": "ahead of the ranker, behind cheaper methods",
        "no difference": "no clear difference to the ranker, behind cheaper methods",
    }
    return tone, more.get(facts.outcome, tag)


def _rank(numbers: Numbers, agent: str) -> float:
    """Mean return on selection people; of a study without them, in the study's first place."""
    chosen = numbers.selection.get(agent)
    return numbers.of(agent).order if chosen is None else chosen.value
