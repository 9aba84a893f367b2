"""A run's checkpoints by way of the artifact store: a node may be lost with all that is on its disk."""

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import torch

from study.events import Checkpointed, Diverged, Event, Finished, Interrupted, Unsaved
from study.launch.messages import RESUME
from study.track.artifacts import ArtifactPlace
from study.track.uri import Unreachable
from study.train import DamagedCheckpoint, load_checkpoint, previous
from study.train.evaluate import never_stop

if TYPE_CHECKING:
    from study.train import Step

WEIGHTS = "checkpoint"
"""Where the last one goes when the run is done: what is kept of it."""
AGAIN_SECONDS = 5.0
"""Between two tries to store what must be stored."""
LISTEN_SECONDS = 0.2


class Courier:
    """Carries one run's checkpoints from this machine to the store, one at a time, beside the training."""

    def __init__(self, place: ArtifactPlace, path: Path) -> None:
        """`path` is where the run keeps its checkpoint on this machine."""
        self._place = place
        self._path = path
        self._slot = 0
        """Two checkpoints are stored, overwritten in turn: one is whole at any moment."""
        self._thread: Thread | None = None
        self.problem = ""
        """Why the last try failed."""

    def fetch(self) -> None:
        """Put the newest whole checkpoint, of those in the store and on this machine, where the run looks for it.

        Raises:
            ConnectionError: the store doesn't answer.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._path.parent) as folder:
            try:
                stored = self._place.get(RESUME, Path(folder))
            except Unreachable as error:
                raise ConnectionError(str(error)) from error  # a later try may find it there again
            steps = {one: step for one in [*stored, self._path, previous(self._path)] if (step := _step(one)) >= 0}
            best = max(steps, key=lambda one: steps[one], default=None)
            newest = max((one for one in steps if one in stored), key=lambda one: steps[one], default=None)
            self._slot = 1 if newest is not None and newest.stem == "0" else 0  # the newest is overwritten last
            if best is not None and best != self._path:
                best.replace(self._path)

    def send(self) -> None:
        """Begin to store the checkpoint as it is now, unless one is still on its way: the next will be sent instead."""
        if not self.busy:
            self._thread = Thread(target=self._send, daemon=True)
            self._thread.start()

    def send_weights(self) -> None:
        """Begin to store the checkpoint as what is kept of the run."""
        self._thread = Thread(target=self._put, args=(self._path, WEIGHTS), daemon=True)
        self._thread.start()

    @property
    def busy(self) -> bool:
        """Whether something is on its way."""
        return self._thread is not None and self._thread.is_alive()

    def wait(self, stop: Callable[[], bool]) -> None:
        """Wait until nothing is on its way, or `stop` says so."""
        while self.busy and not stop():
            time.sleep(LISTEN_SECONDS / 10)

    def _send(self) -> None:
        with tempfile.TemporaryDirectory(dir=self._path.parent) as folder:
            file = Path(folder) / f"{self._slot}.pt"
            os.link(self._path, file)  # the run may replace it meanwhile
            self._put(file, RESUME)
        if not self.problem:
            self._slot = 1 - self._slot

    def _put(self, file: Path, folder: str) -> None:
        try:
            self._place.put(file, folder)
            self.problem = ""
        except Unreachable as error:
            self.problem = str(error)


def carried(
    course: Iterator["Event | Step"], courier: Courier, *, keep: bool, stop: Callable[[], bool]
) -> Iterator["Event | Step"]:
    """Yield what a run yields; its checkpoints are stored on the way, the last before the run is said to be over.

    With `keep`, its weights are stored at the end. `stop` is asked while it waits for the store then; when it says yes,
    the run ends with `Interrupted`, as if asked between two steps.

    Raises:
        ConnectionError: the store doesn't answer at the beginning.
    """
    courier.fetch()
    told = ""
    for happened in course:
        if isinstance(happened, Checkpointed):
            if courier.problem and not told:
                yield Unsaved(happened.step, courier.problem)
            told = courier.problem
            courier.send()
        elif isinstance(happened, Interrupted):
            courier.wait(never_stop)
            courier.send()
            courier.wait(never_stop)
        elif isinstance(happened, Diverged) or (isinstance(happened, Finished) and not keep):
            courier.wait(stop)  # what comes late would stay where the launcher has already tidied up
        elif isinstance(happened, Finished):
            yield from _keep(courier, happened.step, stop)
            if stop() and (courier.busy or courier.problem):
                yield Interrupted(happened.step)
                return
        yield happened


def _keep(courier: Courier, step: int, stop: Callable[[], bool]) -> Iterator[Unsaved]:
    """Store the weights, tried again and again until it succeeds or `stop` says so; yield why that fails, once."""
    courier.wait(stop)
    told = False
    while not stop():
        courier.send_weights()
        courier.wait(stop)
        if not courier.busy and not courier.problem:
            return
        if courier.problem and not told:
            told = True
            yield Unsaved(step, courier.problem)
        again = time.monotonic() + AGAIN_SECONDS
        while time.monotonic() < again and not stop():
            time.sleep(LISTEN_SECONDS)


def _step(path: Path) -> int:
    """Return the iteration of a checkpoint, or -1 where there is no whole one."""
    with suppress(OSError, DamagedCheckpoint):
        return int(load_checkpoint(path, torch.device("cpu"))["step"])
    return -1
