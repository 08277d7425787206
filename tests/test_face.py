"""The public face: every exported name is there, importing it is light, texts use nothing else."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

import slategym as sg

ROOT = Path(__file__).parents[1]
PACKAGES = (
    "slategym",
    *(f"slategym.{name}" for name in ("envs", "models", "agents", "experiments")),
)
GROUPS = {  # of entry points
    f"slategym.{name}"
    for name in (
        *("user_models", "worlds", "policies", "agents", "data_sets", "studies"),
        *("families", "reporters"),
    )
}
OPTIONAL = {"SlateTensorDictEnv"}  # needs slategym[torchrl]
TEXTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "examples").rglob("*.py")),
    *sorted((ROOT / "examples").rglob("*.md")),
]
DEEPER = re.compile(r"slategym\.(?:envs|models|agents|experiments)\.\w+[.:]\w+")
FROM = re.compile(r"^\s*from (slategym[\w.]*) import (.+)$", re.MULTILINE)
DOTTED = re.compile(r"\b(slategym(?:\.(?:envs|models|agents|experiments))?|sg)\.([A-Za-z_]\w*)")


def package(name: str) -> ModuleType:
    return import_module(name)


@pytest.mark.parametrize("name", PACKAGES)
def test_every_exported_name_is_there(name: str) -> None:
    module = package(name)
    assert module.__all__ == sorted(module.__all__) and set(module.__all__) <= set(dir(module))
    for exported in module.__all__:
        if exported in OPTIONAL:
            continue
        assert getattr(module, exported) is not None, exported
    with pytest.raises(AttributeError, match=f"module '{name}' has no attribute 'nothing'"):
        module.nothing  # noqa: B018


@pytest.mark.parametrize("name", PACKAGES)
def test_type_checkers_are_told_the_same_names(name: str) -> None:
    """The block under TYPE_CHECKING and the table of what is imported lazily agree."""
    tree = ast.parse(Path(package(name).__file__ or "").read_text())
    told = {
        (node.module, alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname == alias.name
    }
    assert {exported for _, exported in told} == set(package(name).__all__)
    table = next(node for node in ast.walk(tree) if isinstance(node, ast.Dict))
    pairs = {
        (ast.literal_eval(module), exported)
        for module, names in zip(table.keys, table.values, strict=True)
        if module is not None
        for exported in ast.literal_eval(names)
    }
    assert pairs == {(module, exported) for module, exported in told if module != "slategym"}


@pytest.mark.parametrize("name", PACKAGES[1:])
def test_no_exported_name_hides_a_file(name: str) -> None:
    folder = Path(package(name).__file__ or "").parent
    files = {path.stem for path in folder.iterdir()}
    assert not files & set(package(name).__all__)


def test_the_names_of_the_issue_are_there() -> None:
    wanted = (
        "make_world World UserModel Signal load_log learned_world make_policy load_agent play "
        "compare run_study check_user_model check_agent SlateEnv SlateVectorEnv"
    )
    assert set(wanted.split()) <= set(sg.__all__)


def test_what_is_made_says_in_a_line_what_it_is(tmp_path: Path) -> None:
    world = sg.make_world("Sardine-SlateTopK-Bored-v0", num_items=50, slate_size=4)
    agent = sg.agents.PlackettLuce(world, seeds=[0, 1])
    assert repr(world) == (
        f"<world {world.name}: {world.population.size:,} users, 50 items, slates of 4, at most "
        "100 a session, on cpu>"
    )
    assert repr(agent) == f"<plackett-luce in {world.name}: 0 slates learnt from, 2 seed(s)>"
    (tmp_path / "items.csv").write_text("item,title\nalien,Alien (1979)\n")
    (tmp_path / "events.csv").write_text("user,item,time,rating\n7,alien,881250949,4\n")
    said = "1 events, 1 users, 1 items, signals click, like, rating"
    assert repr(sg.load_log(str(tmp_path))) == f"<log {tmp_path.name}: {said}>"


def test_completion_needs_no_torch() -> None:
    code = (
        "import sys, slategym as sg\n"
        "for package in (sg, sg.envs, sg.models, sg.agents, sg.experiments):\n"
        "    listed = {name for name in dir(package) if not name.startswith('_')}\n"
        "    assert listed == set(package.__all__)\n"
        "assert not {'torch', 'transformers', 'pandas'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_texts_use_exported_names_alone(path: Path) -> None:
    text = path.read_text()
    assert DEEPER.findall(text) == []
    for module, names in FROM.findall(text):
        assert module in PACKAGES, f"from {module}"
        for name in re.findall(r"\w+(?: as \w+)?", names.partition("#")[0]):
            assert name.split()[0] in package(module).__all__, f"from {module} import {name}"
    for module, name in DOTTED.findall(text):
        whole = module.replace("sg", "slategym") if module == "sg" else module
        if f"{whole}.{name}" not in {*PACKAGES, *GROUPS}:
            assert name in package(whole).__all__, f"{module}.{name}"


def functions_of(name: str) -> dict[str, Callable[..., object]]:
    """Exported functions and classes' own methods, by the name by which they are reached."""
    found = dict[str, Callable[..., object]]()
    for exported in set(package(name).__all__) - OPTIONAL:
        thing = getattr(package(name), exported)
        if inspect.isfunction(thing):
            found[exported] = thing
        elif inspect.isclass(thing) and thing.__module__.startswith("slategym."):
            for attribute in [a for a in dir(thing) if not a.startswith("_") or a == "__init__"]:
                method = inspect.getattr_static(thing, attribute)
                method = getattr(method, "__func__", method)
                if inspect.isfunction(method) and method.__module__.startswith("slategym."):
                    found[f"{exported}.{attribute}"] = method
    return found


@pytest.mark.parametrize("name", PACKAGES)
def test_paths_may_be_strings_everywhere(name: str) -> None:
    closed = [
        f"{reached}({parameter}: {annotation})"
        for reached, function in functions_of(name).items()
        for parameter, annotation in function.__annotations__.items()
        if parameter != "return"
        and "Path" in str(annotation)
        and "Callable" not in str(annotation)
        and "str" not in str(annotation)
    ]
    assert closed == []
