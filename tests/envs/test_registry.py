"""Names: of worlds, of their settings, of user models; and what an import costs."""

import inspect
import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest

from slategym.envs import names
from slategym.envs.names import UsageError
from slategym.envs.outline import outline
from slategym.envs.pages import describe_world
from slategym.envs.registry import (
    WORLDS,
    find_user_model,
    make_world,
    register_user_model,
    register_world,
    user_models,
    worlds,
)
from slategym.envs.users.likes import Likes
from slategym.envs.worlds.workbench import workbench

SECTIONS = (
    *("Description:", "Observation space:", "Action space:", "Reward:", "Start:", "End:"),
    *("Args:", "Source:", "Version history:"),
)


def test_a_world_is_its_id_and_has_a_page(world_id, world):
    assert world.name == world_id
    module, name = WORLDS[world_id].builder.split(":")
    builder = getattr(__import__(module, fromlist=[name]), name)
    page = inspect.getdoc(builder)
    places = [page.find(section) for section in SECTIONS]
    assert -1 not in places and places == sorted(places)
    fixed = dict(WORLDS[world_id].fixed)
    for setting in inspect.signature(builder).parameters:
        assert f"    {setting}: " in page, f"{setting} is not documented"
        assert setting in fixed or setting in page.split("Args:")[1]
    assert "static" in inspect.signature(builder).parameters


@pytest.mark.parametrize("name", sorted(WORLDS))
def test_a_page_says_what_every_setting_means(name):
    """Of a recipe, what its builder does not say is said by the world that it is a recipe of."""
    page, entry = describe_world(name), WORLDS[name]
    places = [page.find(f"\n{section}\n") for section in SECTIONS]
    assert -1 not in places and places == sorted(places)
    told = page.split("\nArgs:\n")[1].split("\nSource:\n")[0]
    for parameter in outline(entry.builder).parameters:
        assert f"    {parameter.name}: " in told, f"{parameter.name} is not told of"


def test_a_recipe_says_its_own_first():
    page = describe_world("MovieLens-v0")
    assert "truncated after 30 slates" in page and "10 to 100" not in page
    assert "    slate_size: slots.\n" in page and "objective" not in page.split("Args:")[1]
    assert page.count("\nArgs:") == page.count("\nEnd:") == 1


@pytest.mark.parametrize(
    ("setting", "value", "low"),
    [("horizon", 0, 1), ("history_size", -1, 0), ("seed", -1, 0), ("seed", 2**31, 0)],
)
def test_numbers_out_of_range_are_refused(setting, value, low):
    with pytest.raises(UsageError, match=rf"{setting} must be in \[{low}, 2\^31\), got {value}"):
        make_world("Workbench-v0", **{setting: value})


def test_the_prefix_may_be_left_out():
    assert (
        make_world("InterestEvolution-v0").name == make_world("slategym/InterestEvolution-v0").name
    )


@pytest.mark.parametrize(
    ("id", "settings", "message"),
    [
        ("slategym/InterestEvolutoin-v0", {}, "did you mean 'InterestEvolution-v0'"),
        ("InterestEvolution-v0", {"slate": 2}, "no setting 'slate'; did you mean 'slate_size'"),
        ("Sardine-SlateTopK-Bored-v0", {"variant": "x"}, "fixes variant='SlateTopK-Bored'"),
        ("InterestEvolution-v0", {"slate_size": 11}, r"slate_size must be in \[1, 10\], got 11"),
        ("Sardine-SlateTopK-Bored-v0", {"num_items": 5}, r"slate_size must be in \[1, 5\]"),
        ("InterestEvolution-v0", {"choice": "logits"}, "did you mean 'logit'"),
    ],
)
def test_unknown_names_and_impossible_settings(id, settings, message):
    with pytest.raises(UsageError, match=message):
        make_world(id, **settings)


def test_user_models_by_name_path_and_plug_in(monkeypatch):
    from slategym.envs.users.boredom import Boredom

    assert find_user_model("boredom") is Boredom
    assert find_user_model("slategym.envs.users.boredom:Boredom") is Boredom
    group = "slategym.user_models"
    point = EntryPoint("theirs", "slategym.envs.users.boredom:Boredom", group)
    monkeypatch.setattr(
        names, "entry_points", lambda group: [point] if group == point.group else []
    )
    assert find_user_model("theirs") is Boredom
    with pytest.raises(UsageError, match="unknown user model 'bordom'; did you mean 'boredom'"):
        find_user_model("bordom")
    with pytest.raises(UsageError, match="cannot find 'nowhere:Model'"):
        find_user_model("nowhere:Model")


def test_a_module_in_the_current_folder_is_found(tmp_path, monkeypatch):
    text = "from slategym.envs.users.likes import Likes as Mine\nimport not_there_at_all\n"
    (tmp_path / "broken_users.py").write_text(text)
    (tmp_path / "my_users.py").write_text(text.splitlines()[0])
    monkeypatch.chdir(tmp_path)
    before = list(sys.path)
    assert find_user_model("my_users:Mine").__name__ == "Likes"
    with pytest.raises(ModuleNotFoundError, match="not_there_at_all"):
        find_user_model("broken_users:Mine")
    with pytest.raises(UsageError, match="cannot find 'my_users:Yours'"):
        find_user_model("my_users:Yours")
    assert sys.path == before


def test_importing_registers_by_name_alone():
    """Neither torch nor anything as heavy comes with `import slategym`; ids are there."""
    code = (
        "import sys, slategym, gymnasium;"
        "assert 'torch' not in sys.modules and 'pandas' not in sys.modules;"
        "assert 'slategym/InterestEvolution-v0' in gymnasium.registry;"
        "assert 'InterestEvolution-v0' in gymnasium.registry"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_is_registered_may_be_the_thing_itself(monkeypatch):
    monkeypatch.setattr(user_models, "own", dict(user_models.own))
    monkeypatch.setattr(worlds, "own", dict(worlds.own))
    register_user_model("fond", Likes)
    assert find_user_model("fond") is Likes
    register_world("Bench-v0", workbench, "mine")
    assert worlds.find("Bench-v0").builder == "slategym.envs.worlds.workbench:workbench"

    class Hidden(Likes):
        pass

    with pytest.raises(UsageError, match="not in a function, so that other processes find it"):
        register_user_model("hidden", Hidden)
    with pytest.raises(UsageError, match="give a class, a function or 'module:Name', got a Likes"):
        register_user_model("one", Likes())
