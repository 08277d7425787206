"""Pages of the site that are made from the code: one for every world, agent and study, and the API.

Read by MkDocs as a hook (`mkdocs.yml`). Docstrings are Google's style; a section becomes a heading,
"Args" and "Attributes" become lists. Links that lead out of `docs` go to the copies made here.
"""

from __future__ import annotations

import ast
import inspect
import re
import tomllib
from importlib import import_module
from pathlib import Path
from textwrap import dedent
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
COPIES = {
    "README.md": "readme.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
PACKAGES = (
    "slategym",
    "slategym.envs",
    "slategym.models",
    "slategym.agents",
    "slategym.experiments",
)
LISTED = ("Args", "Attributes", "Raises", "Yields")
FILE = re.compile(r"\[[\w/]+\.md\]\(([\w/.]+\.md)(#[\w-]+)?\)")  # a link that shows a file's name
ROW = re.compile(  # the first cell of a row that holds a name alone
    r"(?P<cell><tr>\s*<td[^>]*>)(?P<before>(?:<strong>|<code>)*)(?P<name>[a-z][\w-]+)"
    r"(?P<after>(?:</strong>|</code>|\*)*)</td>"
)
FURTHER = re.compile(r"\n(?= {0,4}\S)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages."""
    for path, text in {
        **copies(),
        **worlds(),
        **agents(),
        **studies(),
        **data_sets(),
        **house(),
        **extensions(),
        **api(),
    }.items():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links out of the folder lead to the copies; a link to a page shows the page's title."""
    up = "../" * page.file.src_uri.count("/")
    for name, copy in COPIES.items():
        markdown = markdown.replace(f"](../{up}{name}", f"]({up}{copy}")
    for kind, (_, _, file, _, _) in KINDS.items():  # a file of the example has a page here
        there = f"](../{up}examples/coffee_bar/coffee_bar/{file}"
        markdown = markdown.replace(there, f"]({up}extend/{kind}.md")
    here = (ROOT / "docs" / page.file.src_uri).parent
    return FILE.sub(lambda link: _titled(here, link[1], link[2] or ""), markdown)


def _titled(here: Path, target: str, anchor: str) -> str:
    """A link to a page by the page's first heading, if the page is no made one."""
    path = here / target
    text = path.read_text("utf-8") if path.is_file() else ""
    title = text.partition("\n")[0].removeprefix("# ").replace("`", "")
    return f"[{title or path.stem}]({target}{anchor})"


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """A policy that begins a row of a table leads to its page, what people know it as below."""
    from slategym.agents.registry import policies
    from slategym.experiments.report.words import FAMILIAR

    if page.file.src_uri.startswith(("policies", "api/")):  # made of such names
        return html
    up = "../" * page.file.src_uri.count("/")

    def named(found: re.Match[str]) -> str:
        name = found["name"]
        if name not in policies.all():
            return found[0]
        known = f'<br><small class="known">{FAMILIAR[name]}</small>' if name in FAMILIAR else ""
        said = f'{found["before"]}<a href="{up}policies/{name}.html">{name}</a>{found["after"]}'
        return f"{found['cell']}{said}{known}</td>"

    return ROW.sub(named, html)


def copies() -> dict[str, str]:
    """The pages that stand at the top of the repository, their links seen from here."""
    made = {}
    for name, copy in COPIES.items():
        text = (ROOT / name).read_text("utf-8").replace("](docs/", "](")
        for other, there in COPIES.items():
            text = text.replace(f"]({other}", f"]({there}")
        made[copy] = re.sub(r"\]\(results/\)", "](results/movielens.md)", text)
    return made


def worlds() -> dict[str, str]:
    """A page a world: its builder's docstring, its settings, how to make it."""
    from slategym.envs.docstrings import meanings, sections
    from slategym.envs.pages import SETTINGS, docstring_of
    from slategym.envs.registry import NAMESPACE, ON_EVERY_PAGE
    from slategym.envs.registry import worlds as registry
    from slategym.experiments.cli.declared import parameters_of
    from slategym.experiments.cli.world_page import written

    made, rows = {}, []
    for name, entry in sorted(registry.all().items()):
        if not name.startswith(NAMESPACE):
            continue
        bare = name.removeprefix(NAMESPACE)
        told = docstring_of(entry)
        parts = [f"# {bare}", *_sections(told, without=(SETTINGS,))]
        meant = dict(
            pair
            for section in sections(told.splitlines())
            if section.heading == SETTINGS
            for pair in meanings(section.lines)
        )
        open_ = [p for p in parameters_of(entry.builder) if p.name not in dict(entry.fixed)]
        if open_:
            parts.append("## Settings\n\n| name | default | meaning |\n|---|---|---|")
            parts[-1] += "".join(
                f"\n| `{p.name}` | {_code(written(p.default))} | {_cell(meant.get(p.name, ''))} |"
                for p in open_
            )
        if entry.about:
            parts += ["## This one", entry.about]
        parts += _presets(bare)
        parts += ["## In programs", *ON_EVERY_PAGE]
        parts.append(
            f"```\nslategym simulate {bare} --policy random --users 100\n```\n\n```python\n"
            f'gymnasium.make_vec("slategym:{bare}", num_envs=64)\n```'
        )
        made[f"worlds/{bare}.md"] = "\n\n".join(parts) + "\n"
        rows.append(f"| [{bare}](worlds/{bare}.md) | {_cell(entry.one_line)} |")
    head = "# Worlds\n\nAs `slategym worlds` lists them.\n\n| world | what it is |\n|---|---|\n"
    made["worlds.md"] = head + "\n".join(rows) + "\n"
    return made


def _presets(world: str) -> list[str]:
    """Settings that suit a world: what they reach, how they were chosen, the file."""
    from slategym.experiments.presets import all_presets, find_preset

    found = [find_preset(agent, name) for name, agent in all_presets() if name == world]
    if not found:
        return []
    parts = ["## Settings that suit it", "As `slategym presets` lists them."]
    for each in found:
        page = each.page.removeprefix("docs/")
        more = f" More: [{page}](../{page})." if page else ""
        parts += [
            f"### {each.agent}",
            f"```\nslategym train {each.agent} --world {world} --preset\n```",
        ]
        if each.reached is None:
            why = "depends on the log" if each.of_a_log else "was not measured in this form"
            parts.append(f"What it reaches {why}.{more}")
            parts.append(f"How they were chosen:\n\n```text\n{each.chosen}\n```")
            continue
        curve = each.reached
        parts += [
            _curve(each.agent, curve),
            f"Expected return a session of {curve.people} people whom it is not trained on, while "
            f"it learns: mean of {len(curve.seeds)} training seeds, 95 % over people. At the end "
            f"{curve}, by seed {', '.join(f'{x:.1f}' for x in curve.by_seed)}. "
            f"`python benchmarks/presets.py {world} {each.agent}`, commit {curve.commit}, "
            f"{curve.date}, {curve.cpu_seconds:.0f} CPU seconds with the readings.{more}",
            f"How they were chosen:\n\n```text\n{each.chosen}\n```",
            '??? note "The file"\n\n    ```toml\n'
            f"{_indented(each.path.read_text('utf-8'))}\n    ```",
        ]
    return parts


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.rstrip().splitlines())


def _curve(agent: str, curve: Any) -> str:
    """A learning curve with its band, and dashed lines for those that need no training."""
    wide, high, left, right, top, bottom = 640, 280, 64, 150, 12, 58
    levels = [*curve.low, *curve.high, *curve.beside.values()]
    least, most = min(levels), max(levels)
    span, last = (most - least) or 1.0, curve.slates[-1]

    def at(slates: float, level: float) -> tuple[float, float]:
        x = left + (wide - left - right) * slates / last
        return round(x, 1), round(top + (high - top - bottom) * (most - level) / span, 1)

    def path(levels: tuple[float, ...]) -> list[str]:
        return [f"{x},{y}" for x, y in map(at, curve.slates, levels)]

    band = " ".join([*path(curve.high), *reversed(path(curve.low))])
    drawn = [
        f'<polygon points="{band}" fill-opacity=".18"/>',
        f'<polyline points="{" ".join(path(curve.mean))}" fill="none" stroke="currentColor" '
        'stroke-width="2.5"/>',
    ]
    drawn += [
        f'<circle cx="{p.split(",")[0]}" cy="{p.split(",")[1]}" r="3"/>' for p in path(curve.mean)
    ]
    named = {agent: curve.mean[-1], **curve.beside}
    for level in curve.beside.values():
        (x, y), (end, _) = at(0, level), at(last, level)
        drawn.append(
            f'<line x1="{x}" y1="{y}" x2="{end}" y2="{y}" stroke="currentColor" '
            'stroke-dasharray="5 4" stroke-opacity=".6"/>'
        )
    lowest = -1e9
    for name, level in sorted(named.items(), key=lambda pair: -pair[1]):
        x, y = at(last, level)
        lowest = max(y + 4, lowest + 15)  # names that would overlap move down
        drawn.append(_label(x + 8, lowest, name, "start", name == agent))
    for level in (least, most):
        drawn.append(_label(left - 8, at(0, level)[1] + 4, f"{level:,.1f}", "end"))
    for slates in (0, last):
        drawn.append(_label(at(slates, least)[0], high - 18, f"{slates:,}", "middle"))
    drawn.append(_label(at(last / 2, least)[0], high - 3, "slates of training", "middle"))
    told = (
        f"{agent}: return a session from {curve.mean[0]:.1f} after {curve.slates[0]:,} slates to "
        f"{curve.mean[-1]:.1f} after {last:,}; "
        + ", ".join(f"{name} {level:.1f}" for name, level in curve.beside.items())
    )
    return _drawing(wide, high, told, drawn)


def _label(x: float, y: float, text: str, anchor: str, bold: bool = False) -> str:
    weight = "bold" if bold else "normal"
    return (
        f'<text x="{x:g}" y="{y:g}" font-size="13" font-weight="{weight}" '
        f'text-anchor="{anchor}">{text}</text>'
    )


def agents() -> dict[str, str]:
    """A page for every policy and learner, as `slategym agents` lists them."""
    from slategym.agents.registry import policies
    from slategym.envs.outline import outline
    from slategym.experiments.cli.declared import settings_of
    from slategym.experiments.cli.world_page import written

    made, rows = {}, []
    for name, entry in policies.all().items():
        target = entry.agent or entry.build
        found = outline(target) if target else None
        parts = [f"# {name}", f"*{entry.kind}*: {entry.one_line}"]
        if found is not None:
            if entry.agent is not None:
                parts += _sections(found.module.doc, without=("Args",))
            parts += _sections(found.doc, without=("Args",))
        if entry.agent is not None:
            rows_ = [
                f"| `{s.name}` | {_code(written(s.default))} | {_cell(s.meaning)} |"
                for s in settings_of(name)
            ]
            if rows_:
                parts.append(
                    "## Settings\n\n| name | default | meaning |\n|---|---|---|\n"
                    + "\n".join(rows_)
                )
        made[f"policies/{name}.md"] = "\n\n".join(parts) + "\n"
        rows.append(f"| [{name}](policies/{name}.md) | {entry.kind} | {_cell(entry.one_line)} |")
    head = (
        "# Policies and learners\n\nAs `slategym agents` lists them; what they reach is in "
        "[policies and learners](agents.md).\n\n| name | kind | what it does |\n|---|---|---|\n"
    )
    made["policies.md"] = head + "\n".join(rows) + "\n"
    return made


def studies() -> dict[str, str]:
    """One page of all studies: what each asks, where, of whom, and how much."""
    from slategym.envs.names import load_object
    from slategym.experiments.studies.registry import studies as registry
    from slategym.experiments.study import Study

    rows, parts = [], []
    for name, entry in registry.all().items():
        if not entry.where.startswith("slategym."):
            continue
        rows.append(f"| [`slategym benchmark {name}`](#{name}) | {_cell(entry.one_line)} |")
        found = load_object(entry.where)
        parts += [f"## {name}", *_told(inspect.getdoc(import_module(entry.where.split(":")[0])))]
        if isinstance(found, Study):
            parts += _study(found)
    head = "# Studies\n\n| command | what it asks |\n|---|---|\n"
    return {"studies.md": head + "\n".join(rows) + "\n\n" + "\n\n".join(parts) + "\n"}


def _told(doc: str | None) -> list[str]:
    """A docstring's sections, one storey below a page's."""
    return [part.replace("## ", "### ", 1) for part in _sections(doc or "")]


def _study(study: Any) -> list[str]:
    """Question, places, policies, learners and profiles of a study."""
    places = "".join(
        dict.fromkeys(  # a sweep has the same place several times
            f"\n| {_cell(p.heading)} | {p.role} | [{bare}](worlds/{bare}.md) |"
            for p in study.places
            if (bare := p.world.removeprefix("slategym/"))
        )
    )
    who = ", ".join(f"`{baseline.name}`" for baseline in study.baselines)
    learners = ", ".join(f"`{learner.name}`" for learner in study.learners)
    profiles = "".join(
        f"\n- `--profile {name}`: {_text(profile.one_line)}"
        for name, profile in study.profiles.items()
    )
    return [
        f"*{_text(study.question)}* Returns in {study.unit}.",
        f"| place | for | world |\n|---|---|---|{places}",
        f"Policies: {who}.",
        f"Learners: {learners}.",
        f"How much of it:\n{profiles}",
        f"```\nslategym benchmark {study.name} --profile {next(iter(study.profiles))}\n```",
    ]


def data_sets() -> dict[str, str]:
    """One page of all data sets: what they are, whose terms apply, and what their reader says."""
    from slategym.envs.names import load_object
    from slategym.models.assets.registry import ASSETS
    from slategym.models.data.datasets import DATASETS

    rows, parts = [], []
    for name, entry in DATASETS.items():
        asset = ASSETS[entry.asset] if entry.asset else None
        what, licence = (asset.what, asset.licence) if asset else (entry.what, entry.licence)
        had = "fetched" if asset else f"a copy of your own, from <{entry.address}>"
        rows.append(f"| [`{name}`](#{name}) | {_cell(what)} | {licence} | {had} |")
        reader = load_object(entry.read) if isinstance(entry.read, str) else entry.read
        parts += [
            f"## {name}",
            f"{_text(what)}. Licence: {licence}.",
            *_sections(_doc(reader), level=3),
        ]
    head = (
        "# Data sets\n\n`slategym.load_log(NAME)`, or NAME wherever a command takes a log; a "
        "folder of your own: [from log to verdict](recipes/own_log.md). slategym holds none.\n\n"
        "| name | what | licence | how it is had |\n|---|---|---|---|\n"
    )
    return {"data_sets.md": head + "\n".join(rows) + "\n\n" + "\n\n".join(parts) + "\n"}


COFFEE = ROOT / "examples" / "coffee_bar"
KINDS = {  # page: title, entry-point group, file of the example, what it is, how it is tried
    "world": (
        "A world of your own",
        "slategym.worlds",
        "world.py",
        "A function of settings to a `slategym.World`: catalogue, population, user model, choice "
        "model, context, candidates. Its docstring is its page; every world has the settings "
        "`seed` and `device`; `static` is the control in which nothing shown changes anybody.",
        "slategym worlds CoffeeBar-v0\n"
        "slategym simulate CoffeeBar-v0 --policy random --users 100\n"
        "slategym compare CoffeeBar-v0 --policies usual,random --users 200",
    ),
    "policy": (
        "A policy of your own",
        "slategym.policies",
        "policy.py",
        "A function or class of a world to a `slategym.Policy`, which has a name and answers an "
        "observation with slates. It says the log-probability of its slate if it draws slates; one "
        "that reads hidden truths says `privileged`.",
        "slategym check usual\nslategym compare CoffeeBar-v0 --policies usual,random --users 200",
    ),
    "learner": (
        "A learner of your own",
        "slategym.agents",
        "agent.py",
        "A class derived from `slategym.Agent`, which has the loop, the progress bar, the event "
        "files, saving and going on. What is left is one cycle of playing and learning, the "
        "choice, and the tensors that it consists of.",
        "slategym check bartender\n"
        "slategym train bartender --world CoffeeBar-v0 --out runs/bartender\n"
        "slategym compare CoffeeBar-v0 --policies runs/bartender,usual,random\n"
        "slategym export runs/bartender",
    ),
    "study": (
        "A study of your own",
        "slategym.studies",
        "study.py",
        "A value, `slategym.experiments.Study`, or a function of a `Request` to one: places and "
        "what each is for, policies and learners by name, who is the opponent, how much of "
        "everything. Trainings, readings, statistics and the report follow from it.",
        "slategym benchmark coffee-bar --profile quick\nslategym report runs/coffee-bar-quick",
    ),
    "data_set": (
        "A data set by name",
        "slategym.data_sets",
        "orders.py",
        "A function without arguments to a `slategym.models.Log`. A log of your own that needs no "
        "name needs no file at all: [from log to verdict](../recipes/own_log.md).",
        "slategym data check bar-orders\nslategym data describe bar-orders",
    ),
}


def extensions() -> dict[str, str]:
    """A page for each kind of thing of one's own: what it is, its file, how to try it."""
    groups = tomllib.loads((COFFEE / "pyproject.toml").read_text("utf-8"))["project"]
    made = {}
    for kind, (title, group, file, about, tried) in KINDS.items():
        source = (COFFEE / "coffee_bar" / file).read_text("utf-8")
        ((name, place),) = groups["entry-points"][group].items()
        lines = sum(bool(line.strip()) for line in source.splitlines()) + 1
        made[f"extend/{kind}.md"] = "\n\n".join(
            [
                f"# {title}",
                about,
                f"The whole of it, {lines} lines with its entry point: "
                f"`examples/coffee_bar/coffee_bar/{file}`.",
                f"```python\n{source.strip()}\n```",
                "In the package's `pyproject.toml`:",
                f'```toml\n[project.entry-points."{group}"]\n"{name}" = "{place}"\n```',
                "Once the package is installed (`pip install -e .` in `examples/coffee_bar`):",
                f"```\n{tried}\n```",
                f"Without a package the place is a name too, `{place}`, wherever a command or a "
                "function takes one. `slategym init` writes a package to start from. What goes "
                "into slategym itself instead: [contributing](../contributing.md). The other "
                "kinds: [things of your own](../extending.md).",
            ]
        )
    return made


STOREYS = {  # top to bottom: each may import those below it
    "experiments": "studies, measuring, verdicts, reports, the command line",
    "agents": "policies and learners",
    "models": "logs, the multi-task BERT, classics, learned worlds and judges",
    "envs": "simulated users: one step is three pure functions",
}
COLUMNS, ROOM, GAP = 7, (112, 30), 8  # of the picture: rooms a row, their size and distance


def house() -> dict[str, str]:
    """How the code is laid out: a picture of storeys and rooms, and what each room is for."""
    parts = [
        "# How the house is laid out",
        "Four storeys; imports go down only: `experiments -> agents -> models -> envs`. A folder "
        "of a storey is a room. A room imports what its storey shares and whatever lies below, and "
        "rooms of one kind (families of agents, worlds, classics) never import each other, so that "
        "one can be read, changed or left out alone. `tests/test_layers.py` and "
        "`tests/test_rooms.py` hold both rules.",
        _picture({storey: list(_rooms(storey)) for storey in STOREYS}),
    ]
    for storey, about in STOREYS.items():
        rows = "".join(
            f"\n| `{storey}/{name}` | {_cell(told)} |" for name, told in _rooms(storey).items()
        )
        parts += [
            f"## {storey}",
            f"{about.capitalize()}.",
            f"| room | what it is |\n|---|---|{rows}",
        ]
    parts.append(
        "Where something new goes, and the lines that it takes: [Things of your own](extending.md)."
    )
    return {"house.md": "\n\n".join(parts) + "\n"}


def _rooms(storey: str) -> dict[str, str]:
    """Folders of a storey, with the first line of their docstrings."""
    made = {}
    for path in sorted((ROOT / storey).glob("*/__init__.py")):
        told = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
        made[path.parent.name] = told.splitlines()[0] if told else ""
    return made


def _picture(rooms: dict[str, list[str]]) -> str:
    """The storeys as boxes with their rooms, in the colours of the page."""
    (wide, high), left = ROOM, 110
    width, top, drawn = left + COLUMNS * (wide + GAP) + GAP, GAP, []
    for storey, names in rooms.items():
        rows = max(1, -(-len(names) // COLUMNS))
        tall = rows * (high + GAP) + GAP
        drawn.append(_box(GAP, top, width - 2 * GAP, tall, 0.06))
        drawn.append(_word(GAP + 10, top + tall / 2 + 5, storey, "bold", "start"))
        for at, name in enumerate(names):
            x = left + at % COLUMNS * (wide + GAP)
            y = top + GAP + at // COLUMNS * (high + GAP)
            drawn.append(_box(x, y, wide, high, 0.12))
            drawn.append(_word(x + wide / 2, y + high / 2 + 4, name, "normal", "middle"))
        top += tall + 3 * GAP
        drawn.append(_word(width / 2, top - GAP, "\u2193", "normal", "middle"))
    drawn.pop()  # below the ground floor is nothing
    told = "Storeys from experiments down to envs with their rooms; arrows: imports."
    return _drawing(width, top - 2 * GAP, told, drawn)


def _drawing(width: float, height: float, told: str, drawn: list[str]) -> str:
    """A picture in the colours of the page; on a narrow one it scrolls, and stays legible."""
    return (
        '<div class="drawing" markdown="0">'
        f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{told}" '
        f'fill="currentColor">{"".join(drawn)}</svg></div>'
    )


def _box(x: float, y: float, width: float, height: float, opacity: float) -> str:
    return (
        f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="4" '
        f'fill-opacity="{opacity:g}"/>'
    )


def _word(x: float, y: float, text: str, weight: str, anchor: str) -> str:
    return (
        f'<text x="{x:g}" y="{y:g}" font-size="15" font-weight="{weight}" '
        f'text-anchor="{anchor}">{text}</text>'
    )


def api() -> dict[str, str]:
    """A page for every package of the public face: what it exports, from the docstrings."""
    made = {}
    for package in PACKAGES:
        module = import_module(package)
        parts = [f"# {package}", *_sections(inspect.getdoc(module) or "")]
        for name in module.__all__:
            try:
                value = getattr(module, name)
            except ImportError:  # an extra is not installed
                continue
            if not inspect.ismodule(value):
                parts += _thing(name, value)
        made[f"api/{package}.md"] = "\n\n".join(parts) + "\n"
    return made


def _thing(name: str, value: Any) -> list[str]:
    kind = "class" if inspect.isclass(value) else "function" if callable(value) else "value"
    parts = [f"## {name}"]
    if kind == "value":
        return [*parts, f"A `{type(value).__name__}`."]
    parts += [f"```python\n{_signature(name, value)}\n```", *_sections(_doc(value), level=3)]
    if kind == "class":
        for member, function in vars(value).items():
            told = inspect.isfunction(function) or isinstance(function, property)
            if member.startswith("_") or not told:
                continue
            head = member if isinstance(function, property) else _signature(member, function)
            parts += [f"### {name}.{member}", f"```python\n{head}\n```"]
            parts += _sections(_doc(function), level=4)
    return parts


def _doc(value: Any) -> str:
    return inspect.getdoc(value) or ""


def _signature(name: str, value: Any) -> str:
    try:
        return re.sub(r"(: |-> )'([^']*)'", r"\1\2", f"{name}{inspect.signature(value)}")
    except (TypeError, ValueError):
        return name


def _sections(doc: str, without: tuple[str, ...] = (), level: int = 2) -> list[str]:
    """A docstring as Markdown."""
    from slategym.envs.docstrings import meanings, paragraphs, sections

    parts: list[str] = []
    for section in sections(doc.splitlines()):
        if section.heading in without:
            continue
        if section.heading:
            parts.append(f"## {section.heading}" if level < 3 else f"**{section.heading}**")
        if section.heading in LISTED:
            found = [f"- `{key}`: {_text(meaning)}" for key, meaning in meanings(section.lines)]
            if found:
                parts.append("\n".join(found))
                continue
        for paragraph in paragraphs(section.lines):
            code = paragraph.startswith("    ") or paragraph.startswith(">>>")
            parts.append(f"```\n{dedent(paragraph)}\n```" if code else _text(paragraph))
    return parts


def _text(words: str) -> str:
    """Prose in which nothing is taken for HTML, a link or a reference; code stays as it is."""
    instead = {"<": "&lt;", "[": "\\["}
    return re.sub(r"(`[^`]*`)|([<\[])", lambda found: found[1] or instead[found[2]], words)


def _cell(words: str) -> str:
    return _text(words).replace("|", "\\|").replace("\n", " ")


def _code(words: str) -> str:
    return f"`{words}`" if words else ""
