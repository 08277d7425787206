"""An exported policy of somebody else's: refused in one line, or served as any other."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from small_programs import asked, made

from slategym.agents.serving.load import read_examples
from slategym.agents.serving.serve import Policy
from slategym.agents.serving.service import read_policy
from slategym.envs.names import UsageError
from slategym.experiments.cli.main import answer, build
from slategym.models.checksums import sha256_of, with_checksum

PROGRAM = "policy.pt"


def said(folder: Path, runtime: str | None = None) -> str:
    """What refuses it: one line, not long, that names the folder."""
    with pytest.raises(UsageError) as caught:
        read_policy(folder, runtime)
    line = str(caught.value)
    assert "\n" not in line and len(line) < 500 and str(folder) in line and "again" in line, line
    return line


def rewrite(folder: Path, *path: str | int, value: object) -> None:
    """With another value in policy.json, its checksum right; `...`: without it."""
    about = json.loads((folder / "policy.json").read_text())
    node: Any = about
    for name in path[:-1]:
        node = node[name]
    if value is ...:
        del node[path[-1]]
    else:
        node[path[-1]] = value
    (folder / "policy.json").write_text(json.dumps(with_checksum(about)))


@pytest.mark.parametrize(
    ("path", "values"),
    [
        (("agent",), (..., 5, None)),
        (("world",), (..., ["x"])),
        (("num_items",), (0, -1, 2**40, "9", None, True)),
        (("inputs",), (..., [], {}, 5, "x", [5], [[]], [{}])),
        (("inputs", 0, "name"), (..., None, [], "history_item")),
        (("inputs", 0, "shape"), (..., [], ["B"], [1, 1], ["B", -1], ["B", 10**12], ["B", "x"], 5)),
        (("inputs", 0, "dtype"), (..., "load", "float8", "__class__", None, ["int32"])),
        (("output",), (..., None, [], {"shape": ["B"]}, {"shape": ["B", 0]}, {"shape": 5})),
        (("sha256",), (..., None, [], {}, {"policy.onnx": "0"}, {PROGRAM: None}, {PROGRAM: "0"})),
    ],
    ids=lambda x: ".".join(map(str, x)) if x and isinstance(x[0], str) else "",
)
def test_a_policy_json_of_a_stranger_is_one_line(
    tmp_path: Path, path: tuple[str | int, ...], values: tuple[object, ...]
) -> None:
    made("plain", tmp_path)
    before = (tmp_path / "policy.json").read_text()
    for value in values:
        (tmp_path / "policy.json").write_text(before)
        rewrite(tmp_path, *path, value=value)
        said(tmp_path)


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ((), ([], 5, {})),
        (("items",), (..., "p0p1p2p3p", [*range(9)], ["p0"])),
        (("signals",), (..., None, [5], [{"name": "click"}])),
        (("signals", 1, "low"), (..., None, "x", float("nan"))),
        (("signals", 1, "high"), (..., "x", True)),
        (("signals", 1, "at_least"), (..., 5, {"signal": "dwell"}, {"signal": 5, "value": 1.0})),
        (("profile",), (..., {}, [{"name": 5}], [{"name": "x", "categories": "yes"}])),
        (("context", 0, "unknown"), (..., None, "x")),
        (("context", 0, "name"), (5, "other")),  # whose input there is not
    ],
    ids=lambda x: ".".join(map(str, x)) if x and isinstance(x[0], str) else "",
)
def test_a_log_of_a_stranger_is_one_line(
    tmp_path: Path, path: tuple[str | int, ...], values: tuple[object, ...]
) -> None:
    made("keys", tmp_path)
    before = (tmp_path / "policy.json").read_text()
    for value in values:
        (tmp_path / "policy.json").write_text(before)
        rewrite(tmp_path, "log", *path, value=value)
        assert "describes no policy" in said(tmp_path)


def test_a_program_that_is_altered_or_none(tmp_path: Path) -> None:
    policy = made("plain", tmp_path)
    slates, program = policy(asked(policy)), (tmp_path / PROGRAM).read_bytes()
    for content in (program[:-1], program[:99] + b"x" + program[100:], b""):
        (tmp_path / PROGRAM).write_bytes(content)
        assert "was altered" in said(tmp_path)
    for content in (b"", b"\x80\x04cposix\nabort\n)R.", b"PK\x03\x04" + b"\0" * 99):
        (tmp_path / PROGRAM).write_bytes(content)  # and its checksum says so
        rewrite(tmp_path, "sha256", PROGRAM, value=sha256_of(tmp_path / PROGRAM))
        assert f"{tmp_path / PROGRAM} is no program for torch" in said(tmp_path)
    (tmp_path / PROGRAM).unlink()
    os.mkfifo(tmp_path / PROGRAM)  # read for ever
    said(tmp_path)
    (tmp_path / PROGRAM).unlink()
    (tmp_path / PROGRAM).write_bytes(program)
    rewrite(tmp_path, "sha256", PROGRAM, value=sha256_of(tmp_path / PROGRAM))
    assert Policy(tmp_path)(asked(policy)) == slates
    rewrite(tmp_path, "inputs", 3, value=...)
    assert f"it takes {len(policy.inputs)} inputs, policy.json names 3" in said(tmp_path)
    rewrite(tmp_path, "sha256", "../../x", value="0")  # is looked for here and nowhere else
    assert f"{tmp_path / 'x'} is missing" in said(tmp_path)


def test_an_onnx_program_reads_no_file_outside_of_its_folder(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="needs the extra onnx")
    pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    made("plain", tmp_path / "policy")
    (tmp_path / "secret").write_bytes(b"\1\0\0\0" * 3)
    outside = onnx.TensorProto(name="w", data_type=onnx.TensorProto.INT32, dims=[1, 3])
    outside.data_location = onnx.TensorProto.EXTERNAL
    outside.external_data.add(key="location", value="../secret")
    step = onnx.helper.make_tensor_value_info("step", onnx.TensorProto.INT32, ["B", 1])
    slate = onnx.helper.make_tensor_value_info("slate", onnx.TensorProto.INT32, ["B", 3])
    node = onnx.helper.make_node("Add", ["step", "w"], ["slate"])
    graph = onnx.helper.make_graph([node], "g", [step], [slate], [outside])
    opset = [onnx.helper.make_opsetid("", 18)]
    model = onnx.helper.make_model(graph, opset_imports=opset, ir_version=9)
    path = tmp_path / "policy" / "policy.onnx"
    for content in (b"", b"\xff" * 99, model.SerializeToString()):
        path.write_bytes(content)
        rewrite(path.parent, "sha256", "policy.onnx", value=sha256_of(path))
        assert f"{path} is no program for onnxruntime" in said(path.parent, "onnxruntime")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b"[" * 100_000, b"\xff", None])
def test_examples_that_are_none(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "examples.json"
    if content is None:
        path.symlink_to("/dev/zero")
    else:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=r"examples\.json (is|cannot)") as caught:
        read_examples(tmp_path)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


def test_its_name_does_not_act_upon_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("fastapi", reason="needs the extra serve")
    from slategym.agents.serving import service

    class Done:
        def run(self, sockets: object) -> None:
            pass

    monkeypatch.setattr(service, "server", lambda app: Done())
    made("plain", tmp_path)
    rewrite(tmp_path, "agent", value="\x1b]0;owned\x07[red]")
    assert answer(build, ["serve", str(tmp_path), "--port", "0"]) == 0
    out = capsys.readouterr().out
    assert "[red]" in out and "\x1b" not in out and "\x07" not in out
