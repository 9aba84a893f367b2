"""Text from outside on a terminal: shown as it is, never obeyed."""

from rich.console import Console
from rich.text import Text

from study.errors import printable, without_passwords


def shown(text: str, style: str = "") -> Text:
    """Return a text without passwords, in which rich's markup and escape sequences are letters; lines stay lines."""
    return Text("\n".join(map(printable, without_passwords(text).split("\n"))), style)


def say(text: str, style: str = "", *, error: bool = False) -> None:
    """Print lines to standard output, or to standard error, and break none of them."""
    Console(stderr=error).print(shown(text, style), soft_wrap=True)
