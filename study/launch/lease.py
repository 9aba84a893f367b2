"""Leases: which launcher does what, in a database that all launchers of a study share.

A lease ends by itself when its holder is silent for long, and at once when that is a dead process of this machine.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from sqlalchemy import Column, Float, MetaData, String, Table, create_engine, delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from study.errors import StudyError
from study.track import is_gone

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
        self, url: str, holder: str, study: str, *, seconds: float = SECONDS, clock: Callable[[], float] = time.time
    ) -> None:
        """Open the database at `url`; `holder` names this launcher, keys are those of `study`.

        Raises:
            StudyError: the database can't be opened.
        """
        self._holder = holder
        self._prefix = f"{study}/"
        self._seconds = seconds
        self._clock = clock
        self._renewed = clock()
        self._held: set[str] = set()
        try:
            local = {"timeout": 60} if url.startswith("sqlite") else {}
            self._engine = create_engine(url, poolclass=NullPool, connect_args=local)
            with suppress(OperationalError, IntegrityError):  # another launcher makes the table at this moment
                TABLE.create(self._engine, checkfirst=True)
            with self._engine.connect() as connection:
                connection.execute(select(TABLE.c.key).limit(1))
        except (SQLAlchemyError, ImportError) as error:
            reason = str(error).splitlines()[0]
            raise StudyError(f"the database of leases, {url}, can't be opened: {reason}") from None

    def acquire(self, key: str) -> bool:
        """Take the lease of `key` if nobody has it; return whether it's ours."""
        now = self._clock()
        name = self._prefix + key
        found = self._find(name)
        mine = {"holder": self._holder, "until": now + self._seconds}
        try:
            with self._engine.begin() as connection:
                if found is None:
                    connection.execute(insert(TABLE).values(key=name, **mine))
                    taken = True
                else:
                    free = or_(TABLE.c.holder == self._holder, TABLE.c.until < now)
                    if is_gone(found.holder):
                        free = or_(free, TABLE.c.holder == found.holder)
                    changed = connection.execute(update(TABLE).where(TABLE.c.key == name, free).values(**mine))
                    taken = changed.rowcount == 1
        except IntegrityError:  # another launcher was faster
            return False
        if taken:
            self._held.add(name)
        return taken

    def release(self, key: str) -> None:
        """Give a lease back; nothing happens where it isn't ours."""
        self._release(self._prefix + key)

    def release_all(self) -> None:
        """Give back whatever is held."""
        for name in list(self._held):
            self._release(name)

    def is_held(self, key: str) -> bool:
        """Whether a launcher that lives, this one or another, has the lease of `key`."""
        found = self._find(self._prefix + key)
        return found is not None and found.until >= self._clock() and not is_gone(found.holder)

    def renew(self) -> set[str]:
        """Keep what is held, if a quarter of its time is over; return the keys that another has taken meanwhile."""
        now = self._clock()
        if not self._held or now - self._renewed < self._seconds / 4:
            return set()
        self._renewed = now
        mine = (TABLE.c.holder == self._holder) & TABLE.c.key.in_(self._held)
        with self._engine.begin() as connection:
            connection.execute(update(TABLE).where(mine).values(until=now + self._seconds))
            kept = {row.key for row in connection.execute(select(TABLE.c.key).where(mine))}
        lost = self._held - kept
        self._held &= kept
        return {name.removeprefix(self._prefix) for name in lost}

    def _find(self, name: str) -> Any:
        with self._engine.begin() as connection:
            return connection.execute(select(TABLE.c.holder, TABLE.c.until).where(TABLE.c.key == name)).first()

    def _release(self, name: str) -> None:
        self._held.discard(name)
        with self._engine.begin() as connection:
            connection.execute(delete(TABLE).where(TABLE.c.key == name, TABLE.c.holder == self._holder))
