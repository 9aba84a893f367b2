"""The one exception type for bad input: the command line prints its message and exits with code 2."""

import re

_PASSWORD = re.compile(r"(://[^/\s:@]*):[^/\s@]+@")


class StudyError(Exception):
    """Something the user gave is wrong; the message says what, where, and what to do, in a line or two."""


class GridError(StudyError):
    """A grid file that can't be used: syntax, an unknown key, a value out of range."""


class DataError(StudyError):
    """A data set that can't be used: missing, damaged, or of an unexpected shape."""


def nearest(word: str, choices: list[str]) -> str:
    """Return ``" (did you mean 'x'?)"`` for the closest of `choices`, or an empty string if none is close."""
    import difflib

    close = difflib.get_close_matches(word, choices, n=1, cutoff=0.5)
    return f" (did you mean '{close[0]}'?)" if close else ""


def without_passwords(text: str) -> str:
    """Return a text with the passwords of addresses left out: a grid may name Optuna's server with one."""
    return _PASSWORD.sub(r"\1:***@", text)


def printable(text: str) -> str:
    r"""Return a text from a file as it may be printed: an escape sequence is shown as ``\x1b``, and isn't obeyed."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
