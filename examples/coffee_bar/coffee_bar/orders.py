"""What the bar's guests ordered: a log by name, made up, in the folder beside this file."""

from pathlib import Path

from slategym.models import load_folder


def orders():
    """The log."""
    return load_folder(Path(__file__).parent / "log")
