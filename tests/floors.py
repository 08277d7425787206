"""The lowest versions that pyproject.toml allows, as pip's constraints: `make test-floor`.

python tests/floors.py [NAME]: all of them, or one's version.
"""

import re
import sys
import tomllib
from pathlib import Path

FLOOR = re.compile(r"([\w-]+)>=([\d.]+)")


def floors() -> dict[str, str]:
    """Version by name, of everything that the package needs."""
    project = tomllib.loads(Path(__file__).parents[1].joinpath("pyproject.toml").read_text())
    found = (FLOOR.match(line) for line in project["project"]["dependencies"])
    return {match[1]: match[2] for match in found if match}


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(floors()[sys.argv[1]])
    else:
        print("\n".join(f"{name}=={version}" for name, version in floors().items()))
