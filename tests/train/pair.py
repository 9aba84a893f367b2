"""Two processes that do runs together: this one, and one more that is started once for all the tests of a file."""

import multiprocessing
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

from study.train.parallel import joined

CPU = torch.device("cpu")
Task = Callable[..., Any]


def device_of(kind: str, rank: int) -> torch.device:
    return torch.device(kind, rank) if kind == "cuda" else torch.device(kind)


def serve(connection: Connection) -> None:
    """Be rank 1: do what rank 0 does, until it hangs up."""
    torch.set_num_threads(1)
    while True:
        try:
            store, kind, task, arguments = connection.recv()
        except (EOFError, ConnectionResetError):
            return
        try:
            with joined(store, 1, 2, device_of(kind, 1)) as group:
                connection.send((task(group, *arguments), ""))
        except Exception:
            connection.send((None, traceback.format_exc()))


class Pair:
    """This process, as rank 0, with another."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0
        self._connection, theirs = multiprocessing.get_context("spawn").Pipe()
        self.process = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,), daemon=True)
        self.process.start()
        theirs.close()

    def do(self, task: Task, *arguments: Any, kind: str = "cpu") -> list[Any]:
        """Return what `task(group, *arguments)` returns on both ranks, which are on devices of this kind."""
        self._count += 1
        store = self._folder / f"store-{self._count}"
        self._connection.send((store, kind, task, arguments))
        try:
            with joined(store, 0, 2, device_of(kind, 0)) as group:
                mine = task(group, *arguments)
        finally:
            theirs, problem = self._connection.recv()
        assert not problem, problem
        return [mine, theirs]

    def close(self) -> None:
        self._connection.close()
        self.process.join(5)
        self.process.kill()
