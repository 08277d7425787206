"""The live page: a person's session by hand, a running study. The page draws, the rest computes."""

from pathlib import Path


def page_file() -> Path:
    """The script that streamlit runs."""
    return Path(__file__).with_name("page.py")
