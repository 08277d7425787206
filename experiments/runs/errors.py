"""Errors in one line."""

from __future__ import annotations

DEFECTS = (KeyError, IndexError, AssertionError, TypeError, AttributeError, NameError)


class UnitError(RuntimeError):
    """A unit failed; the message names it. The traceback it met is this error's cause or note."""


def describe(error: BaseException) -> str:
    """One line: the message, or the kind of error where the message alone says too little."""
    text = " ".join(str(error).split())
    if isinstance(error, MemoryError):
        return f"out of memory ({text})" if text else "out of memory"
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.strerror}: {error.filename}"
    if isinstance(error, DEFECTS):
        return f"{type(error).__name__}: {text}"
    return text or type(error).__name__
