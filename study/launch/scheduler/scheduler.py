"""The scheduler: assigns runs and trials to workers, receives their events, and writes them to MLflow.

Only the scheduler writes to MLflow. It keeps polling its workers while it waits for MLflow or a database.
"""

import shutil
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from study.errors import StudyError
from study.events import Checkpointed, Diverged, Epoch, Event, Finished, Interrupted, Probed, Started, Unsaved
from study.launch.display import Display, duration
from study.launch.executors.base import Limits
from study.launch.messages import TaskEvent, is_final
from study.launch.scheduler.job import BATCH_SECONDS, CellState, Job
from study.launch.scheduler.lease import Leases
from study.launch.scheduler.queue import WorkQueue
from study.launch.scheduler.run_logger import RunLogger
from study.launch.scheduler.worker_pool import Message, WorkerDied, WorkerPool
from study.launch.worker.failure import Failure
from study.retry import RetryTimeout
from study.track.store import RunDeletedError, StudyDeletedError
from study.track.tags import DONE

STOP_SECONDS = 5.0
"""Seconds that runs have to write a checkpoint when the launcher is asked to stop."""
CLUSTER_WAIT_SECONDS = 15.0
"""Wait for the first worker of a cluster after which a message is shown."""
REPORT_WAIT_SECONDS = 3.0
"""Wait for MLflow or a database after which a message is shown."""
MAX_WAIT_SECONDS = 3600.0
"""Wait for them after which the launcher gives up."""
DELETED = "deleted in MLflow while it was at work; the same command begins it anew"


@dataclass
class Summary:
    """How a grid ended."""

    finished: int = 0
    diverged: int = 0
    earlier: int = 0
    """Runs that were results before the launcher began."""
    trials: int = 0
    left: int = 0
    """Runs that are still to do."""
    interrupted: bool = False
    seconds: float = 0.0
    failures: list[tuple[str, str]] = field(default_factory=list)
    """Name and cause of each failure."""


