"""A folder from somebody else runs no code, whatever its agent.json names."""

import json
import sys
from dataclasses import replace

import pytest
from small_worlds import small_log

from slategym.agents.registry import load_agent, make_policies, make_policy
from slategym.envs.names import UsageError, check_registered, load_object
from slategym.envs.registry import make_world
from slategym.experiments.cli.config_file import read_config
from slategym.experiments.cli.main import main
from slategym.experiments.cli.served_run import best_of_study
from slategym.experiments.measure.compare import settings_of_training
from slategym.experiments.measure.training import trained_in
from slategym.experiments.report.side_by_side import read_finished as read_study
from slategym.experiments.runs.backends.ray import check_answers
from slategym.experiments.workbench.settings import asked_of
from slategym.models.data.folder import load_folder, write_folder

WORKBENCH = "slategym/Workbench-v0"
HOSTILE = {  # what agent.json says of itself
    "users": {"world": WORKBENCH, "world_settings": {"users": "evil:pwn"}},
    "os": {"world": WORKBENCH, "world_settings": {"users": "os:abort"}},
    "nested": {"world": WORKBENCH, "world_settings": {"parts": [["evil:pwn"]]}},
    "world": {"world": "evil:pwn", "world_settings": {}},
}
AGENT = {"world": WORKBENCH, "world_settings": {}, "agent": "evil:Pwn"}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A trained policy's folder, beside a module that leaves a mark when it is imported."""
    (tmp_path / "evil.py").write_text("open('PWNED', 'w')\npwn = Pwn = dict\n")
    (tmp_path / "run").mkdir()
    monkeypatch.chdir(tmp_path)
    yield tmp_path / "run"
    assert not (tmp_path / "PWNED").exists() and "evil" not in sys.modules


def write(folder, about):
    kept = {"agent": about.get("agent", "ppo"), "about": about, "seeds": [0], "settings": {}}
    (folder / "agent.json").write_text(json.dumps(kept | {"slate_size": 5, "steps": 1}))


@pytest.mark.parametrize("about", HOSTILE.values(), ids=list(HOSTILE))
def test_where_it_was_trained_is_not_imported(folder, about, monkeypatch, capsys):
    write(folder, about)
    with pytest.raises(UsageError, match="would be imported and run"):
        trained_in(folder)
    for arguments in (
        ["export", "run"],
        ["simulate", "Workbench-v0", "--policy", "run"],
        ["compare", "Workbench-v0", "--policies", "run,random", "--users", "4"],
    ):
        monkeypatch.setattr(sys, "argv", ["slategym", *arguments])
        assert main() == 2
        assert "--trust" in "".join(capsys.readouterr().err.split("\n"))
    with pytest.raises(UsageError, match="would be imported"):
        settings_of_training(WORKBENCH, [folder], {})


@pytest.mark.parametrize("agent", ["evil:Pwn", "evil:Pwn-gamma0", "evil: Pwn", "evil:P:wn"])
def test_its_class_is_not_imported(folder, agent):
    write(folder, AGENT | {"agent": agent})
    world = make_world(WORKBENCH)
    for load in (load_agent, make_policy, make_policies):
        with pytest.raises(UsageError, match="'evil:P"):
            load(folder, world)


def test_no_setting_of_it_is_imported(folder):
    write(folder, {"world": WORKBENCH, "world_settings": {}})
    kept = json.loads((folder / "agent.json").read_text())
    world = make_world(WORKBENCH)
    for part in ({"settings": {"logging": "evil:pwn"}}, {"chosen": {"mmr": {"kind": "evil:pwn"}}}):
        (folder / "agent.json").write_text(json.dumps(kept | {"agent": "gems"} | part))
        with pytest.raises(UsageError, match="'evil:pwn'"):
            load_agent(folder, world)


def test_what_the_caller_named_already_is_no_news(folder):
    write(folder, HOSTILE["world"])
    assert trained_in(folder, world="evil:pwn").settings == {}
    assert trained_in(folder, trust=True).world == "evil:pwn"


@pytest.mark.parametrize("kept", ["boredom", ["a: b", 3, None], {"log": "/data/log:1 or so"}])
def test_names_and_words_pass(kept):
    check_registered("a file", kept)


@pytest.mark.parametrize("path", ["evil:pwn x", "evil:", "evil: pwn", " evil:pwn", "evil:p-n"])
def test_what_is_not_written_as_code_is_not_imported(folder, path):
    with pytest.raises(UsageError, match="it is not written as module:name"):
        load_object(path)


TRAINING = {"agent": "slateq", "world": WORKBENCH, "steps": 10}


@pytest.mark.parametrize(
    "said",
    [
        {"world_settings": {"users": "evil:pwn"}},
        {"agent_settings": {"network": "evil:pwn"}},
        {"agent": "evil:Pwn"},
        {"world": "evil:pwn"},
    ],
    ids=lambda said: next(iter(said)),
)
def test_no_name_in_a_trainings_file_is_imported(folder, said, monkeypatch, capsys):
    file = folder / "training.json"
    file.write_text(json.dumps(TRAINING | said))
    monkeypatch.setattr(sys, "argv", ["slategym", "train", "--config", str(file)])
    assert main() == 2 and "--trust" in "".join(capsys.readouterr().err.split("\n"))
    assert read_config(file, trust=True)


