"""A PostgreSQL server of the tests' own, in a folder of its own and on loopback only, where the machine has one."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest


def _programs() -> Path | None:
    """Return the folder of `initdb` and `postgres`: on the path, or where Debian hides them."""
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in folders if (folder / "initdb").exists()), None)


def _user() -> str | None:
    """Return the account to run as: the server refuses root."""
    if os.getuid() != 0:
        return pwd.getpwuid(os.getuid()).pw_name
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next((name for name in ("postgres", "nobody") if name in known), None)


@contextmanager
def postgres(*, durable: bool = False) -> Iterator[str]:
    """Yield the address of an empty database, as SQLAlchemy takes it; skip the test where there is no server.

    With `durable` it waits for the disk at every commit, as servers do.
    """
    pytest.importorskip("psycopg2")
    programs, user = _programs(), _user()
    if programs is None or user is None:
        pytest.skip("no PostgreSQL server is installed here")
    folder = Path(tempfile.mkdtemp(prefix="pg-"))  # not under pytest's own, which another account can't enter
    account = pwd.getpwnam(user)
    os.chown(folder, account.pw_uid, account.pw_gid)
    as_user: dict[str, Any] = {"user": account.pw_uid, "group": account.pw_gid} if os.getuid() == 0 else {}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = (folder / "log").open("w")

    def do(*words: str) -> None:
        command = [str(programs / words[0]), "-D", str(folder / "data"), *words[1:]]
        subprocess.run(command, check=True, stdout=log, stderr=log, cwd=folder, **as_user)

    try:
        do("initdb", "--auth=trust", "--username=study", "--no-sync")
        options = f"-h 127.0.0.1 -p {port} -k {folder}" + ("" if durable else " -c fsync=off")
        do("pg_ctl", "start", "-w", "-o", options)
        yield f"postgresql+psycopg2://study@127.0.0.1:{port}/postgres"
    finally:
        subprocess.run(
            [programs / "pg_ctl", "-D", folder / "data", "stop", "-m", "immediate"],
            check=False,
            stdout=log,
            stderr=log,
            cwd=folder,
            **as_user,
        )
        log.close()
        shutil.rmtree(folder, ignore_errors=True)


def with_database(address: str, name: str) -> str:
    """Make one more database on a server; return its address."""
    from sqlalchemy import create_engine, text

    with create_engine(address, isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    return f"{address.rpartition('/')[0]}/{name}"
