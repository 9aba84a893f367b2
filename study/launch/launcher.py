"""The launcher: gives runs and trials to workers, hears their events, writes them to MLflow. It alone writes there."""

import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path

from study.errors import StudyError
from study.events import Checkpointed, Diverged, Epoch, Event, Finished, Interrupted, Started
from study.launch.cells import Cells
from study.launch.display import Display
from study.launch.jobs import Job
from study.launch.lease import Leases
from study.launch.pool import Died, Message, Pool
from study.launch.record import Recorder
from study.launch.worker import Failed, Order, Told

RETRIES = 2
"""How often a run whose worker died without a word is given to another."""
CHECKPOINT_SECONDS = 20.0


@dataclass
class Summary:
    """How a grid ended."""

    finished: int = 0
    diverged: int = 0
    earlier: int = 0
    """Runs that were results before it began."""
    trials: int = 0
    left: int = 0
    """Runs that are still to do."""
    interrupted: bool = False
    seconds: float = 0.0
    failures: list[tuple[str, str]] = field(default_factory=list)
    """Name and cause of what broke."""


class Launcher:
    """Runs a grid to its end, or until it is asked to stop."""

    def __init__(
        self, cells: Cells, recorder: Recorder, pool: Pool, display: Display, checkpoints: Path, leases: Leases
    ) -> None:
        self._cells = cells
        self._recorder = recorder
        self._pool = pool
        self._display = display
        self._checkpoints = checkpoints
        self._leases = leases
        self._told_to_wait = False
        self._jobs: dict[str, Job] = {}
        self._again: list[Job] = []
        self._stopping = False
        self._stillborn = 0
        self.summary = Summary(earlier=cells.done_before)

    def stop(self) -> None:
        """Ask for a clean end: every run in flight writes a checkpoint, nothing new begins."""
        self._stopping = True

    def run(self) -> Summary:
        """Do everything the cells hold."""
        began = time.monotonic()
        asked = False
        while True:
            if self._stopping and not asked:
                asked = True
                self._display.warn("stopping: runs in flight write a checkpoint (press Ctrl-C again to leave at once)")
                for task in self._jobs:
                    self._pool.stop(task)
            if not self._stopping:
                self._dispatch()
            if not self._jobs and (self._stopping or not (self._again or self._cells.more())):
                break
            for message in self._pool.hear(timeout=0.2):
                self._keep_leases()
                self._handle(message)
            self._keep_leases()
            for job in self._jobs.values():
                if job.due() and not job.lost:
                    self._recorder.flush(job)
        self.summary.earlier += self._cells.done_elsewhere
        self.summary.interrupted = self._stopping
        self.summary.left = self._cells.runs_left()
        self.summary.seconds = time.monotonic() - began
        return self.summary

    def close_records(self) -> None:
        """Mark what is in flight as interrupted: nothing stays RUNNING when nothing runs."""
        for job in [*self._jobs.values(), *self._again]:
            if not job.lost:
                self._recorder.end(job, "interrupted")
        self._cells.close(self._recorder)

    def _dispatch(self) -> None:
        """Give work to every worker that waits."""
        for _ in range(self._pool.free()):
            job = self._again.pop(0) if self._again else self._cells.next_job(self._recorder)
            if job is None:
                break
            self._begin(job)
        for partner in self._pool.partners():
            cell = self._jobs[partner].cell if partner in self._jobs else None
            job = self._cells.next_job(self._recorder, cell) if cell is not None and cell.replicas > 1 else None
            if job is not None:
                self._begin(job, beside=partner)
        if self._pool.free() and not self._jobs and not self._told_to_wait and self._cells.more():
            self._told_to_wait = True
            self._display.say("waiting: another `study run` is at work on all that is left")

    def _begin(self, job: Job, beside: str | None = None) -> None:
        """Give a job to a worker that waits, or to the one that has another of its cell."""
        self._told_to_wait = False
        self._jobs[job.task] = job
        order = Order(job.task, job.spec, self._folder(job) / "checkpoint.pt", CHECKPOINT_SECONDS)
        self._pool.give(order, beside)

    def _keep_leases(self) -> None:
        """Renew the leases; stop what another launcher has taken over because this one was silent for too long."""
        lost = self._leases.renew()
        if not lost:
            return
        self._cells.lose(lost)
        for job in [*self._jobs.values(), *self._again]:
            if job.lease in lost:
                job.lost = True
                self._pool.stop(job.task)
        for job in [job for job in self._again if job.lost]:
            self._again.remove(job)
            self._let_go(job)

    def _handle(self, message: Message) -> None:
        if isinstance(message, Died):
            self._worker_died(message)
            return
        job = self._jobs.get(message.task)
        if job is None:
            return
        if job.lost:
            if not isinstance(message, Told) or isinstance(message.event, Finished | Diverged | Interrupted):
                self._let_go(job)
        elif isinstance(message, Failed):
            self._failed(job, message)
        elif isinstance(message, Told):
            self._hear(job, message.event)

    def _hear(self, job: Job, event: Event) -> None:
        """React to one event of a run."""
        match event:
            case Started():
                self._recorder.started(job, event)
                self._display.started(job.task, job.name, job.cost, event.step, event.total)
            case Epoch():
                job.add(event)
                self._display.point(job.task, event)
                if job.kind == "trial" and not job.pruned and self._cells.should_prune(job, event):
                    self._prune(job)
            case Checkpointed():
                pass
            case Finished() | Diverged():
                self._end(job, event)
            case Interrupted():
                self._interrupted(job, event)

    def _prune(self, job: Job) -> None:
        job.pruned = True
        self._pool.stop(job.task)

    def _stop_unwanted(self) -> None:
        """Stop the other seeds of a trial that was pruned or broke."""
        for job in self._jobs.values():
            if not job.pruned and not self._cells.is_wanted(job):
                self._prune(job)

    def _end(self, job: Job, event: Finished | Diverged) -> None:
        """Take in a run or trial that has come to a result."""
        folder = self._folder(job)
        outcome = self._recorder.result(job, event, folder / "checkpoint.pt")
        if job.kind == "trial":
            self.summary.trials += 1
        elif outcome == "finished":
            self.summary.finished += 1
        else:
            self.summary.diverged += 1
        self._close(job, self._cells.ended(job, event, self._recorder), result=True)

    def _interrupted(self, job: Job, event: Interrupted) -> None:
        """Take in a run that stopped with a checkpoint: pruned, or asked to, or its worker was told to end."""
        if job.pruned:
            self._recorder.end(job, "pruned", reason="behind the cell's other trials", step=event.step)
            self.summary.trials += 1
            self._close(job, self._cells.pruned(job, event, self._recorder), result=True)
        elif self._stopping:
            self._put_back(job, f"stopped at iteration {event.step:,}")
        else:
            self._requeue(job)

    def _worker_died(self, message: Died) -> None:
        """Give the run of a worker that is gone to another, from its checkpoint, a few times."""
        cause = _death(message.exit_code)
        if message.task is None:
            self._stillborn += 1
            if self._stillborn > 2 * len(self._pool):
                raise StudyError(f"workers end before they begin: {cause}; try fewer (--workers)")
            return
        job = self._jobs.get(message.task)
        if job is None:
            return
        if job.lost:
            self._let_go(job)
        elif self._stopping:
            self._put_back(job, f"{cause} while stopping; its last checkpoint stands")
        elif job.attempts <= RETRIES:
            job.attempts += 1
            self._display.warn(f"{job.name}: {cause}; it goes on from its last checkpoint")
            self._requeue(job)
        else:
            self._fail(job, f"{cause}, {job.attempts} times")

    def _failed(self, job: Job, message: Failed) -> None:
        """Take in a run that broke; one that found no memory beside others goes on when there are fewer of them."""
        if message.out_of_memory and self._pool.narrow(job.task, joined=message.joined):
            self._display.warn(f"{job.name}: out of memory beside other runs; {len(self._pool)} at once from now on")
            self._requeue(job)
            return
        self._recorder.add_traceback(job, message.traceback)
        self._fail(job, message.cause)

    def _let_go(self, job: Job) -> None:
        """Leave a run to the launcher that took it over; what becomes of it is looked at again later."""
        self._display.warn(f"{job.name}: left to another `study run`, which took it over")
        self._cells.put_back(job)
        self._release(job)
        self._display.ended(job.task, [], done=0.0)

    def _put_back(self, job: Job, why: str) -> None:
        """Leave a run for the next time."""
        self._recorder.end(job, "interrupted")
        self._cells.put_back(job)
        self._close(job, [f"{job.name}: {why}"], result=False)

    def _requeue(self, job: Job) -> None:
        """Let the next worker that waits go on with a run."""
        self._release(job)
        self._again.append(job)

    def _fail(self, job: Job, cause: str) -> None:
        """Show a run that broke, and let the rest go on."""
        self._recorder.end(job, "failed", reason=cause)
        self.summary.failures.append((job.name, cause))
        self._display.warn(f"{job.name}: failed: {cause}")
        broken = self._cells.failed(job, self._recorder)
        if broken:
            self.summary.failures.append((job.cell.plan.cell.name, broken))
        self._close(job, [], result=False)

    def _close(self, job: Job, lines: list[str], *, result: bool) -> None:
        self._release(job)
        self._stop_unwanted()
        self._display.ended(job.task, lines, done=job.cost if result else 0.0)
        if result:
            shutil.rmtree(self._folder(job), ignore_errors=True)  # MLflow has the checkpoint now

    def _release(self, job: Job) -> None:
        self._pool.release(job.task)
        self._jobs.pop(job.task, None)

    def _folder(self, job: Job) -> Path:
        return self._checkpoints / job.task


def _death(exit_code: int | None) -> str:
    """Say how a worker ended."""
    if exit_code is not None and exit_code < 0:
        word = " (out of memory?)" if exit_code == -9 else ""
        return f"its worker was killed by signal {-exit_code}{word}"
    return f"its worker ended with exit code {exit_code}"
