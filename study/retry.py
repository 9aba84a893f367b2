"""Do something again while what it needs is away: a locked database, a server that restarts, a full disk."""

import errno
import sqlite3
import time
from collections.abc import Callable
from typing import TypeVar

from study.errors import StudyError, without_passwords

Result = TypeVar("Result")

PASSING = frozenset(
    (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE, errno.EMFILE)
)
"""What an operating system says while a disk is full, unwritable or away, and not when a program is wrong."""
PASSING_SQLITE = frozenset(
    (sqlite3.SQLITE_PERM, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_READONLY,
     sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PROTOCOL)
)  # fmt: skip
"""What SQLite says while a database is locked or its disk is full or away; "no such column" is none of these."""
PASSING_STATES = ("08", "25006", "40", "53", "55P03", "57P", "58")
"""Beginnings of SQLSTATE while a server is away, read-only, busy, full or restarts; PostgreSQL's errors have them."""
PASSING_MYSQL = frozenset((1021, 1040, 1053, 1203, 1205, 1213, 1226, 2002, 2003, 2006, 2013, 2055))
"""The same in MySQL's numbers."""


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


def disk_is_away(error: BaseException | None) -> str:
    """Say why a file can't be written now, by an error or what it was raised for; nothing where that won't pass."""
    while error is not None:
        if isinstance(error, ConnectionError | TimeoutError) or (isinstance(error, OSError) and error.errno in PASSING):
            place = f" ({error.filename})" if error.filename else ""
            return f"{error.strerror or first_line(error)}{place}"
        error = error.__cause__ or error.__context__
    return ""


def database_is_away(error: BaseException | None) -> str:
    """Say why a database can't be used now, by SQLAlchemy's errors; nothing where the cause won't pass."""
    from sqlalchemy.exc import DBAPIError

    while error is not None:
        if isinstance(error, DBAPIError) and (error.connection_invalidated or _passes(error.orig)):
            return first_line(error.orig or error)
        error = error.__cause__ or error.__context__
    return ""


def _passes(error: BaseException | None) -> bool:
    """Whether what a database's driver raised will pass. Each driver has a code of its own, or none before it is in."""
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", 0) & 0xFF in PASSING_SQLITE
    names = {kind.__name__ for kind in type(error).__mro__}
    state = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    if isinstance(state, str):
        return state.startswith(PASSING_STATES)
    number = error.args[0] if error is not None and error.args else None
    if isinstance(number, int):
        return number in PASSING_MYSQL
    return bool(names & {"OperationalError", "InterfaceError"})  # there was no answer, and so there is no code


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text, or its type's name, without secrets."""
    lines = str(error).strip().splitlines()
    return without_passwords(lines[0]) if lines else type(error).__name__
