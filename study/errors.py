"""The one exception type for bad input: the command line prints its message and exits with code 2."""

import re

_PORT = r"(?:\d+(?:[/?#\s'\"),;:.\]}]|$)|$)"
_PASSWORD = re.compile(  # may hold blanks, slashes and @; but http://host:5000/a@b has none
    rf"(://[^\n/:]*):(?:(?!{_PORT})[^\n@]*@(?:\S*@)?|[^\s/]*@)|((?<!http)(?<!https)://[^\n/:]*):\S*@",
    re.IGNORECASE,
)
_TOKEN = re.compile(r"(https?://)[^\s/@]*@", re.IGNORECASE)
_SECRET = re.compile(
    r"([?&;][\w.%-]*(?:passw|pwd|passphrase|token|secret|credential|signature|api_?-?key|access_?-?key|odbc_connect)"
    r"[\w.%-]*=)[^\s&#]*?(?=['\")\]}>,:;.]*(?:[\s&#]|$))",
    re.IGNORECASE,
)


class StudyError(Exception):
    """Something the user gave is wrong; the message says what, where, and what to do, in a line or two."""

    def __init__(self, message: str) -> None:
        """Store the message without the secrets of addresses."""
        super().__init__(without_passwords(message))


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
    """Remove the secrets from a text's addresses; every text with an address that is printed or stored goes through it.

    Secrets are passwords, user names in http addresses (they may be tokens), and the values of query keys that are
    named for a secret. In doubt, text is removed.
    """
    text = _PASSWORD.sub(lambda match: f"{match[1] or match[2]}:***@", text)
    return _SECRET.sub(r"\1***", _TOKEN.sub(r"\1***@", text))


def printable(text: str) -> str:
    r"""Make a text from a file safe to print: an escape character is shown as ``\x1b`` and has no effect."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def with_noun(number: int, noun: str) -> str:
    """Write a number with its noun: ``1 result``, ``1,200 results``."""
    return f"{number:,} {noun}{'s' * (number != 1)}"
