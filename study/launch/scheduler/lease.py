"""Leases: a database that all launchers of a study share records which launcher does which job.

A lease expires when its holder doesn't renew it, and at once when the holder is a dead process of this machine.
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
"""Seconds that SQLite itself waits for other writers."""
RENEW_RETRY_SECONDS = 5.0
SECONDS = 120.0
"""Seconds that a lease lasts without a renewal: far more than the clocks of machines differ by."""

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

        `retry` repeats later calls while the database is unavailable; the default doesn't repeat them.

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
            with suppress(OperationalError, IntegrityError):  # another launcher creates the table right now
                TABLE.create(self._engine, checkfirst=True)
            with self._engine.connect() as connection:
                connection.execute(select(TABLE.c.key).limit(1))
        except (SQLAlchemyError, ImportError) as error:
            reason = str(error).splitlines()[0]
            raise StudyError(f"the database of leases, {without_passwords(url)}, can't be opened: {reason}") from None

    def acquire(self, key: str) -> bool:
        """Take the lease of `key` if it is free; return whether this launcher holds it now."""
        name = self._prefix + key
        taken = self._retry(lambda: self._acquire(name), self._transient)
        if taken:
            self._held.add(name)
        return taken

    def _acquire(self, name: str) -> bool:
        now = self._clock()
        values = {"holder": self._holder, "until": now + self._seconds}
        try:
            with self._engine.begin() as connection:
                lease = connection.execute(_select(name)).first()
                if lease is None:
                    connection.execute(insert(TABLE).values(key=name, **values))
                    taken = True
                else:
                    free = or_(TABLE.c.holder == self._holder, TABLE.c.until < now)
                    if is_dead(lease.holder):
                        free = or_(free, TABLE.c.holder == lease.holder)
                    changed = connection.execute(update(TABLE).where(TABLE.c.key == name, free).values(**values))
                    taken = changed.rowcount == 1
        except IntegrityError:  # another launcher was faster
            return False
        return taken

    def sweep(self) -> None:
        """Delete the leases of dead launchers, since no launcher takes over those of finished runs."""
        for holder in {row.holder for row in self._retry(self._others, self._transient)}:
            if is_dead(holder):
                self._retry(partial(self._delete_of, holder), self._transient)

    def release(self, key: str) -> None:
        """Release a lease, if this launcher holds it."""
        self._release(self._prefix + key)

    def release_all(self) -> None:
        for name in list(self._held):
            self._release(name)

    def held_elsewhere(self) -> set[str]:
        """Return the keys of all leases held by other live launchers."""
        leases = self._retry(self._others, self._transient)
        dead = {holder: is_dead(holder) for holder in {row.holder for row in leases}}
        now = self._clock()
        live = [row for row in leases if row.until >= now and not dead[row.holder]]
        names = [row.key for row in live if row.key.startswith(self._prefix)]
        return {name.removeprefix(self._prefix) for name in names}

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
                connection.execute(update(TABLE).where(own_leases).values(until=now + self._seconds))
                still_held = {row.key for row in connection.execute(select(TABLE.c.key).where(own_leases))}
        except SQLAlchemyError as error:
            if not self._transient(error):
                raise
            self._renewed = now - self._seconds / 4 + RENEW_RETRY_SECONDS
            return set()
        lost = self._held - still_held
        self._held &= still_held
        return {name.removeprefix(self._prefix) for name in lost}

    def _others(self) -> Sequence[Any]:
        of_study = TABLE.c.key.startswith(self._prefix, autoescape=True)
        query = select(TABLE.c.key, TABLE.c.holder, TABLE.c.until).where(TABLE.c.holder != self._holder, of_study)
        with self._engine.begin() as connection:
            return connection.execute(query).all()

    def _release(self, name: str) -> None:
        self._retry(lambda: self._delete(name), self._transient)
        self._held.discard(name)

    def _delete_of(self, holder: str) -> None:
        of_study = TABLE.c.key.startswith(self._prefix, autoescape=True)
        with self._engine.begin() as connection:
            connection.execute(delete(TABLE).where(TABLE.c.holder == holder, of_study))

    def _delete(self, name: str) -> None:
        with self._engine.begin() as connection:
            connection.execute(delete(TABLE).where(TABLE.c.key == name, TABLE.c.holder == self._holder))

    def _transient(self, error: Exception) -> str:
        why = transient_database_error(error) or transient_disk_error(error)
        return why and f"the database of leases, {without_passwords(self._url)}: {why}"


def _engine(url: str) -> Engine:
    """Return the engine of a database; to a server one connection stays open, since opening one takes 20 ms."""
    if url.startswith("sqlite"):
        return create_engine(url, poolclass=NullPool, connect_args={"timeout": LOCKED_SECONDS})
    return create_engine(url, pool_size=1, pool_pre_ping=True)


def _select(name: str) -> Select[tuple[str, float]]:
    return select(TABLE.c.holder, TABLE.c.until).where(TABLE.c.key == name)
