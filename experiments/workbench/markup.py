"""Slates as HTML tables. Every label is somebody's: it is escaped, and stays text."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from slategym.experiments.workbench.bench import Shown, Slot

STYLE = """<style>
table.slate { border-collapse: collapse; width: 100%; font-size: 0.95rem; }
table.slate th { text-align: left; font-weight: 600; padding: 0.2rem 0.5rem 0.2rem 0; }
table.slate td { padding: 0.25rem 0.5rem 0.25rem 0; vertical-align: top;
  border-top: 1px solid rgba(128, 128, 128, 0.3); }
table.slate td.item { overflow-wrap: anywhere; }
table.slate td.number { white-space: nowrap; }
table.slate td.chance { min-width: 6rem; white-space: nowrap; }
table.slate .bar { display: block; height: 0.3rem; background: #0072b2; }
table.slate tr.clicked td { background: rgba(0, 158, 115, 0.22); }
table.slate tr.empty td { opacity: 0.6; }
[data-testid="stCaptionContainer"], [data-testid="stCaptionContainer"] p {
  color: inherit !important; opacity: 0.85; }
.block-container { padding-top: 3rem; }
.bars { display: flex; align-items: flex-end; height: 3rem; gap: 1px; }
.bars span { flex: 1; max-width: 1.5rem; background: #0072b2; min-height: 1px; }
</style>"""


def slate_table(slots: Sequence[Slot], clicked: Sequence[bool] | None = None) -> str:
    """A slate, best first.

    Args:
        slots: of the slate.
        clicked: by slot, once it was shown; None: it is only proposed.
    """
    rows = []
    for number, slot in enumerate(slots):
        took = clicked is not None and clicked[number]
        kind = "clicked" if took else "" if slot.shown else "empty"
        wide = round(100 * min(max(slot.chance, 0.0), 1.0))
        mark = " ✓ clicked" if took else "" if slot.shown else " (empty slot)"
        rows.append(
            f'<tr class="{kind}"><td class="number">{number + 1}</td>'
            f'<td class="item">{escape(slot.title)}{mark}</td><td>{escape(slot.topic)}</td>'
            f'<td class="chance">{f"{slot.chance:.1%}" if slot.chance > 0 else "not seen"}'
            f'<span class="bar" style="width: {wide}%"></span></td></tr>'
        )
    head = "".join(f'<th scope="col">{word}</th>' for word in ("", "item", "topic", "click"))
    return f'<table class="slate"><thead><tr>{head}</tr></thead>{"".join(rows)}</table>'


def past_tables(past: Sequence[Shown]) -> str:
    """What was shown, the newest first."""
    parts = []
    for number in range(len(past), 0, -1):
        shown = past[number - 1]
        clicks = sum(shown.clicked)
        parts.append(
            f"<details{' open' if number == len(past) else ''}><summary>slate {number}: "
            f"{clicks} clicked, reward {shown.reward:.3g}"
            f"{' · ' + escape(shown.context) if shown.context else ''}</summary>"
            f"{slate_table(shown.slots, shown.clicked)}</details>"
        )
    return "".join(parts)


def bars(name: str, values: Sequence[float]) -> str:
    """A part of a state: its number, or a bar for each of them, from the least to the greatest."""
    if len(values) == 1:
        return f"<p>{escape(name)}: {values[0]:.3g}</p>"
    low, high = min(values), max(values)
    wide = high - low or 1.0
    spans = "".join(f'<span style="height: {(x - low) / wide:.0%}"></span>' for x in values)
    return f'<p>{escape(name)} [{low:.3g}, {high:.3g}]</p><div class="bars">{spans}</div>'
