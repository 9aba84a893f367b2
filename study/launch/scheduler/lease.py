"""Leases: which launcher does what, in a database that all launchers of a study share.

A lease ends by itself when its holder is silent for long, and at once when that is a dead process of this machine.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from sqlalchemy import (
    Column,
    Engine,
    Float,
    MetaData,
    Select,
    String,
    Table,
    create_engine,
    delete,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from study.errors import StudyError, without_passwords
from study.retry import Retry, transient_database_error, transient_disk_error
from study.track.processes import is_dead

LOCKED_SECONDS = 5.0
"""How long SQLite waits by itself for others that write."""
RENEW_AGAIN_SECONDS = 5.0
SECONDS = 120.0
"""A silent holder keeps its leases so long; far more than clocks of machines differ by."""

TABLE = Table(
    "study_leases",
    MetaData(),
    Column("key", String(200), primary_key=True),
    Column("holder", String(200), nullable=False),
    Column("until", Float, nullable=False),
)


class Leases:
    """The leases of one launcher."""

    def __init__(
        self,
        url: str,
        holder: str,
        study: str,
        *,
        seconds: float = SECONDS,
        clock: Callable[[], float] = time.time,
        retry: Retry | None = None,
    ) -> None:
        """Open the database at `url`; `holder` names this launcher, keys are those of `study`.

        Afterwards, `retry` says what is done while the database is away: by default nothing.

        Raises:
            StudyError: the database can't be opened.
        """
        self._holder = holder
        self._prefix = f"{study}/"
        self._seconds = seconds
        self._clock = clock
        self._renewed = clock()
        self._held: set[str] = set()
        self._retry = retry or Retry()
        self._url = url
        try:
            self._engine = _engine(url)
            with suppress(OperationalError, IntegrityError):  # another launcher makes the table at this moment
                TABLE.create(self._engine, checkfirst=True)
            with self._engine.connect() as connection:
                connection.execute(select(TABLE.c.key).limit(1))
        except (SQLAlchemyError, ImportError) as error:
            reason = str(error).splitlines()[0]
            raise StudyError(f"the database of leases, {without_passwords(url)}, can't be opened: {reason}") from None

    def acquire(self, key: str) -> bool:
        """Take the lease of `key` if nobody has it; return whether it's ours."""
        name = self._prefix + key
        taken = self._retry(lambda: self._acquire(name), self._away)
        if taken:
            self._held.add(name)
        return taken

    def _acquire(self, name: str) -> bool:
        now = self._clock()
        mine = {"holder": self._holder, "until": now + self._seconds}
        try:
            with self._engine.begin() as connection:
                found = connection.execute(_of(name)).first()
                if found is None:
                    connection.execute(insert(TABLE).values(key=name, **mine))
                    taken = True
                else:
                    free = or_(TABLE.c.holder == self._holder, TABLE.c.until < now)
                    if is_dead(found.holder):
                        free = or_(free, TABLE.c.holder == found.holder)
                    changed = connection.execute(update(TABLE).where(TABLE.c.key == name, free).values(**mine))
                    taken = changed.rowcount == 1
        except IntegrityError:  # another launcher was faster
            return False
        return taken

    def sweep(self) -> None:
        """Delete the leases of launchers that are known to be dead: of a run that is done nobody takes it over."""
        for holder in {row.holder for row in self._retry(self._others, self._away)}:
            if is_dead(holder):
                self._retry(partial(self._delete_of, holder), self._away)

    def release(self, key: str) -> None:
        """Give a lease back; nothing happens where it isn't ours."""
        self._release(self._prefix + key)

    def release_all(self) -> None:
        """Give back whatever is held."""
        for name in list(self._held):
            self._release(name)

    def is_held(self, key: str) -> bool:
        """Whether a launcher that lives, this one or another, has the lease of `key`."""
        found = self._retry(lambda: self._find(self._prefix + key), self._away)
        return found is not None and found.until >= self._clock() and not is_dead(found.holder)

    def held_elsewhere(self) -> set[str]:
        """Return the keys of all leases that other launchers have, which live."""
        found = self._retry(self._others, self._away)
        gone = {holder: is_dead(holder) for holder in {row.holder for row in found}}
        now = self._clock()
        live = [row for row in found if row.until >= now and not gone[row.holder]]
        names = [row.key for row in live if row.key.startswith(self._prefix)]
        return {name.removeprefix(self._prefix) for name in names}

    def renew(self) -> set[str]:
        """Keep what is held, if a quarter of its time is over; return the keys that another has taken meanwhile.

        While the database is away nothing is renewed, and nothing waits: nobody else can take anything there either.
        """
        now = self._clock()
        if not self._held or now - self._renewed < self._seconds / 4:
            return set()
        self._renewed = now
        mine = (TABLE.c.holder == self._holder) & TABLE.c.key.in_(self._held)
        try:
            with self._engine.begin() as connection:
                connection.execute(update(TABLE).where(mine).values(until=now + self._seconds))
                kept = {row.key for row in connection.execute(select(TABLE.c.key).where(mine))}
        except SQLAlchemyError as error:
            if not self._away(error):
                raise
            self._renewed = now - self._seconds / 4 + RENEW_AGAIN_SECONDS
            return set()
        lost = self._held - kept
        self._held &= kept
        return {name.removeprefix(self._prefix) for name in lost}

    def _find(self, name: str) -> Any:
        with self._engine.begin() as connection:
            return connection.execute(_of(name)).first()

    def _others(self) -> Sequence[Any]:
        theirs = TABLE.c.holder != self._holder
        wanted = select(TABLE.c.key, TABLE.c.holder, TABLE.c.until).where(
            theirs, TABLE.c.key.startswith(self._prefix, autoescape=True)
        )
        with self._engine.begin() as connection:
            return connection.execute(wanted).all()

    def _release(self, name: str) -> None:
        self._retry(lambda: self._delete(name), self._away)
        self._held.discard(name)

    def _delete_of(self, holder: str) -> None:
        own = TABLE.c.key.startswith(self._prefix, autoescape=True)
        with self._engine.begin() as connection:
            connection.execute(delete(TABLE).where(TABLE.c.holder == holder, own))

    def _delete(self, name: str) -> None:
        with self._engine.begin() as connection:
            connection.execute(delete(TABLE).where(TABLE.c.key == name, TABLE.c.holder == self._holder))

    def _away(self, error: Exception) -> str:
        why = transient_database_error(error) or transient_disk_error(error)
        return why and f"the database of leases, {without_passwords(self._url)}: {why}"


def _engine(url: str) -> Engine:
    """Return the way to a database: to a server one connection is kept, since to open one takes twenty milliseconds."""
    if url.startswith("sqlite"):
        return create_engine(url, poolclass=NullPool, connect_args={"timeout": LOCKED_SECONDS})
    return create_engine(url, pool_size=1, pool_pre_ping=True)


def _of(name: str) -> Select[tuple[str, float]]:
    return select(TABLE.c.holder, TABLE.c.until).where(TABLE.c.key == name)
