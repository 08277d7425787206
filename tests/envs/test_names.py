from importlib.metadata import EntryPoint, entry_points

import pytest

from slategym.envs import names
from slategym.envs.names import LISTED, Registry, UsageError, load_object, lookup

FEW = {"Toy-v0": 1, "Sardine-v0": 2}
MANY = {f"World{letter}-v0": letter for letter in "ABCDEFGHIJKLMNOP"}


def test_a_known_name_is_found():
    assert lookup("world", "Toy-v0", FEW) == 1


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("toy-v1", "unknown world 'toy-v1'; did you mean 'Toy-v0'? Known: Sardine-v0, Toy-v0"),
        ("SARDINE-V0", "did you mean 'Sardine-v0'?"),
        ("xyz", "unknown world 'xyz'; Known: Sardine-v0, Toy-v0"),
        ("", "unknown world ''; Known: Sardine-v0, Toy-v0"),
    ],
)
def test_an_unknown_one_is_answered_with_the_nearest(name, message):
    with pytest.raises(UsageError) as caught:
        lookup("world", name, FEW)
    assert message in str(caught.value)


@pytest.mark.parametrize("name", ["WorldC-v1", "xyz"])
def test_of_many_only_some_are_listed(name):
    with pytest.raises(UsageError) as caught:
        lookup("world", name, MANY)
    message = str(caught.value)
    assert sum(known in message.split("Known:")[1] for known in MANY) == LISTED
    assert message.endswith("... (16 in all)")
    assert ("did you mean 'WorldC-v0'" in message) == (name != "xyz")


@pytest.fixture
def colours(monkeypatch):
    """Two of our own and what an installed package adds: strings, "module:name"."""
    points = [
        EntryPoint("green", "collections:OrderedDict", "toy.colours"),
        EntryPoint("red", "collections:Counter", "toy.colours"),
        EntryPoint("blue", "collections:deque", "toy.other"),
    ]
    monkeypatch.setattr(
        names, "entry_points", lambda group: [p for p in points if p.group == group]
    )
    own = {"c/red": "collections:abc", "c/grey": "collections:ChainMap"}
    return Registry("colour", own, {"toy.colours": lambda path, _: path}, prefix="c/")


def test_a_registry_knows_its_own_and_the_plug_ins(colours):
    assert list(colours.all()) == ["c/red", "c/grey", "c/green"]
    assert colours.find("green") == colours.find("c/green") == "collections:OrderedDict"
    assert colours.find("anywhere:At") == "anywhere:At"
    with pytest.raises(UsageError, match="unknown colour 'gren'; did you mean 'green'"):
        colours.find("gren")


def test_installed_packages_are_read_once_and_again_when_one_is_added(tmp_path, monkeypatch):
    """A study looks names up by the thousand, and reading all packages takes milliseconds."""
    read = []
    monkeypatch.setattr(
        names, "entry_points", lambda group: read.append(group) or entry_points(group=group)
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    shades = Registry("shade", {}, {"toy.shades": lambda path, _: path})
    for _ in range(3):
        assert not shades.all()
    assert read == ["toy.shades"]
    info = tmp_path / "toy-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[toy.shades]\ndark = collections:deque\n")
    assert shades.find("dark") == "collections:deque"


def test_a_name_of_two_packages_is_refused(colours):
    with pytest.raises(UsageError, match=r"2 packages have a colour 'red': slategym, .*Counter"):
        colours.find("red")


def test_one_registered_at_run_time_is_found_and_no_name_twice(colours):
    colours.register("pink", "collections:UserDict")
    assert colours.find("c/pink") == colours.find("pink") == "collections:UserDict"
    for taken in ("pink", "c/grey", "green"):
        with pytest.raises(UsageError, match="there is a colour"):
            colours.register(taken, "collections:UserList")


def test_an_object_is_loaded_by_its_path():
    assert load_object("collections:OrderedDict").__name__ == "OrderedDict"
    for path in ("collections:Nothing", "nowhere_at_all:X", "collections"):
        with pytest.raises(UsageError, match=f"cannot find '{path}'"):
            load_object(path)
