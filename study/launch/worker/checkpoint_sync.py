"""Checkpoints through the artifact store, for workers that may be lost with everything on their disk."""

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
"""Artifact folder with the last checkpoint of a finished run."""
RETRY_SECONDS = 5.0
"""Seconds between two attempts to upload the final weights."""
POLL_SECONDS = 0.2


class CheckpointUploader:
    """Uploads the checkpoints of one run, one at a time, while the run goes on."""

    def __init__(self, place: ArtifactPlace, path: Path) -> None:
        """`path` is where the run writes its checkpoint on this machine."""
        self._place = place
        self._path = path
        self._slot = 0
        """Two files are overwritten in turn, so that one is whole at any moment."""
        self._thread: Thread | None = None
        self.problem = ""
        """Why the last upload failed; "" if it succeeded."""

    def download(self) -> None:
        """Copy the newest whole checkpoint, of the store or this machine, to the run's path.

        Raises:
            ConnectionError: the store doesn't answer.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._path.parent) as folder:
            try:
                stored = self._place.get(RESUME, Path(folder))
            except Unreachable as error:
                raise ConnectionError(str(error)) from error  # transient: a later attempt may succeed
            files = [*stored, self._path, previous(self._path)]
            steps = {file: step for file in files if (step := _step(file)) >= 0}
            best = max(steps, key=lambda file: steps[file], default=None)
            newest = max((file for file in steps if file in stored), key=lambda file: steps[file], default=None)
            self._slot = 1 if newest is not None and newest.stem == "0" else 0  # overwrite the older one first
            if best is not None and best != self._path:
                best.replace(self._path)

    def upload(self) -> None:
        """Start to upload the current checkpoint; skip it if an upload is under way."""
        if not self.busy:
            self._thread = Thread(target=self._upload, daemon=True)
            self._thread.start()

    def upload_weights(self) -> None:
        """Start to upload the checkpoint as the final weights of the run."""
        self._thread = Thread(target=self._put, args=(self._path, WEIGHTS), daemon=True)
        self._thread.start()

    @property
    def busy(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def wait(self, stop: Callable[[], bool]) -> None:
        """Wait for the upload that is under way, or until `stop` returns true."""
        while self.busy and not stop():
            time.sleep(POLL_SECONDS / 10)

    def _upload(self) -> None:
        with tempfile.TemporaryDirectory(dir=self._path.parent) as folder:
            file = Path(folder) / f"{self._slot}.pt"
            os.link(self._path, file)  # the run may replace the checkpoint during the upload
            self._put(file, RESUME)
        if not self.problem:
            self._slot = 1 - self._slot

    def _put(self, file: Path, folder: str) -> None:
        try:
            self._place.put(file, folder)
            self.problem = ""
        except Unreachable as error:
            self.problem = str(error)


def with_uploads(
    run: Iterator["Event | Step"], uploader: CheckpointUploader, *, keep: bool, stop: Callable[[], bool]
) -> Iterator["Event | Step"]:
    """Yield the events of a run and upload its checkpoints, the last one before the event that ends the run.

    Args:
        run: the run's events and steps.
        uploader: uploads its checkpoints.
        keep: whether to upload the final weights.
        stop: called during the wait for the final upload; if it returns true, the run ends with `Interrupted`.

    Raises:
        ConnectionError: the store doesn't answer at the beginning.
    """
    uploader.download()
    reported = ""
    for event in run:
        if isinstance(event, Checkpointed):
            if uploader.problem and not reported:
                yield Unsaved(event.step, uploader.problem)
            reported = uploader.problem
            uploader.upload()
        elif isinstance(event, Interrupted):
            uploader.wait(never_stop)
            uploader.upload()
            uploader.wait(never_stop)
        elif isinstance(event, Diverged) or (isinstance(event, Finished) and not keep):
            uploader.wait(stop)  # a late upload would stay where the launcher has already cleaned up
        elif isinstance(event, Finished):
            yield from _upload_weights(uploader, event.step, stop)
            if stop() and (uploader.busy or uploader.problem):
                yield Interrupted(event.step)
                return
        yield event


def _upload_weights(uploader: CheckpointUploader, step: int, stop: Callable[[], bool]) -> Iterator[Unsaved]:
    """Upload the final weights, retried until it succeeds or `stop` returns true; yield the first problem."""
    uploader.wait(stop)
    reported = False
    while not stop():
        uploader.upload_weights()
        uploader.wait(stop)
        if not uploader.busy and not uploader.problem:
            return
        if uploader.problem and not reported:
            reported = True
            yield Unsaved(step, uploader.problem)
        retry_at = time.monotonic() + RETRY_SECONDS
        while time.monotonic() < retry_at and not stop():
            time.sleep(POLL_SECONDS)


def _step(path: Path) -> int:
    """Return the iteration of a checkpoint, or -1 if there is no whole one."""
    with suppress(OSError, DamagedCheckpoint):
        return int(load_checkpoint(path, torch.device("cpu"))["step"])
    return -1
