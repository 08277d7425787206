"""The site: strict, with a page for everything that has a name, and nothing from another host."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import time
import tomllib
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from browser import Browser, axe_source, chromium
from PIL import Image

import slategym as sg
from slategym.agents.registry import policies
from slategym.envs.registry import NAMESPACE, worlds
from slategym.experiments.report.words import FAMILIAR
from slategym.experiments.studies.registry import studies
from slategym.models.data.datasets import DATASETS

READ = (  # pages of each kind, in light and dark, wide and narrow
    ("index.html", 1280, False),
    ("index.html", 390, True),
    ("commands.html", 1280, True),
    ("readme.html", 1280, True),
    ("results/movielens.html", 390, True),
    ("journey/train.html", 1280, False),
    ("api/slategym.models.html", 768, False),
)
KINDS = ("Apache", "MIT", "BSD", "MPL", "PSF", "Python Software Foundation")
ROOT = Path(__file__).parents[1]
pytest.importorskip("mkdocs", reason="slategym[docs] is not installed")
# what the browser loads by itself; a link that one may follow is none
LOADED = re.compile(r"<(?:script|img|iframe)[^>]+src=\"([^\"]+)\"|<link[^>]+href=\"([^\"]+)\"")


def generated() -> Any:
    path = ROOT / "docs" / "generated.py"
    spec = importlib.util.spec_from_file_location("site_pages", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_world_policy_and_export_has_a_page() -> None:
    pages = generated()
    pages_of_worlds = pages.worlds()
    for name in worlds.all():
        if name.startswith(NAMESPACE):
            page = pages_of_worlds[f"worlds/{name.removeprefix(NAMESPACE)}.md"]
            assert "slategym simulate" in page
    made = pages.agents()
    for name, entry in policies.all().items():
        assert entry.one_line in made[f"policies/{name}.md"]
    api = pages.api()
    assert set(api) == {f"api/{package}.md" for package in pages.PACKAGES}
    text = api["api/slategym.agents.md"]
    assert "## PlackettLuce" in text and "**Args**" in text and "'World'" not in text
    assert all(f"## {name}" in api["api/slategym.md"] for name in ("make_world", "compare"))
    assert sg.__all__


def test_every_kind_of_extension_has_a_page_with_its_file_and_its_lines() -> None:
    pages = generated()
    table = (ROOT / "docs" / "extending.md").read_text("utf-8")
    made = pages.extensions()
    assert set(made) == {f"extend/{kind}.md" for kind in pages.KINDS}
    for path, page in made.items():
        ((lines, file),) = re.findall(r"(\d+) lines with .*: `(examples/[/\w]+\.py)`", page)
        assert (ROOT / file).read_text("utf-8").strip() in page
        assert f"| `{file}` | {lines} |" in table
        assert f"](../{file})" in table and path.startswith("extend/")


def test_every_study_says_what_it_asks_where_and_of_whom() -> None:
    [page] = generated().studies().values()
    for name, entry in studies.all().items():
        if entry.where.startswith("slategym."):
            section = page.split(f"\n## {name}\n")[1].split("\n## ")[0]
            assert entry.one_line in page and len(section.split()) > 60, name
            if name != "log":  # it follows from the log
                assert "](worlds/" in section and "Learners: `" in section, name


def test_every_data_set_is_listed_with_its_licence() -> None:
    [page] = generated().data_sets().values()
    for name in DATASETS:
        section = page.split(f"\n## {name}\n")[1].split("\n## ")[0]
        licence = re.findall(r"Licence: (\S[^.\n]+)", section)
        assert licence and len(section.split()) > 12, name


def test_what_is_installed_is_listed_with_the_licence_that_it_states() -> None:
    """docs/licences.md: every dependency of pyproject.toml, under what its metadata says."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    wanted = [*project["dependencies"], *(line for lines in extras for line in lines)]
    names = {re.split(r"[<>=\[]", line)[0].lower() for line in wanted} - {"slategym"}
    rows = {}
    for line in (ROOT / "docs" / "licences.md").read_text("utf-8").splitlines():
        if line.startswith("| "):
            packages, licence = line.split("|")[1:3]
            rows |= {name: licence for name in re.findall(r"[\w-]+", packages.lower())}
    assert names <= set(rows), names - set(rows)
    for name in names:
        try:
            about = metadata(name)
        except PackageNotFoundError:
            continue
        stated = " ".join(
            [about.get("License-Expression") or (about.get("License") or "")[:60],
             *(line for line in about.get_all("Classifier") or [] if "License" in line)]
        )  # fmt: skip
        kinds = {kind for kind in KINDS if kind in stated}
        assert not kinds or any(kind in rows[name] for kind in kinds), (name, stated, rows[name])


