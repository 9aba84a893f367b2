"""One run: from a specification to a stream of events."""

import time
from collections.abc import Callable, Iterator
from functools import partial

import torch

from study.config import RunSpec
from study.data import Dataset
from study.events import Checkpointed, Diverged, Event, Interrupted, Probed, Started, Unsaved
from study.train.checkpoint import CheckpointPlan, find_checkpoint, save_checkpoint
from study.train.evaluate import Stopped, never_stop, raise_if_stopped
from study.train.parallel import ALONE, Group
from study.train.score import Scorer
from study.train.state import RunState, build_state
from study.train.step import Step, prepare
from study.train.stepper import Stepper
from study.train.stream import on_own_stream

Prober = Callable[[Scorer], Iterator[Probed]]
"""Makes the probes that are due at a run's iteration and yields their results; it doesn't change the run."""
AGAIN_SECONDS = 1.0
"""Seconds between two attempts to write the last checkpoint."""


def no_probes(_scorer: Scorer) -> Iterator[Probed]:
    """Measure nothing."""
    return iter(())


def run(
    spec: RunSpec,
    dataset: Dataset,
    device: torch.device,
    checkpoint: CheckpointPlan,
    *,
    probe: Prober = no_probes,
    stop: Callable[[], bool] = never_stop,
    group: Group = ALONE,
) -> Iterator[Event]:
    """Train one net and yield its events; resume from the checkpoint if there is one.

    The dataset is on `device`, or on the CPU, from where its images are streamed. `stop` is called before each step
    and each batch of an evaluation; when it returns True, a checkpoint is written and the stream ends with
    `Interrupted`. A run stopped or killed at any moment and started again yields, on a CPU in fp32, the same curve to
    the last bit. A checkpoint that can't be written yields `Unsaved` and is tried again later; the run doesn't finish
    before its last checkpoint is written.

    Every process of a `group` calls this with the same arguments but its own device. They go through the same steps;
    only rank 0 calls `stop`, writes checkpoints, and yields events worth reading.

    Raises:
        OSError: a checkpoint can't be read.
        RuntimeError: another process of the group is gone.
    """
    stepper = Stepper(device)
    for event in run_steps(spec, dataset, device, checkpoint, probe=probe, stop=stop, group=group):
        if not isinstance(event, Step):
            yield event
        elif failed := stepper.take([event]):
            raise failed[0].error


@on_own_stream
def run_steps(
    spec: RunSpec,
    dataset: Dataset,
    device: torch.device,
    checkpoint: CheckpointPlan,
    *,
    probe: Prober = no_probes,
    stop: Callable[[], bool] = never_stop,
    group: Group = ALONE,
) -> Iterator[Event | Step]:
    """Yield the events of `run`, and each `Step` when the run is ready for it: the caller takes the step, then resumes.

    This lets a caller take the steps of several runs at once.
    """
    clock = time.monotonic()
    state = build_state(spec, dataset, device, group)
    # Rank 0 first, so that a damaged checkpoint is deleted only once.
    checkpointed = group.first(partial(find_checkpoint, checkpoint.path, device))
    if checkpointed.values is not None:
        state.restore(checkpointed.values)
    clock -= state.seconds  # so that `now - clock` is the run's time, earlier attempts included
    checkpointer = _Checkpointer(state, checkpoint, clock)
    yield Started(
        step=state.step,
        total=state.total,
        device=_name(device, group.size),
        precision=state.precision,
        history=tuple(state.history),
        probed=tuple(state.probed),
        damaged=checkpointed.damaged,
    )
    try:
        yield from _train(Scorer(state, dataset, device, partial(group.agree, stop)), checkpointer, probe)
    except Stopped:
        if checkpointer.step != state.step:
            yield checkpointer.save()
        yield Interrupted(checkpointer.step)


def _train(scorer: Scorer, checkpointer: "_Checkpointer", probe: Prober) -> Iterator[Event | Step]:
    """Train to the end; raise Stopped between two iterations, or in the middle of an evaluation."""
    state, spec = scorer.state, scorer.spec
    every = spec.recipe.evaluate_every or state.batches.iterations_per_epoch
    while True:
        last = state.step == state.total
        if state.steps_since_point and (state.step % every == 0 or last):
            point = scorer.measure(checkpointer.clock)
            if point is None:
                yield Diverged(state.step, scorer.error_of_guessing, time.monotonic() - checkpointer.clock)
                return
            state.history.append(point)
            yield point
        yield from _probe(scorer, checkpointer, probe)
        if checkpointer.due or (last and checkpointer.step != state.step):
            yield checkpointer.save()
        if last:
            break
        raise_if_stopped(scorer.stop)
        step = prepare(state)
        paused, counted = time.monotonic(), state.training_seconds
        yield step
        if not state.replays:  # graphs side by side on a GPU share it in ways that the host doesn't see
            checkpointer.clock += time.monotonic() - paused - (state.training_seconds - counted)  # other runs' time
    while checkpointer.step != state.step:  # the trained weights must be kept: the disk may have room again
        raise_if_stopped(scorer.stop)
        time.sleep(AGAIN_SECONDS)
        yield checkpointer.save()
    yield scorer.finish(checkpointer.clock)


def _probe(scorer: Scorer, checkpointer: "_Checkpointer", probe: Prober) -> Iterator[Probed]:
    """Yield the probes of this iteration; their time doesn't count for the run."""
    start = time.monotonic()
    try:
        for probed in probe(scorer):
            scorer.state.probed.append(probed)  # stored in the checkpoint, like the curve
            yield probed
    finally:
        checkpointer.clock += time.monotonic() - start


class _Checkpointer:
    """Writes a run's checkpoints."""

    def __init__(self, state: RunState, checkpoint: CheckpointPlan, clock: float) -> None:
        """`clock` is the start of the run on the monotonic clock, earlier attempts included."""
        self._state = state
        self._checkpoint = checkpoint
        self._written = time.monotonic()
        self.clock = clock
        self.step = state.step
        """The iteration whose checkpoint is safe on disk."""

    @property
    def due(self) -> bool:
        """Whether a checkpoint is due."""
        return self._state.group.agree(lambda: time.monotonic() - self._written >= self._checkpoint.every_seconds)

    def save(self) -> Checkpointed | Unsaved:
        """Write a checkpoint; if it can't be written, the run goes on and the previous one is kept."""
        state, path = self._state, self._checkpoint.path
        state.seconds = time.monotonic() - self.clock
        self._written = time.monotonic()
        values, problem = state.values(), ""
        if state.group.rank == 0:
            try:
                save_checkpoint(path, values)
            except OSError as error:
                problem = f"{path.parent}: {error.strerror or error}"
        if state.group.agree(lambda: bool(problem)):
            return Unsaved(state.step, problem)
        self.step = state.step
        return Checkpointed(self.step)


def _name(device: torch.device, count: int) -> str:
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    return f"{count} x {name}" if count > 1 else name
