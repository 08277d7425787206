"""What titles are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

LOUD_FROM = 0.5  # of the column that says how loud a title is


@dataclass(frozen=True)
class Words:
    """Topics with their nouns, adjectives, and the forms of a title: {a} adjective, {n} noun."""

    nouns: tuple[tuple[str, tuple[str, ...]], ...]  # topic, its nouns
    adjectives: tuple[str, ...]
    quiet: tuple[str, ...]  # forms
    shouted: tuple[str, ...] = ()  # forms of loud titles
    loud: str = ""  # item column that says how loud a title is; "": none is

    @property
    def topics(self) -> tuple[str, ...]:
        """G names."""
        return tuple(topic for topic, _ in self.nouns)

    def title(self, topic: int, loudness: float, numbers: Sequence[int]) -> str:
        """The title that these three numbers choose."""
        nouns = self.nouns[topic][1]
        forms = self.shouted if self.loud and loudness > LOUD_FROM else self.quiet
        form, noun, adjective = (
            words[number % len(words)]
            for words, number in zip((forms, nouns, self.adjectives), numbers, strict=True)
        )
        told = form.format(n=noun, a=adjective)
        return told[0].upper() + told[1:]


def nouns(**by_topic: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Topics and their nouns, which are parted by commas; an underscore is a space.

    >>> nouns(red_wine="merlot, malbec")
    (('red wine', ('merlot', 'malbec')),)
    """
    return tuple(
        (topic.replace("_", " "), tuple(word.strip() for word in words.split(",")))
        for topic, words in by_topic.items()
    )
