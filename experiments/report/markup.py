"""HTML that cannot be broken by what it says: text is escaped unless it is already HTML."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

VOID = {"img", "link", "meta"}
LONG = 12  # rows of a table above which it is opened by whoever wants it


class Html(str):
    """Text that is HTML already."""


def element(name: str, /, *content: str | None, **attributes: str | None) -> Html:
    """An element.

    Args:
        name: of the element.
        content: Html is taken as it is, other text is escaped, None is left out.
        attributes: `class_` and `data_row` mean class and data-row; None is left out. (`name_`
            and `content_` where the plain words are taken.)

    >>> element("a", "x < y", href="#n1", class_="number")
    '<a href="#n1" class="number">x &lt; y</a>'
    """
    pairs = [
        f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"'
        for key, value in attributes.items()
        if value is not None
    ]
    start = f"<{name}{''.join(pairs)}>"
    return Html(start if name in VOID else f"{start}{join(content)}</{name}>")


def join(content: Iterable[str | None]) -> Html:
    """Pieces side by side."""
    return Html(
        "".join(
            part if isinstance(part, Html) else escape(part) for part in content if part is not None
        )
    )


def folded(summary: str, *content: str | None) -> Html:
    """What is shown to whoever opens it."""
    return element("details", element("summary", summary), *content, class_="folded")


def code_block(text: str) -> Html:
    """Lines of code, in a box that scrolls sideways and is reached by keys."""
    return element("pre", element("code", text), tabindex="0", role="region", aria_label="Code")


def prose(text: str) -> Html:
    """What a study says, with `names` between backticks set as code.

    >>> prose("as `gems` does")
    'as <code>gems</code> does'
    """
    parts = text.split("`")
    if len(parts) % 2 == 0:  # one that has no other end
        return join([text])
    return join([element("code", x) if n % 2 else x for n, x in enumerate(parts)])


def table(
    caption: str, head: Sequence[str], body: Sequence[Sequence[str]], *, wide: bool = False
) -> Html:
    """A table whose first column names its rows, in a box that scrolls sideways if it must.

    One of more than LONG rows is folded under its caption.
    """
    first = element("tr", *(element("th", name, scope="col") for name in head))
    rows = [
        element(
            "tr",
            element("th", row[0], scope="row"),
            *(element("td", cell) for cell in row[1:]),
        )
        for row in body
    ]
    inner = element("table", element("thead", first), element("tbody", *rows), aria_label=caption)
    box = element(
        "div",
        inner,
        class_="table wide" if wide else "table",
        role="region",
        aria_label=caption,
        tabindex="0",
    )
    told = element("p", caption, class_="caption")
    return join([told, folded(f"The table, {len(body)} lines", box) if len(body) > LONG else box])
