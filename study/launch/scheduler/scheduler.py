"""The launcher: gives runs and trials to workers, hears their events, writes them to MLflow. It alone writes there."""

import shutil
import time
from contextlib import suppress
from pathlib import Path

from study.errors import StudyError
from study.events import Checkpointed, Diverged, Epoch, Event, Finished, Interrupted, Probed, Started, Unsaved
from study.launch.display import Display
from study.launch.executors.limits import Limits
from study.launch.messages import Failed, Measured, Told, ends
from study.launch.scheduler.causes import cause_of
from study.launch.scheduler.hearing import Hearing
from study.launch.scheduler.job import AT_ONCE_SECONDS, CellState, Job
from study.launch.scheduler.lease import Leases
from study.launch.scheduler.queue import Cells
from study.launch.scheduler.run_logger import Recorder
from study.launch.scheduler.worker_pool import Died, Message, Pool
from study.launch.summary import Summary
from study.retry import RetryTimeout
from study.track.store import RunDeletedError, StudyDeletedError
from study.track.tags import DONE

DELETED = "deleted in MLflow while it was at work; the same command begins it anew"


class Launcher:
    """Runs a grid to its end, or until it is asked to stop."""

    def __init__(
        self,
        cells: Cells,
        recorder: Recorder,
        pool: Pool,
        display: Display,
        checkpoints: Path,
        leases: Leases,
        limits: Limits,
    ) -> None:
        self._cells = cells
        self._recorder = recorder
        self._pool = pool
        self._display = display
        self._checkpoints = checkpoints
        self._leases = leases
        self._limits = limits
        self._jobs: dict[str, Job] = {}
        self.hearing = Hearing(pool, leases, display, limits, self._jobs.keys())
        self._again: list[Job] = []
        self._stillborn = 0
        self.summary = Summary(earlier=cells.done_before)

    def stop(self) -> None:
        """Ask for a clean end: every run in flight writes a checkpoint, nothing new begins."""
        self.hearing.stopping = True

    def run(self) -> Summary:
        """Do everything the cells hold.

        Raises:
            StudyError: workers can't start, or MLflow or a database was away for too long.
        """
        began = time.monotonic()
        try:
            while self._goes_on():
                self.hearing.hear(0.2)
                self._drop_lost()  # first: what is another launcher's now must not be written to
                while self.hearing.heard:
                    self._handle(self.hearing.heard.popleft())
                    self._drop_lost()
                self._flush()
        except StudyDeletedError as error:
            self.summary.failures.append(("the study", str(error)))
            self._pool.kill()
        except RetryTimeout as error:
            if not self.hearing.stopping:
                raise
            self._display.warn(f"stopped while waiting for {error}")
        self.summary.earlier += self._cells.done_elsewhere
        self.summary.interrupted = self.hearing.stopping
        self.summary.left = self._cells.runs_left() + len(self._jobs)
        self.summary.seconds = time.monotonic() - began
        return self.summary

    def close_records(self) -> None:
        """Mark what is in flight as interrupted: nothing stays RUNNING when nothing runs."""
        for job in [*self._jobs.values(), *self._again]:
            if job.outcome in DONE:
                self._forget(job)
            elif job.ours:
                self._mark(job, "interrupted")
        self._cells.close(self._recorder)

    def _goes_on(self) -> bool:
        """Give out work, or none where the launcher is asked to stop; return whether anything is in flight or to do."""
        self.hearing.heed_stop()
        if not self.hearing.stopping:
            self._dispatch()
        elif self._jobs and self.hearing.too_late:
            self._pool.kill()
            for job in list(self._jobs.values()):
                self._put_back(job, "was too slow to write another checkpoint; its last one stands")
        return bool(self._jobs) or (not self.hearing.stopping and bool(self._again or self._cells.more()))

    def _dispatch(self) -> None:
        """Give work to every worker that waits."""
        until = time.monotonic() + AT_ONCE_SECONDS
        while self._pool.free() and time.monotonic() < until:
            job = self._next_again() or self._cells.next_job(self._recorder)
            if job is None:
                break
            self._begin(job)
        for partner in self._pool.partners():
            cell = self._jobs[partner].cell if partner in self._jobs else None
            if cell is None:
                continue
            job = self._next_again(beside=cell) or self._cells.next_job(self._recorder, beside=cell)
            if job is not None:
                self._begin(job, beside=partner)
        if not self._cells.more():
            self._pool.send_home(len(self._again))
        idle = self._pool.free() and not self._jobs and not self._again and self._cells.more()
        if idle:
            self._display.say_once("waiting: another `study run` is at work on all that is left")

    def _next_again(self, beside: CellState | None = None) -> Job | None:
        """Return the first run that is to be tried again by now, which goes with those of the cell `beside`."""
        now = time.monotonic()
        fits = [job for job in self._again if beside is None or job.cell.goes_with(beside)]
        job = next((job for job in fits if job.not_before <= now), None)
        if job is not None:
            self._again.remove(job)
        return job

    def _begin(self, job: Job, beside: str | None = None) -> None:
        """Give a job to a worker that waits, or to the one that has another of its cell."""
        self._jobs[job.task] = job
        order = self._recorder.order(job, self._folder(job), self._limits.checkpoint_seconds)
        job.where = self._pool.give(order, beside)

    def _drop_lost(self) -> None:
        """Stop what another launcher has taken over because this one was silent for too long."""
        lost, self.hearing.lost = self.hearing.lost, set()
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

    def _flush(self) -> None:
        try:
            self._recorder.flush_due(self._jobs.values())
        except RunDeletedError as error:
            self._was_deleted(error, over=False)

    def _handle(self, message: Message) -> None:
        try:
            if isinstance(message, Died):
                self._worker_died(message)
            elif message.task in self._jobs:
                self._heard_of(self._jobs[message.task], message)
        except RunDeletedError as error:
            self._was_deleted(error, over=ends(message))

    def _was_deleted(self, error: RunDeletedError, *, over: bool) -> None:
        """End a run that somebody has deleted in MLflow's pages: at once where its worker is through with it."""
        for job in [job for job in self._jobs.values() if job.run_id == error.run_id]:
            job.deleted = True
            if over:
                self._fail(job, DELETED)
            else:
                self._pool.stop(job.task)

    def _heard_of(self, job: Job, message: Told | Measured | Failed) -> None:
        if job.lost and ends(message):
            self._let_go(job)
        elif job.deleted and ends(message):
            self._fail(job, DELETED)
        elif isinstance(message, Failed):
            self._failed(job, message)
        elif isinstance(message, Told) and job.ours:
            self._take_in(job, message.event)

    def _take_in(self, job: Job, event: Event) -> None:
        """React to one event of a run."""
        match event:
            case Started():
                self._recorder.started(job, event)
                for damage in event.damaged:
                    self._display.warn(f"{job.name}: {damage}; it goes on from iteration {event.step:,}")
                self._display.started(job.task, job.name, job.cost, event.step, event.total)
            case Epoch():
                job.add(event)
                self._display.point(job.task, event)
                if job.kind == "trial" and not job.pruned and self._cells.should_prune(job, event):
                    self._prune(job)
            case Probed():
                job.probed.append(event)
            case Checkpointed():
                job.saved()
            case Unsaved():
                self._unsaved(job, event)
            case Finished() | Diverged():
                self._end(job, event)
            case Interrupted():
                self._interrupted(job, event)

    def _unsaved(self, job: Job, event: Unsaved) -> None:
        """Say once that a run can't be kept."""
        if not job.unsaved:
            job.unsaved = True
            self._display.warn(f"{job.name}: no checkpoint can be written: {event.reason}; it goes on without")

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
        value = self._cells.objective(job, event)
        outcome = self._recorder.result(job, event, self._folder(job) / "checkpoint.pt", value)
        if job.kind == "trial":
            self.summary.trials += 1
        elif outcome == "finished":
            self.summary.finished += 1
        else:
            self.summary.diverged += 1
        self._close(job, self._cells.ended(job, event, value, self._recorder))

    def _interrupted(self, job: Job, event: Interrupted) -> None:
        """Take in a run that stopped with a checkpoint: pruned, or asked to, or its worker was told to end."""
        if job.pruned:
            self._recorder.pruned(job, event, self._cells.objective(job, event))
            self.summary.trials += 1
            self._close(job, self._cells.pruned(job, event, self._recorder))
        elif self.hearing.stopping:
            self._put_back(job, f"stopped at iteration {event.step:,}")
        else:
            self._requeue(job)

    def _worker_died(self, message: Died) -> None:
        """Give the run of a worker that is gone to another, from its checkpoint, a few times."""
        cause = cause_of(message)
        if message.task is None:
            self._stillborn += 1
            if self._stillborn > 2 * len(self._pool):
                raise StudyError(f"workers end before they begin: {cause}; try fewer (--workers)")
            return
        self._stillborn = 0
        job = self._jobs.get(message.task)
        if job is None:
            return
        if job.lost:
            self._let_go(job)
        elif job.deleted:
            self._fail(job, DELETED)
        elif self.hearing.stopping:
            self._put_back(job, f"{cause} while stopping; its last checkpoint stands")
        elif message.exit_code == 0:
            self._requeue(job)  # somebody ended the worker, in peace, just before it would have begun
        elif not self._try_again(job, cause):
            self._recorder.add_log(job, message.log, "worker.log")
            self._fail(job, f"{cause}, {job.breaks} times")

    def _failed(self, job: Job, message: Failed) -> None:
        """Take in a run that broke; one that found no memory beside others goes on when there are fewer of them."""
        if message.out_of_memory and self._pool.narrow(job.task, joined=message.joined):
            self._display.warn(f"{job.name}: out of memory beside other runs; {len(self._pool)} at once from now on")
            self._requeue(job)
        elif not (message.passing and not self.hearing.stopping and self._try_again(job, message.cause)):
            self._recorder.add_log(job, message.traceback, "traceback.txt")
            self._fail(job, message.cause)

    def _try_again(self, job: Job, cause: str) -> bool:
        """Let a run that broke go on from its checkpoint a little later, if it may; return whether it may."""
        if job.broke() > self._limits.retries:
            return False
        self._display.warn(f"{job.name}: {cause}; it goes on from its last checkpoint")
        self._requeue(job)
        return True

    def _let_go(self, job: Job) -> None:
        """Leave a run to the launcher that took it over; what becomes of it is looked at again later."""
        self._display.warn(f"{job.name}: left to another `study run`, which took it over")
        self._cells.put_back(job)
        self._release(job)
        self._display.ended(job.task, [], done=0.0)

    def _mark(self, job: Job, outcome: str, reason: str = "") -> None:
        """Close a run that came to no result, unless it was deleted."""
        with suppress(RunDeletedError):
            self._recorder.end(job, outcome, reason=reason)

    def _put_back(self, job: Job, why: str) -> None:
        """Leave a run for the next time."""
        self._mark(job, "interrupted")
        self._cells.put_back(job)
        self._close(job, [f"{job.name}: {why}"])

    def _requeue(self, job: Job) -> None:
        """Let the next worker that waits go on with a run."""
        self._release(job)
        self._again.append(job)

    def _fail(self, job: Job, cause: str) -> None:
        """Show a run that broke, and let the rest go on."""
        self._mark(job, "failed", cause)
        self.summary.failures.append((job.name, cause))
        self._display.warn(f"{job.name}: failed: {cause}")
        broken = self._cells.failed(job, self._recorder)
        if broken:
            self.summary.failures.append((job.cell.plan.cell.name, broken))
        self._close(job, [])

    def _close(self, job: Job, lines: list[str]) -> None:
        result = job.outcome in DONE
        if result:
            self._forget(job)
        if job.kind == "run":
            self._leases.release(job.lease)
        self._release(job)
        self._stop_unwanted()
        self._display.ended(job.task, lines, done=job.cost if result else 0.0)

    def _forget(self, job: Job) -> None:
        """Delete what a run needed to go on, and close it: MLflow has its checkpoint now."""
        shutil.rmtree(self._folder(job), ignore_errors=True)
        with suppress(RunDeletedError):  # as if it were deleted a moment later
            self._recorder.close(job)

    def _release(self, job: Job) -> None:
        self._pool.release(job.task)
        self._jobs.pop(job.task, None)

    def _folder(self, job: Job) -> Path:
        return self._checkpoints / job.task
