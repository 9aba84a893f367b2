"""Text from outside on a terminal: shown as it is, never obeyed."""

from rich.console import Console
from rich.text import Text

from study.errors import printable


def shown(text: str, style: str = "") -> Text:
    """Return a text in which rich's markup and escape sequences are letters like others; lines stay lines."""
    return Text("\n".join(map(printable, text.split("\n"))), style)


def say(text: str, style: str = "", *, error: bool = False) -> None:
    """Print lines to standard output, or to standard error, and break none of them."""
    Console(stderr=error).print(shown(text, style), soft_wrap=True)
