"""Leases: a database that all launchers of a study share records which launcher does which job.

A lease expires when its holder doesn't renew it, and at once when the holder is a dead process of this machine.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import sqlalchemy as sql
from sqlalchemy.exc import IntegrityError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from study.errors import StudyError, without_passwords
from study.retry import Retry, transient_database_error, transient_disk_error
from study.track.processes import is_dead

Result = TypeVar("Result")

LOCKED_SECONDS = 5.0
"""Seconds that SQLite itself waits for other writers."""
RENEW_RETRY_SECONDS = 5.0
SECONDS = 120.0
"""Seconds that a lease lasts without a renewal: far more than the clocks of machines differ by."""

TABLE = sql.Table(
    "study_leases",
    sql.MetaData(),
    sql.Column("key", sql.String(200), primary_key=True),
    sql.Column("holder", sql.String(200), nullable=False),
    sql.Column("until", sql.Float, nullable=False),
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

        `retry` repeats later calls while the database is unavailable; the default doesn't repeat them.

        Raises:
            StudyError: the database can't be opened.
        """
        self._holder = holder
        self._prefix = f"{study}/"
        self._of_study = TABLE.c.key.startswith(self._prefix, autoescape=True)
        self._seconds = seconds
        self._clock = clock
        self._renewed = clock()
        self._held: set[str] = set()
        self._retry = retry or Retry()
        self._url = url
        try:
            self._engine = _engine(url)
            with suppress(OperationalError, IntegrityError):  # another launcher creates the table right now
                TABLE.create(self._engine, checkfirst=True)
            with self._engine.connect() as connection:
                connection.execute(sql.select(TABLE.c.key).limit(1))
        except (SQLAlchemyError, ImportError) as error:
            reason = str(error).splitlines()[0]
            raise StudyError(f"the database of leases, {without_passwords(url)}, can't be opened: {reason}") from None

    def acquire(self, key: str) -> bool:
        """Take the lease of `key` if it is free; return whether this launcher holds it now."""
        name = self._prefix + key
        try:
            taken = self._transact(lambda connection: self._take(connection, name))
        except IntegrityError:  # another launcher was faster
            return False
        if taken:
            self._held.add(name)
        return taken

    def _take(self, connection: sql.Connection, name: str) -> bool:
        now = self._clock()
        values = {"holder": self._holder, "until": now + self._seconds}
        holder = connection.execute(sql.select(TABLE.c.holder).where(TABLE.c.key == name)).scalar()
        if holder is None:
            connection.execute(sql.insert(TABLE).values(key=name, **values))
            return True
        free = (TABLE.c.holder == self._holder) | (TABLE.c.until < now)
        if is_dead(holder):
            free |= TABLE.c.holder == holder
        return connection.execute(sql.update(TABLE).where(TABLE.c.key == name, free).values(**values)).rowcount == 1

    def sweep(self) -> None:
        """Delete the leases of dead launchers, since no launcher takes over those of finished runs."""
        dead = [holder for holder in {row.holder for row in self._others()} if is_dead(holder)]
        leases = sql.delete(TABLE).where(TABLE.c.holder.in_(dead), self._of_study)
        self._transact(lambda connection: connection.execute(leases))

    def release(self, key: str) -> None:
        """Release a lease, if this launcher holds it."""
        self._release([self._prefix + key])

    def release_all(self) -> None:
        self._release(list(self._held))

    def held_elsewhere(self) -> set[str]:
        """Return the keys of all leases held by other live launchers."""
        leases = self._others()
        dead = {holder: is_dead(holder) for holder in {row.holder for row in leases}}
        now = self._clock()
        names = [row.key for row in leases if row.until >= now and not dead[row.holder]]
        return {name.removeprefix(self._prefix) for name in names if name.startswith(self._prefix)}

    def renew(self) -> set[str]:
        """Renew all leases when a quarter of their time is over; return the keys that other launchers have taken.

        Don't wait for an unavailable database: no other launcher can take a lease there either.
        """
        now = self._clock()
        if not self._held or now - self._renewed < self._seconds / 4:
            return set()
        self._renewed = now
        own_leases = (TABLE.c.holder == self._holder) & TABLE.c.key.in_(self._held)
        try:
            with self._engine.begin() as connection:
                connection.execute(sql.update(TABLE).where(own_leases).values(until=now + self._seconds))
                still_held = {row.key for row in connection.execute(sql.select(TABLE.c.key).where(own_leases))}
        except SQLAlchemyError as error:
            if not self._transient(error):
                raise
            self._renewed = now - self._seconds / 4 + RENEW_RETRY_SECONDS
            return set()
        lost = self._held - still_held
        self._held &= still_held
        return {name.removeprefix(self._prefix) for name in lost}

    def _others(self) -> Sequence[Any]:
        """Return the leases of other launchers of the study."""
        query = sql.select(TABLE).where(TABLE.c.holder != self._holder, self._of_study)
        return self._transact(lambda connection: connection.execute(query).all())

    def _release(self, names: list[str]) -> None:
        own_leases = sql.delete(TABLE).where(TABLE.c.key.in_(names), TABLE.c.holder == self._holder)
        self._transact(lambda connection: connection.execute(own_leases))
        self._held.difference_update(names)

    def _transact(self, work: Callable[[sql.Connection], Result]) -> Result:
        """Do `work` in a transaction, repeated while the database is unavailable."""

        def attempt() -> Result:
            with self._engine.begin() as connection:
                return work(connection)

        return self._retry(attempt, self._transient)

    def _transient(self, error: Exception) -> str:
        why = transient_database_error(error) or transient_disk_error(error)
        return why and f"the database of leases, {without_passwords(self._url)}: {why}"


def _engine(url: str) -> sql.Engine:
    """Return the engine of a database; to a server one connection stays open, since opening one takes 20 ms."""
    if url.startswith("sqlite"):
        return sql.create_engine(url, poolclass=NullPool, connect_args={"timeout": LOCKED_SECONDS})
    return sql.create_engine(url, pool_size=1, pool_pre_ping=True)