def nines(depth):
    """YAML of 9 ** depth values in a few lines."""
    lines = [f"  - &a{n} [{','.join([f'*a{n - 1}'] * 9)}]" for n in range(1, depth)]
    return "\n".join(["seeds:", "  - &a0 [0]", *lines])


def write_study(folder, place):
    open_one = {"name": "world", "role": "open", "world": WORKBENCH, "settings": {}} | place
    (folder / "study.json").write_text(json.dumps({"places": [open_one]}))
    (folder / "summary.json").write_text(json.dumps({"means": {"world": {"popularity": 1.0}}}))


def test_a_studys_world_is_not_imported(folder):
    """Neither serve nor app makes a world that the folder names as code."""
    write_study(folder, {})
    assert best_of_study(str(folder)).policy == "popularity"
    assert asked_of(str(folder)).policies == ("popularity",)
    for place in ({"world": "evil:pwn"}, {"settings": {"users": "evil:pwn"}}):
        write_study(folder, place)
        for read in (best_of_study, asked_of):
            with pytest.raises(UsageError, match="would be imported and run"):
                read(str(folder))
        assert best_of_study(str(folder), trust=True)


@pytest.mark.parametrize("file", ["study.json", "summary.json"])
@pytest.mark.parametrize("text", ["{}", "[]", "{", '{"places": 3, "means": []}', ""])
def test_a_damaged_study_is_one_line_that_names_it(folder, file, text):
    write_study(folder, {})
    (folder / "rows.parquet").write_bytes(b"")
    (folder / file).write_text(text)
    for read in (best_of_study, asked_of, read_study):
        with pytest.raises((UsageError, OSError, ValueError), match=str(folder)):
            read(str(folder))


def test_a_cluster_that_does_not_answer_is_said_at_once():
    for address in ("127.0.0.1:1", "ray://127.0.0.1:1", "127.0.0.1:99999999"):
        with pytest.raises(UsageError, match=f"no Ray cluster answers at {address}"):
            check_answers(address)


DEEP = "[" * 100_000
UNREADABLE = {
    "tag.yaml": ('agent: !!python/object/apply:os.system ["touch PWNED"]', "cannot be read"),
    "nines.yaml": (nines(12), "alias"),
    "list.yaml": ("seeds: [" + "0," * 9_000 + "]", "seeds is a int, got"),
    "date.toml": ("[agent_settings]\nseed = 2024-01-01", "is a date"),
    "table.toml": ("[agent_settings]\nseed = {a = 1}", "is a dict"),
    "nest.json": (f'{{"agent_settings": {{"x": {"[" * 800}1{"]" * 800}}}}}', "is a list"),
    "deep.json": (DEEP, "cannot be read"),
    "deep.toml": ("a = " + DEEP, "cannot be read"),
    "big.json": (" " * 1_000_001, "more than 1,000,000 bytes"),
    "bytes.toml": (b"\xff\xfe", "cannot be read"),
    "code.json": ('{"world_settings": {"users=evil:pwn": 1}}', "made of letters, digits and _"),
    "nameless.json": ('{"agent_settings": {"": 1}}', "made of letters, digits and _"),
    "names.json": (f'{{"{"x" * 9_000}": 1}}', "it may have agent"),
    "none.toml": ("seeds = 0", r"seeds must be in \[1, 1000\], got 0"),
    "many.toml": ("seeds = 100_000_000", r"seeds must be in \[1, 1000\], got 100000000"),
    "seed.toml": (f"seed = 1{'0' * 4_000}", r"seed must be in \[0, 2\^31\), got 1000"),
    "steps.toml": ("steps = 0", r"steps must be in \[1, 2\^31\), got 0"),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_hostile_trainings_file_is_one_short_line(folder, name):
    text, message = UNREADABLE[name]
    file = folder / name
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UsageError, match=message) as caught:
        read_config(file)
    assert len(str(caught.value)) < 500 and "\n" not in str(caught.value)


@pytest.mark.parametrize("where", ["agent_settings", "world_settings"])
def test_a_long_name_of_a_setting_is_cut(folder, where, monkeypatch, capsys):
    file = folder / "training.json"
    file.write_text(json.dumps(TRAINING | {where: {"x" * 9_000: 1}}))
    monkeypatch.setattr(sys, "argv", ["slategym", "train", "--config", str(file)])
    assert main() == 2
    said = capsys.readouterr().err
    assert "has no setting 'xxx" in said and len(said) < 700 and said.count("\n") == 1


def test_a_title_in_csv_is_no_formula(tmp_path):
    formulas = ("=1+1", "+1", "-1", "@now", "\tx", "'=1+1", "''-1", "it's", "'quoted'")
    log = small_log(num_items=len(formulas))
    log = replace(log, items=log.items.assign(title=formulas, text=formulas, key=formulas))
    write_folder(log, tmp_path / "csv", "csv")
    lines = (tmp_path / "csv" / "items.csv").read_text().splitlines()[1:]
    cells = [cell.strip('"') for line in lines for cell in line.split(",")]
    assert not [cell for cell in cells if cell[:1] in tuple("=+-@\t")]
    again = load_folder(tmp_path / "csv")
    assert list(again.items["title"]) == list(again.items["key"]) == [f.strip() for f in formulas]
    assert (again.events["item"].to_numpy() == log.events["item"].to_numpy()).all()
