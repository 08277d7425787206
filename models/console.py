"""What is printed on a terminal is text and nothing else, whatever a stranger's file says.

Titles, topics, labels and names of folders come from others: brackets are no markup, and what a
terminal would act upon is spelled out.
"""

from __future__ import annotations

import io
import sys
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook, RenderResult
from rich.segment import Segment

from slategym.envs.names import plain


@dataclass(frozen=True)
class Spelled:
    """Something to print, with the control characters of its text spelled out."""

    inner: ConsoleRenderable

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The same segments, but for such characters."""
        for text, style, control in console.render(self.inner, options):
            if not control:
                text = "\n".join(plain(line) for line in text.split("\n"))
            yield Segment(text, style, control)


class Spelling(RenderHook):
    """Spells out whatever a console is given; see `rich.console.RenderHook`."""

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        """Each of them, spelled out."""
        return [Spelled(one) for one in renderables]


def plain_console(
    *,
    stderr: bool = False,
    soft_wrap: bool = False,
    highlight: bool = False,
    quiet: bool = False,
    style: str | None = None,
) -> Console:
    """The console to print on.

    Args:
        stderr: on standard error, where progress goes.
        soft_wrap: lines are not broken.
        highlight: numbers are coloured.
        quiet: nothing is printed.
        style: of all that is printed.
    """
    console = Console(
        stderr=stderr,
        soft_wrap=soft_wrap,
        highlight=highlight,
        quiet=quiet,
        style=style,
        markup=False,
    )
    console.push_render_hook(Spelling())
    return console


def spell_what_cannot_be_printed() -> None:
    """From now on what the terminal's encoding lacks is spelled out, and ends no command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # not closed, and no notebook's own
            stream.reconfigure(errors="backslashreplace")