class Scheduler:
    """Runs a grid to its end, or until it is asked to stop."""

    def __init__(
        self,
        queue: WorkQueue,
        run_logger: RunLogger,
        pool: WorkerPool,
        display: Display,
        checkpoints: Path,
        leases: Leases,
        limits: Limits,
    ) -> None:
        self._queue = queue
        self._run_logger = run_logger
        self._pool = pool
        self._display = display
        self._checkpoints = checkpoints
        self._leases = leases
        self._limits = limits
        self._jobs: dict[str, Job] = {}
        """In flight, by task."""
        self._retries: list[Job] = []
        """To be resumed by the next free worker."""
        self._messages: deque[Message] = deque()
        """Received and not yet handled."""
        self._lost_leases: set[str] = set()
        """Taken over by another launcher because this one was silent for too long, and not yet handled."""
        self._failed_starts = 0
        self._began = time.monotonic()
        self._stopping = False
        self._stop_deadline = 0.0
        """When runs must have stopped; 0 until they were asked to."""
        self._wait_reported = False
        self.summary = Summary(earlier=queue.done_before)

    def stop(self) -> None:
        """Ask for a clean end: every run in flight writes a checkpoint, and no job begins."""
        self._stopping = True

    def run(self) -> Summary:
        """Do all jobs in the queue.

        Raises:
            StudyError: workers can't start, or MLflow or a database was unavailable for too long.
        """
        began = time.monotonic()
        try:
            while self._dispatch_or_stop():
                self._poll(0.2)
                self._handle_lost_leases()  # first: the runs of another launcher must not be written to
                while self._messages:
                    self._handle(self._messages.popleft())
                    self._handle_lost_leases()
                self._flush()
        except StudyDeletedError as error:
            self.summary.failures.append(("the study", str(error)))
            self._pool.kill()
        except RetryTimeout as error:
            if not self._stopping:
                raise
            self._display.warn(f"stopped while waiting for {error}")
        self.summary.earlier += self._queue.done_elsewhere
        self.summary.interrupted = self._stopping
        self.summary.left = self._queue.runs_left() + len(self._jobs)
        self.summary.seconds = time.monotonic() - began
        return self.summary

    def close_records(self) -> None:
        """Mark the jobs in flight as interrupted, so that none stays RUNNING in MLflow."""
        for job in [*self._jobs.values(), *self._retries]:
            if job.outcome in DONE:
                self._clean_up(job)
            elif job.writable:
                self._end_without_result(job, "interrupted")
        self._queue.close()

    # Polling, also during waits.

    def _poll(self, seconds: float) -> None:
        """Collect messages for so many seconds; renew the leases, and kill workers that hang."""
        for message in self._pool.poll(seconds):
            self._messages.append(message)
            self._lost_leases |= self._leases.renew()
        self._lost_leases |= self._leases.renew()
        if (resources := self._pool.waiting_for()) and time.monotonic() - self._began > CLUSTER_WAIT_SECONDS:
            self._display.say_once(f"waiting for room on the cluster: a worker needs {resources}")
        self._pool.kill_silent(self._limits.silent_seconds)

    def _broadcast_stop(self) -> None:
        """If the launcher is asked to stop, ask every run in flight, once, to write a checkpoint and end."""
        if self._stopping and not self._stop_deadline:
            self._stop_deadline = time.monotonic() + STOP_SECONDS
            self._display.warn("stopping: runs in flight write a checkpoint (press Ctrl-C again to leave at once)")
            for task in self._jobs:
                self._pool.stop(task)

    @property
    def _stop_deadline_passed(self) -> bool:
        return self._stop_deadline > 0 and time.monotonic() > self._stop_deadline

    def on_wait(self, why: str, seconds: float) -> None:
        """Poll the workers while MLflow or a database is unavailable; their messages are handled later, in order.

        Raises:
            RetryTimeout: it was unavailable for too long, or the launcher is asked to stop.
        """
        if seconds >= REPORT_WAIT_SECONDS and not self._wait_reported:
            self._wait_reported = True
            self._display.warn(f"waiting for {why}; runs in flight go on, and what they say is kept")
        if seconds >= MAX_WAIT_SECONDS:
            raise RetryTimeout(f"{why}; waited {duration(seconds)}. Nothing is lost: the same command goes on")
        self._broadcast_stop()
        ended = {message.task for message in self._messages if is_final(message)}
        if self._stopping and (self._stop_deadline_passed or ended.issuperset(self._jobs)):
            raise RetryTimeout(why)
        self._poll(min(2.0, 0.2 + seconds / 10))

    def on_recovered(self, seconds: float) -> None:
        """Report the end of a wait that was reported."""
        if self._wait_reported:
            self._wait_reported = False
            self._display.warn(f"it is back after {duration(seconds)}: nothing is lost")

    # Assign work.

    def _dispatch_or_stop(self) -> bool:
        """Assign work unless the launcher is asked to stop; return whether jobs are in flight or left."""
        self._broadcast_stop()
        if not self._stopping:
            self._dispatch()
        elif self._jobs and self._stop_deadline_passed:
            self._pool.kill()
            for job in list(self._jobs.values()):
                self._put_back(job, "was too slow to write another checkpoint; its last one stands")
        return bool(self._jobs) or (not self._stopping and bool(self._retries or self._queue.unfinished()))

    def _dispatch(self) -> None:
        """Assign work to every free worker, then to workers that can do more at once."""
        until = time.monotonic() + BATCH_SECONDS
        while self._pool.free() and time.monotonic() < until:
            job = self._next_job(None, self._pool.room())
            if job is None:
                break
            self._begin(job)
        for partner in self._pool.partners():
            if partner in self._jobs:
                job = self._next_job(self._jobs[partner].state, self._pool.room(partner))
                if job is not None:
                    self._begin(job, beside=partner)
        if not self._queue.unfinished():
            self._pool.dismiss_idle(len(self._retries))
        elif self._pool.free() and not self._jobs and not self._retries:
            self._display.say_once("waiting: another `study run` is at work on all that is left")

    def _next_job(self, beside: CellState | None, room: float) -> Job | None:
        """Return a job that fits and can be trained with jobs of the cell `beside`: first one due for a retry."""
        now = time.monotonic()
        due = [job for job in self._retries if job.not_before <= now and job.state.fits(room)]
        job = next((job for job in due if beside is None or job.state.can_share_worker(beside)), None)
        if job is None:
            return self._queue.next_job(beside, room)
        self._retries.remove(job)
        return job

    def _begin(self, job: Job, beside: str | None = None) -> None:
        self._jobs[job.task] = job
        task = self._run_logger.task_for(job, self._folder(job), self._limits.checkpoint_seconds)
        job.worker_info = self._pool.assign(task, beside, job.state.share)

    def _handle_lost_leases(self) -> None:
        """Stop the jobs that another launcher has taken over because this one was silent for too long."""
        lost, self._lost_leases = self._lost_leases, set()
        if not lost:
            return
        self._queue.drop_leases(lost)
        for job in [*self._jobs.values(), *self._retries]:
            if job.lease in lost:
                job.lease_lost = True
                self._pool.stop(job.task)
        for job in [job for job in self._retries if job.lease_lost]:
            self._retries.remove(job)
            self._give_up(job)

    def _flush(self) -> None:
        try:
            self._run_logger.flush_due(self._jobs.values())
        except RunDeletedError as error:
            self._run_deleted(error, over=False)

    # React to messages.

    def _handle(self, message: Message) -> None:
        """Handle a message about a task; of a run that this launcher may no longer write to, only the last."""
        if isinstance(message, WorkerDied):
            self._check_starts(message)
        job = self._jobs.get(message.task or "")
        if job is None:
            return
        try:
            if not job.writable:
                if is_final(message):
                    self._give_up(job)
            elif isinstance(message, WorkerDied):
                self._worker_died(job, message)
            elif isinstance(message, Failure):
                self._task_failed(job, message)
            elif isinstance(message, TaskEvent):
                self._handle_event(job, message.event)
        except RunDeletedError as error:
            self._run_deleted(error, over=is_final(message))

    def _run_deleted(self, error: RunDeletedError, *, over: bool) -> None:
        """End a run that was deleted in MLflow: at once if its worker has reported its end."""
        for job in [job for job in self._jobs.values() if job.run_id == error.run_id]:
            job.deleted = True
            if over:
                self._fail(job, DELETED)
            else:
                self._pool.stop(job.task)

    def _handle_event(self, job: Job, event: Event) -> None:
        match event:
            case Started():
                self._run_logger.started(job, event)
                for damage in event.damaged:
                    self._display.warn(f"{job.name}: {damage}; it goes on from iteration {event.step:,}")
                self._display.started(job.task, job.name, job.cost, event.step, event.total)
            case Epoch():
                self._add_point(job, event)
            case Probed():
                job.probed.append(event)
            case Checkpointed():
                job.saved()
            case Unsaved():
                if not job.unsaved:
                    job.unsaved = True
                    self._display.warn(f"{job.name}: no checkpoint can be written: {event.reason}; it goes on without")
            case Finished() | Diverged():
                self._finish(job, event)
            case Interrupted():
                self._interrupted(job, event)

    def _add_point(self, job: Job, point: Epoch) -> None:
        job.add(point)
        self._display.point(job.task, point, self._queue.note(job, point))
        if job.kind == "trial" and not job.pruned and self._queue.should_prune(job, point):
            self._prune(job)

    def _prune(self, job: Job) -> None:
        job.pruned = True
        self._pool.stop(job.task)

    def _stop_unwanted(self) -> None:
        """Stop the other seeds of a trial that was pruned or failed."""
        for job in self._jobs.values():
            if not job.pruned and not self._queue.is_needed(job):
                self._prune(job)

    def _finish(self, job: Job, event: Finished | Diverged | Interrupted) -> None:
        """Log and record the result of a run, or of a trial, which may have been pruned."""
        objective = self._queue.objective(job, event)
        self._run_logger.result(job, event, self._folder(job) / "checkpoint.pt", objective)
        if job.kind == "trial":
            self.summary.trials += 1
        elif job.outcome == "finished":
            self.summary.finished += 1
        else:
            self.summary.diverged += 1
        self._close(job, self._queue.ended(job, event, objective))

    def _interrupted(self, job: Job, event: Interrupted) -> None:
        """Handle a run that stopped with a checkpoint: pruned, stopped by the user, or its worker was terminated."""
        if job.pruned:
            self._finish(job, event)
        elif self._stopping:
            self._put_back(job, f"stopped at iteration {event.step:,}")
        else:
            self._requeue(job)

    def _check_starts(self, message: WorkerDied) -> None:
        """Give up if workers keep dying before they begin."""
        self._failed_starts = self._failed_starts + 1 if message.task is None else 0
        if self._failed_starts > 2 * len(self._pool):
            raise StudyError(f"workers end before they begin: {message.cause}; try fewer (--workers)")

    def _worker_died(self, job: Job, message: WorkerDied) -> None:
        """Resume the run of a dead worker in another one from its checkpoint, a limited number of times."""
        if self._stopping:
            self._put_back(job, f"{message.cause} while stopping; its last checkpoint stands")
        elif message.exit_code == 0:
            self._requeue(job)  # the worker was terminated just before it would have begun
        elif not self._retry(job, message.cause):
            self._run_logger.add_log(job, message.log, "worker.log")
            self._fail(job, f"{message.cause}, {job.breaks} times")

    def _task_failed(self, job: Job, failure: Failure) -> None:
        """Handle a failed run; if it ran out of memory beside others, retry it with fewer at once."""
        at_once = self._pool.reduce_load(job.task, joined=failure.joined) if failure.out_of_memory else 0
        if at_once:
            self._display.warn(f"{job.name}: out of memory beside other runs; {at_once} at once there from now on")
            self._requeue(job)
        elif not (failure.transient and not self._stopping and self._retry(job, failure.cause)):
            self._run_logger.add_log(job, failure.traceback, "traceback.txt")
            self._fail(job, failure.cause)

    # The ends of jobs.

    def _retry(self, job: Job, cause: str) -> bool:
        """Resume a job from its checkpoint a little later; return False if it was retried too often."""
        if job.failed_transiently() > self._limits.retries:
            return False
        self._display.warn(f"{job.name}: {cause}; it goes on from its last checkpoint")
        self._requeue(job)
        return True

    def _give_up(self, job: Job) -> None:
        """Give up a job whose run was deleted, or taken by another launcher: then it is queued and checked later."""
        if not job.lease_lost:
            self._fail(job, DELETED)
            return
        self._display.warn(f"{job.name}: left to another `study run`, which took it over")
        if self._run_logger.has_result(job):  # of the other; this one's worker wrote a checkpoint when it stopped
            shutil.rmtree(self._folder(job), ignore_errors=True)
        self._queue.put_back(job)
        self._release(job)
        self._show_end(job, [], done=0.0)

    def _end_without_result(self, job: Job, outcome: str, reason: str = "") -> None:
        with suppress(RunDeletedError):
            self._run_logger.end(job, outcome, reason=reason)

    def _put_back(self, job: Job, why: str) -> None:
        """Leave a job for the next `study run`."""
        self._end_without_result(job, "interrupted")
        self._queue.put_back(job)
        self._close(job, [f"{job.name}: {why}"])

    def _requeue(self, job: Job) -> None:
        """Let the next free worker resume a job."""
        self._release(job)
        self._retries.append(job)

    def _fail(self, job: Job, cause: str) -> None:
        self._end_without_result(job, "failed", cause)
        self.summary.failures.append((job.name, cause))
        self._display.warn(f"{job.name}: failed: {cause}")
        broken = self._queue.failed(job)
        if broken:
            self.summary.failures.append((job.state.cell.name, broken))
        self._close(job, [])

    def _close(self, job: Job, lines: list[str]) -> None:
        has_result = job.outcome in DONE
        if has_result:
            self._clean_up(job)
        if job.kind == "run":
            self._leases.release(job.lease)
        self._release(job)
        self._stop_unwanted()
        self._show_end(job, lines, done=job.cost if has_result else 0.0)

    def _show_end(self, job: Job, lines: list[str], *, done: float) -> None:
        begun = [*self._jobs.values(), *self._retries]
        costs = [(other.task, other.cost) for other in begun]
        self._display.ended(job.task, lines, done=done, waiting=self._queue.waiting_cost(begun), begun=costs)

    def _clean_up(self, job: Job) -> None:
        """Delete the checkpoints of a job whose result is in MLflow, and close its run."""
        shutil.rmtree(self._folder(job), ignore_errors=True)
        with suppress(RunDeletedError):
            self._run_logger.close(job)

    def _release(self, job: Job) -> None:
        self._pool.release(job.task)
        self._jobs.pop(job.task, None)

    def _folder(self, job: Job) -> Path:
        return self._checkpoints / job.task
