"""The look of a report: one HTML file that asks nothing of the network."""

from __future__ import annotations

from collections.abc import Sequence

from slategym.experiments.report.markup import Html, element, join
from slategym.experiments.report.svg import palette
from slategym.experiments.runs.store import FORMAT

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"  # no request can leave
CSS = """
:root { color-scheme: light dark; --ink: #1c1f23; --soft: #59616b; --line: #d9dde2;
  --paper: #fff; --shade: #f5f6f8; --link: #0b5cad; --good: #0a7d55; --bad: #b3261e;
  --unsure: #8a5a00; --edge: #00000038; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8eb; --soft: #a4adb8; --line: #353b43;
  --paper: #14171b; --shade: #1d2126; --link: #7db8f5; --good: #4cc79a; --bad: #ff8a80;
  --unsure: #e3b25b; --edge: #ffffff55; } }
* { box-sizing: border-box; }
html { scroll-padding-top: 3.2rem; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", "Helvetica Neue", Arial, sans-serif; }
a { color: var(--link); }
:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
.skip { position: absolute; left: -99rem; }
.skip:focus { left: 1rem; top: 1rem; background: var(--paper); padding: .5rem; z-index: 3; }
.layout { max-width: 76rem; margin: 0 auto; padding: 0 1.25rem 4rem; }
header { padding: 2rem 0 .5rem; }
h1 { font-size: 1.75rem; line-height: 1.25; margin: 0 0 .4rem; letter-spacing: -.01em; }
h2 { font-size: 1.25rem; margin: 2.75rem 0 .6rem; padding-top: .8rem;
  border-top: 1px solid var(--line); }
main > section:first-child h2 { border: 0; margin-top: 1rem; padding: 0; }
p, li { max-width: 46rem; }
.soft, .caption, figcaption, .source { color: var(--soft); font-size: .875rem; }
nav { position: sticky; top: 0; z-index: 2; background: var(--paper);
  border-bottom: 1px solid var(--line); margin: 0 -1.25rem; padding: .45rem 1.25rem; }
nav ol { list-style: none; display: flex; gap: 1rem; margin: 0; padding: 0; overflow-x: auto;
  white-space: nowrap; font-size: .875rem; }
nav a { text-decoration: none; display: inline-block; padding: .1rem 0; }
nav a:hover { text-decoration: underline; }
.verdict { border-left: .35rem solid var(--tone); background: var(--shade);
  padding: 1.1rem 1.25rem; border-radius: .3rem; margin: 1.2rem 0; }
.verdict p { font-size: 1.125rem; line-height: 1.5; margin: .35rem 0 0; max-width: none; }
.tag { color: var(--tone); font-weight: 600; font-size: .8rem; letter-spacing: .05em;
  text-transform: uppercase; }
.wins { --tone: var(--good); } .bad { --tone: var(--bad); } .unsure { --tone: var(--unsure); }
.table, .frame { overflow-x: auto; scrollbar-width: thin;
  background: linear-gradient(to right, var(--paper) 40%, transparent) 0 0 / 2.5rem 100%,
    linear-gradient(to left, var(--paper) 40%, transparent) 100% 0 / 2.5rem 100%,
    linear-gradient(to right, var(--edge), transparent) 0 0 / .9rem 100%,
    linear-gradient(to left, var(--edge), transparent) 100% 0 / .9rem 100%;
  background-repeat: no-repeat; background-attachment: local, local, scroll, scroll; }
.table { margin: 1rem 0 .3rem; }
table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums; }
.wide table { min-width: 100%; }
.caption { margin: 1.4rem 0 0; } .caption + .table { margin-top: .3rem; }
th, td { padding: .32rem .8rem .32rem 0; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--line); }
thead th { color: var(--soft); font-weight: 500; vertical-align: bottom;
  border-bottom: 1.5px solid var(--soft); }
tbody th { font-weight: 500; white-space: nowrap; }
td:last-child, th:last-child { padding-right: 0; }
.number { color: inherit; text-decoration: none; white-space: nowrap; }
.number:hover, .number:focus { text-decoration: underline dotted; }
.interval { color: var(--soft); white-space: nowrap; font-size: .8125rem; }
td .interval { display: block; line-height: 1.2; }
.strong { font-weight: 600; }
.label { border: 1px solid var(--line); border-radius: 1rem; padding: 0 .55rem; font-size: .8rem;
  white-space: nowrap; }
.label.assumed, .label.synthetic { border-color: var(--unsure); color: var(--unsure); }
figure { margin: 1.1rem 0; }
.frame { max-width: 800px; border-radius: .3rem;
  border: 1px solid var(--line); padding: .5rem; }
figure img, .drawing { display: block; width: 100%; min-width: 34rem; height: auto; }
figure img { background: #fff; }
.drawing { stroke-linejoin: round; stroke-linecap: butt; }
text { fill: var(--ink); }  /* of drawings; an ancestor in it would be unknown to <use> */
figcaption { margin-top: .4rem; max-width: 46rem; }
code, pre { font: .8125rem/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
pre { background: var(--shade); padding: .7rem .9rem; border-radius: .3rem; overflow-x: auto; }
.hash { word-break: break-all; font-size: .72rem; }
details table td { white-space: normal; }
summary { cursor: pointer; color: var(--link); }
tr:target { background: var(--shade); outline: 2px solid var(--link); }
details.folded { margin: 1rem 0; } .caption + details.folded { margin-top: .3rem; }
nav .part { color: var(--soft); font-size: .75rem; letter-spacing: .04em; }
.divider { margin: 3rem 0 -1.5rem; padding: .6rem 1rem; background: var(--shade);
  border-radius: .3rem; color: var(--soft); max-width: none; }
 details.folded p { max-width: 46rem; }
details.person { border: 1px solid var(--line); border-radius: .3rem; padding: .5rem .9rem;
  margin: .6rem 0; }
.slates { display: grid; grid-template-columns: repeat(auto-fit, minmax(15rem, 1fr)); gap: 1rem; }
.slate { background: var(--shade); border-radius: .3rem; padding: .1rem .9rem .5rem; min-width: 0; }
.slate h4 { margin: .7rem 0 .3rem; font-size: .9375rem; }
.slate ol { padding-left: 1.3rem; margin: .3rem 0; } .slate li { margin: 0 0 .45rem; }
.slate p { font-size: .875rem; margin: .4rem 0; }
.known { display: block; color: var(--soft); font-weight: 400; font-size: .78rem;
  max-width: 13rem; white-space: normal; }
.topic, .why { color: var(--soft); font-size: .8125rem; }
.why { display: block; line-height: 1.35; }
.did { color: var(--good); font-size: .8125rem; font-weight: 600; margin-left: .4rem; }
h3 { font-size: 1.0625rem; margin: 1.6rem 0 .5rem; }
@media (min-width: 75rem) {
  .layout { display: grid; grid-template-columns: 11.5rem minmax(0, 1fr); column-gap: 2.5rem; }
  header, .skip { grid-column: 1 / -1; }
  html { scroll-padding-top: 1rem; }
  nav { align-self: start; border: 0; margin: 1.2rem 0 0; padding: 0; top: 1.2rem; }
  nav ol { display: block; white-space: normal; overflow: visible; }
  nav li { margin: 0 0 .45rem; }
  main { min-width: 0; }
}
@media (max-width: 40rem) {
  .layout { padding: 0 .9rem 3rem; } nav { margin: 0 -.9rem; padding: .45rem .9rem; }
  h1 { font-size: 1.4rem; } .verdict { padding: .9rem; } .verdict p { font-size: 1rem; }
  tbody th { white-space: normal; } td:last-child { min-width: 9rem; }
  .wide tbody th, .wide thead th:first-child { position: sticky; left: 0; min-width: 6.5rem;
    max-width: 8rem; overflow-wrap: break-word; background: var(--paper); z-index: 1; }
  .wide::before, .frame::before { content: "scrolls sideways →"; display: block; position: sticky;
    left: 0; width: max-content; color: var(--soft); font-size: .75rem; }
}
@media print {
  :root { --ink: #000; --soft: #444; --line: #bbb; --paper: #fff; --shade: #f4f4f4;
    --link: #000; }
  body { font-size: 10pt; } nav, .skip { display: none; }
  .layout { display: block; max-width: none; padding: 0; }
  tr, .slate li { break-inside: avoid; } h2, h3, h4, .caption { break-after: avoid; }
  figure { margin: .5rem 0; } .drawing { break-inside: avoid; }  /* between rows it may part */
  figcaption { break-before: avoid; }
  .table, .frame { overflow: visible; background: none; border: 0; padding: 0; }
  figure img, .drawing { min-width: 0; width: auto; max-width: 100%; max-height: 10cm; }
  #verdict details::details-content { content-visibility: visible; }  /* open on paper */
  .listing { display: none; } .slates { grid-template-columns: repeat(3, 1fr); gap: .4rem; }
  .slate p, .slate li { font-size: 8.5pt; }
  table { font-size: 8pt; } th, td { padding-right: .35rem; }
  .interval { font-size: 7pt; }
}
"""


