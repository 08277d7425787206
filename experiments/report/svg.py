"""Figures inside a page: SVG whose text is text and whose colours follow the page's.

Matplotlib writes colours as numbers. In a page they become variables of the style sheet, so that a
figure is legible on dark paper as on light: greys take the page's own ink, lines and paper, and
every other colour has a lighter twin for dark paper (`dark`).
"""

from __future__ import annotations

import colorsys
import io
import itertools
import re
from collections.abc import Sequence

from matplotlib import rc_context
from matplotlib.figure import Figure

from slategym.experiments.report.markup import Html, element, join

FONTS = ["DejaVu Sans", "Verdana", "sans-serif"]  # as wide as those that the layout reckons with
LIKE_PAPER, LIKE_LINE, LIKE_SOFT = 0.97, 0.78, 0.28  # lightness of greys, from which on
LEGIBLE = 0.4  # lightness that black would have on dark paper; white stays white
METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))
COLOUR = re.compile(r"#[0-9a-f]{6}\b")


def drawn(figure: Figure, name: str) -> str:
    """The figure as an SVG element, its ids beginning with the name; colours are still numbers."""
    file = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": name, "font.sans-serif": FONTS}):
        figure.savefig(file, format="svg", metadata=METADATA)
    text = file.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    return _own_ids(text, name)


def _own_ids(text: str, name: str) -> str:
    """Ids that nothing points at go; the others begin with the figure's name."""
    used = set(re.findall(r'(?:url\(|href=")#([^)"]+)', text))

    def renamed(found: re.Match[str]) -> str:
        return f' id="{name}-{found[1]}"' if found[1] in used else ""

    text = re.sub(r' id="([^"]+)"', renamed, text)
    return re.sub(r'(url\(|href=")#([^)"]+)', rf"\1#{name}-\2", text)


def in_page(svg: str, alt: str, name: str = "", cuts: Sequence[float] = ()) -> Html:
    """The same with the page's colours, and with words for those who cannot see it.

    Args:
        svg: as `drawn` makes it.
        alt: the words.
        name: of the figure, which its ids begin with; needed for cuts.
        cuts: shares of the height from above at which paper may part it; nothing shows on a screen.
    """
    opening, rest = svg.split(">", 1)
    box = re.search(r'viewBox="([^"]*)"', opening)
    assert box is not None
    rest = rest[: rest.rindex("</svg>")]
    rest = re.sub(r"<defs>\s*<style[^>]*>.*?</style>\s*</defs>", "", rest, flags=re.DOTALL)
    rest = re.sub(r">\s+<", "><", rest)
    rest = COLOUR.sub(lambda found: variable(found[0]), rest)
    if not cuts:
        return _drawing(Html(rest), box[1], role="img", aria_label=alt)
    left, top, width, height = map(float, box[1].split())
    ends = [0.0, *cuts, 1.0]
    whole = element("g", Html(rest), id=f"{name}-whole")
    parts = [
        _drawing(
            whole if number == 0 else element("use", href=f"#{name}-whole"),
            f"{left:g} {top + height * start:.2f} {width:g} {height * (end - start):.2f}",
            **({"role": "img", "aria_label": alt} if number == 0 else {"aria_hidden": "true"}),
        )
        for number, (start, end) in enumerate(itertools.pairwise(ends))
    ]
    return join(parts)


def _drawing(content: Html, box: str, **words: str) -> Html:
    return element("svg", content, viewBox=box, class_="drawing", **words)


def variable(colour: str) -> str:
    """The page's name for a colour, and the colour for whoever has no style sheet.

    >>> variable("#ffffff")
    'var(--paper, #ffffff)'
    >>> variable("#0072b2")
    'var(--c-0072b2, #0072b2)'
    """
    red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    _, lightness, saturation = colorsys.rgb_to_hls(red, green, blue)
    if saturation > 0.08 and 0.02 < lightness < 0.99:
        return f"var(--c-{colour[1:]}, {colour})"
    for name, least in (("paper", LIKE_PAPER), ("line", LIKE_LINE), ("soft", LIKE_SOFT)):
        if lightness >= least:
            return f"var(--{name}, {colour})"
    return f"var(--ink, {colour})"


def dark(colour: str) -> str:
    """The same hue, light enough for dark paper; of two, the lighter stays the lighter.

    >>> dark("#882255")
    '#d65c99'
    """
    red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    hue, lightness, saturation = colorsys.rgb_to_hls(red, green, blue)
    parts = colorsys.hls_to_rgb(hue, LEGIBLE + (1.0 - LEGIBLE) * lightness, saturation)
    return "#" + "".join(f"{round(255 * part):02x}" for part in parts)


def palette(html: str) -> str:
    """The style sheet's lines for every colour of the figures in a page."""
    colours = sorted(set(re.findall(r"var\(--c-([0-9a-f]{6}),", html)))
    if not colours:
        return ""
    light = " ".join(f"--c-{c}: #{c};" for c in colours)
    night = " ".join(f"--c-{c}: {dark('#' + c)};" for c in colours)
    return (
        f":root {{ {light} }}\n@media (prefers-color-scheme: dark) {{ :root {{ {night} }} }}\n"
        f"@media print {{ :root {{ {light} }} }}\n"
    )
