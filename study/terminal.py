"""Print text from outside on a terminal without any effect of markup or escape sequences."""

from rich.console import Console
from rich.text import Text

from study.errors import printable, without_passwords


def shown(text: str, style: str = "") -> Text:
    """Return a text without passwords whose rich markup and escape sequences are shown as letters; line breaks stay."""
    return Text("\n".join(map(printable, without_passwords(text).split("\n"))), style)


def say(text: str, style: str = "", *, error: bool = False, prose: bool = False) -> None:
    """Print lines to standard output, or to standard error; a terminal wraps `prose` between words, nothing else."""
    console = Console(stderr=error)
    console.print(shown(text, style), soft_wrap=not (prose and console.is_terminal))