def test_the_house_has_every_room_in_its_storey() -> None:
    [page] = generated().house().values()
    for storey in ("experiments", "agents", "models", "envs"):
        section = page.split(f"## {storey}\n")[1].split("\n## ")[0]
        rooms = {path.parent.name for path in (ROOT / storey).glob("*/__init__.py")}
        assert set(re.findall(rf"`{storey}/(\w+)`", section)) == rooms
        assert all(f">{room}</text>" in page for room in rooms)
    assert page.index(">experiments<") < page.index(">agents<") < page.index(">envs<")


def test_the_journey_is_in_the_order_that_the_first_page_says() -> None:
    nav = yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))["nav"]
    [journey] = [part["A journey"] for part in nav if "A journey" in part]
    first = (ROOT / "docs" / "index.md").read_text("utf-8")
    assert re.findall(r"^\d\. \[[^]]+\]\(([^)]+)\)", first, re.MULTILINE) == [
        page for step in journey for page in step.values()
    ]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-q", "-d", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return folder


def test_it_builds_strictly_and_loads_nothing_from_elsewhere(site: Path) -> None:
    assert len(list(site.rglob("*.html"))) > 70
    assert not list(site.rglob("__pycache__"))
    for page in site.rglob("*.html"):
        assert not re.search(r"\\(?:\[|&lt;)", page.read_text("utf-8")), page.name  # escapes
        for pair in LOADED.findall(page.read_text("utf-8")):
            assert not any(url.startswith(("http", "//")) for url in pair), (page.name, pair)


def test_names_that_people_know_stand_beside_the_codes(site: Path) -> None:
    for page, name in (("sardine", "plackett-luce"), ("topicrec", "gems"), ("recsim", "slateq")):
        html = (site / "results" / f"{page}.html").read_text("utf-8")
        link, known = f'<a href="../policies/{name}.html">{name}</a>', FAMILIAR[name]
        assert re.search(rf"{re.escape(link)}[^<]*(?:</\w+>)*\*?<br><small[^>]*>{known}<", html), (
            page
        )
        assert (site / "policies" / f"{name}.html").is_file()


@pytest.mark.skipif(chromium() is None, reason="no Chromium at hand; name it in $CHROMIUM")
def test_it_can_be_read_in_a_browser(site: Path, tmp_path: Path) -> None:
    """Screenshots lie in $REPORT_PICTURES, or in the test's own folder: look at them."""
    pictures = Path(os.environ.get("REPORT_PICTURES", tmp_path))
    pictures.mkdir(parents=True, exist_ok=True)
    with Browser() as browser:
        for name, width, dark in READ:
            page = browser.open((site / name).as_uri(), width=width, dark=dark)
            shown = f"site-{Path(name).stem}-{width}-{'dark' if dark else 'light'}.png"
            page.screenshot(pictures / shown, most=3_000)
            with Image.open(pictures / shown) as image:
                grey = np.asarray(image.convert("L"))
            assert (grey.mean() < 90) if dark else (grey.mean() > 170), shown
            white = (grey > 250).mean(axis=1)  # a figure that stays white is rows of white
            assert not dark or white.max() < 0.3, shown
            assert all(url.startswith("file:") for url in page.requests), page.requests
            assert page.errors == [], name
            assert page.ask("document.documentElement.scrollWidth <= innerWidth + 1"), name
            if axe_source() is not None:
                assert page.axe() == [], name


@pytest.mark.skipif(chromium() is None, reason="no Chromium at hand; name it in $CHROMIUM")
@pytest.mark.parametrize("width", [1280, 390])
def test_a_site_read_from_disk_can_be_searched(site: Path, width: int) -> None:
    with Browser() as browser:
        page = browser.open((site / "results/movielens.html").as_uri(), width=width)
        page.ask("""
            document.querySelector("#__search").click();
            const asked = document.querySelector(".md-search__input");
            asked.focus();
            asked.value = "boredom";
            asked.dispatchEvent(new KeyboardEvent("keyup", {bubbles: true}));
            undefined""")
        for _ in range(100):
            if found := page.ask("document.querySelectorAll('.md-search-result__item').length"):
                break
            time.sleep(0.1)
        assert found > 3
        assert page.errors == [] and all(url.startswith("file:") for url in page.requests)
        assert page.ask("document.querySelector('.md-search__output').checkVisibility()")
        if width == 390 and axe_source() is not None:
            assert page.axe() == []
