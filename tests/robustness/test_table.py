"""What docs/robustness.md says is tested, is a test that is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
NAMED = re.compile(r"`([\w/]+\.py)::(\w+)`")


def test_every_test_that_the_page_names_is_there() -> None:
    page = (ROOT / "docs" / "robustness.md").read_text(encoding="utf-8")
    named = NAMED.findall(page)
    assert len(named) > 80
    missing = [
        f"{file}::{name}"
        for file, name in named
        if not (path := ROOT / file).is_file()
        or not re.search(rf"^def {name}\(", path.read_text(encoding="utf-8"), re.M)
    ]
    assert missing == []
