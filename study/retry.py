"""Repeat a call while a resource is unavailable: a locked database, a server that restarts, a full disk."""

import errno
import sqlite3
import time
from collections.abc import Callable
from typing import TypeVar

from study.errors import StudyError, without_passwords

Result = TypeVar("Result")

TRANSIENT = frozenset(
    (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE, errno.EMFILE)
)
"""Error numbers of a disk that is full, read-only or unmounted; none of them means that the program is wrong."""
TRANSIENT_SQLITE = frozenset(
    getattr(sqlite3, f"SQLITE_{name}")
    for name in ("PERM", "BUSY", "LOCKED", "NOMEM", "READONLY", "IOERR", "FULL", "CANTOPEN", "PROTOCOL")
)
"""SQLite's error codes for a database that is locked or whose disk is full or unmounted."""
TRANSIENT_SQLSTATES = ("08", "25006", "40", "53", "55P03", "57P", "58")
"""Prefixes of SQLSTATE (PostgreSQL's error codes) while a server is unreachable, read-only, busy, full or restarts."""
TRANSIENT_MYSQL = frozenset((1021, 1040, 1053, 1203, 1205, 1213, 1226, 2002, 2003, 2006, 2013, 2055))
"""The same as error numbers of MySQL."""


class RetryTimeout(StudyError):
    """A resource stayed unavailable for too long, or there was no time to wait for it."""


class Retry:
    """Repeats a call while a resource is unavailable, and lets the caller do something else between attempts."""

    def __init__(self) -> None:
        """Raise the first error, until `on_wait` is set."""
        self.on_wait: Callable[[str, float], None] | None = None
        """Called between attempts with the reason and the seconds waited so far; raises RetryTimeout to give up."""
        self.on_recovered: Callable[[float], None] | None = None
        """Called after a success that needed several attempts, with the seconds that it took."""

    def __call__(self, call: Callable[[], Result], transient: Callable[[Exception], str]) -> Result:
        """Return the result of `call`; repeat it as long as `transient` gives a reason why its error will pass.

        Raises:
            RetryTimeout: `on_wait` gave up.
        """
        began = 0.0
        while True:
            try:
                result = call()
            except Exception as error:
                reason = transient(error)
                if not reason or self.on_wait is None:
                    raise
                began = began or time.monotonic()
                self.on_wait(reason, time.monotonic() - began)
            else:
                if began and self.on_recovered is not None:
                    self.on_recovered(time.monotonic() - began)
                return result


def transient_disk_error(error: BaseException | None) -> str:
    """Return why a file can't be written at present, by an error or its cause; "" if the error is permanent."""
    while error is not None:
        if isinstance(error, ConnectionError | TimeoutError) or (
            isinstance(error, OSError) and error.errno in TRANSIENT
        ):
            place = f" ({error.filename})" if error.filename else ""
            return f"{error.strerror or first_line(error)}{place}"
        error = error.__cause__ or error.__context__
    return ""


def transient_database_error(error: BaseException | None) -> str:
    """Return why a database can't be used at present, by SQLAlchemy's errors; "" if the error is permanent."""
    from sqlalchemy.exc import DBAPIError

    while error is not None:
        if isinstance(error, DBAPIError) and (error.connection_invalidated or _is_transient(error.orig)):
            return first_line(error.orig or error)
        error = error.__cause__ or error.__context__
    return ""


def _is_transient(error: BaseException | None) -> bool:
    """Whether a database driver's error is transient; drivers differ in their codes, and have none until connected."""
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", 0) & 0xFF in TRANSIENT_SQLITE
    names = {kind.__name__ for kind in type(error).__mro__}
    state = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    if isinstance(state, str):
        return state.startswith(TRANSIENT_SQLSTATES)
    number = error.args[0] if error is not None and error.args else None
    if isinstance(number, int):
        return number in TRANSIENT_MYSQL
    return bool(names & {"OperationalError", "InterfaceError"})  # the server did not answer, so there is no code


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message without secrets, or the name of its type if it has no message."""
    lines = str(error).strip().splitlines()
    return without_passwords(lines[0]) if lines else type(error).__name__
