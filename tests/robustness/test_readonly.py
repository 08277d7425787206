"""A complete cache serves from a disk that cannot be written to, and says so where it does not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import kill_units
import pytest

from slategym.models.files import kept, place_of

TESTS = Path(__file__).parents[1]
PROGRAM = """
import sys
import kill_units
from slategym.models.files import home, kept
print(kept("constants/x", 1, lambda: "made again"))
print(len(kill_units.fit(home() / "models" / "m", 1).state_dict()) > 10, flush=True)
sys.stdin.readline()  # until somebody has altered it
kept("constants/x", 1, lambda: "made again")
"""


def without_rights(home: Path) -> subprocess.Popen[str]:
    """The program as somebody who may write nowhere: root loses what lets it."""
    call = [sys.executable, "-c", PROGRAM]
    if os.getuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("root without setpriv writes anywhere")
        call = ["setpriv", "--inh-caps=-all", "--bounding-set=-all", *call]
    path = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "SLATEGYM_HOME": str(home), "PYTHONPATH": path}
    pipe = subprocess.PIPE
    return subprocess.Popen(call, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=environment)


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="needs users")
def test_a_complete_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    monkeypatch.setenv("SLATEGYM_HOME", str(home))
    kept("constants/x", 1, lambda: "kept")
    kill_units.fit(home / "models" / "m", 1)
    shutil.rmtree(home / ".locks")
    folders = [path for path in home.rglob("*") if path.is_dir()]
    try:
        for path in [*folders, home]:
            path.chmod(0o555)
        with without_rights(home) as run:
            assert run.stdout is not None
            said = [run.stdout.readline() for _ in range(2)]
            damaged = place_of("constants/x.json", 1)
            damaged.write_text('"altered"')  # root, or the owner of the file, still may
            _, errors = run.communicate("\n")
        assert said == ["kept\n", "True\n"], errors
        line = errors.splitlines()[-1]
        assert run.returncode == 1 and f"{damaged} is damaged and cannot be set aside" in line
    finally:
        for path in [home, *folders]:
            path.chmod(0o755)
