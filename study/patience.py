"""Do something again while what it needs is away: a locked database, a server that restarts, a full disk."""

import errno
import time
from collections.abc import Callable
from typing import TypeVar

from study.errors import StudyError

Result = TypeVar("Result")

PASSING = frozenset(
    (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE, errno.EMFILE)
)
"""What an operating system says while a disk is full, unwritable or away, and not when a program is wrong."""


class GivenUp(StudyError):
    """What was needed didn't come back in time, or there was no time to wait for it."""


class Patience:
    """Waits for what is away, and lets something else be done meanwhile."""

    def __init__(self) -> None:
        """Wait for nothing, until `meanwhile` is set."""
        self.meanwhile: Callable[[str, float], None] | None = None
        """Told why we wait and since how many seconds, again and again; raises GivenUp to end it."""
        self.back: Callable[[float], None] | None = None
        """Told after how many seconds what was away is there again."""

    def __call__(self, do: Callable[[], Result], away: Callable[[Exception], str]) -> Result:
        """Return what `do` returns, tried for as long as `away` gives a reason why its error will pass.

        Raises:
            GivenUp: `meanwhile` has no patience left.
        """
        began = 0.0
        while True:
            try:
                result = do()
            except Exception as error:
                why = away(error)
                if not why or self.meanwhile is None:
                    raise
                began = began or time.monotonic()
                self.meanwhile(why, time.monotonic() - began)
            else:
                if began and self.back is not None:
                    self.back(time.monotonic() - began)
                return result


def disk_is_away(error: Exception) -> str:
    """Say why a file can't be written now, or nothing where the cause won't pass."""
    if isinstance(error, ConnectionError | TimeoutError) or (isinstance(error, OSError) and error.errno in PASSING):
        place = f" ({error.filename})" if error.filename else ""
        return f"{error.strerror or first_line(error)}{place}"
    return ""


def database_is_away(error: BaseException | None) -> str:
    """Say why a database can't be used now, by SQLAlchemy's errors; nothing where the cause won't pass."""
    from sqlalchemy.exc import InterfaceError, OperationalError

    while error is not None:
        if isinstance(error, OperationalError | InterfaceError):
            return first_line(error.orig or error)
        error = error.__cause__ or error.__context__
    return ""


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text, or its type's name."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