def section(name: str, title: str, *content: str | None) -> Html:
    """A part of the report that the table of contents can point at."""
    return element(
        "section",
        element("h2", title, id=f"{name}-title"),
        *content,
        id=name,
        aria_labelledby=f"{name}-title",
    )


def page(
    title: str, header: Html, contents: Sequence[tuple[str, str]], body: Sequence[Html]
) -> str:
    """The whole document.

    Args:
        title: of the browser's tab.
        header: what stands above everything.
        contents: name and title of each section; without a name: what the following are.
        body: the sections.
    """
    links = [
        element("li", element("a", text, href=f"#{name}"))
        if name
        else element("li", text, class_="part")
        for name, text in contents
    ]
    head = join(
        [
            element("meta", charset="utf-8"),
            element("meta", name_="viewport", content_="width=device-width, initial-scale=1"),
            element("meta", http_equiv="Content-Security-Policy", content_=POLICY),
            element("meta", name_="slategym", content_=f"format {FORMAT}: finished"),
            element("link", rel="icon", href="data:,"),
            element("title", title),
            element("style", Html(CSS + palette(join(body)))),
        ]
    )
    layout = element(
        "div",
        element("a", "To the report", href="#main", class_="skip"),
        element("header", header),
        element("nav", element("ol", *links), aria_label="Contents"),
        element("main", *body, id="main"),
        class_="layout",
    )
    document = element("html", element("head", head), element("body", layout), lang="en")
    return f"<!doctype html>\n{document}\n"
