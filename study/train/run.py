"""One run: from a specification to a stream of events."""

import time
from collections.abc import Callable, Iterator
from functools import partial

import torch

from study.config import RunSpec
from study.data import Dataset
from study.events import Checkpointed, Diverged, Event, Interrupted, Probed, Started, Unsaved
from study.train.arithmetic import by_recipe
from study.train.checkpoint import CheckpointPlan, find_checkpoint, save_checkpoint
from study.train.evaluate import Stopped, heed, never
from study.train.parallel import ALONE, Group
from study.train.score import Scorer
from study.train.state import RunState, build_state
from study.train.step import Step, prepare
from study.train.stepper import Stepper

Prober = Callable[[Scorer], Iterator[Probed]]
"""Measures what is due of a run where it stands, and says what it found; it leaves the run as it was."""
AGAIN_SECONDS = 1.0
"""Between two tries to write the last checkpoint."""


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
    stop: Callable[[], bool] = never,
    group: Group = ALONE,
) -> Iterator[Event]:
    """Train one net and yield what happens; goes on from the checkpoint where there is one.

    The dataset lies on `device`, or on the CPU, from where its images are streamed. `stop` is asked before each step
    and each batch of an evaluation; when it says yes, a checkpoint is written and the stream ends with `Interrupted`. A
    run stopped or killed at any moment and started again yields, on a CPU in fp32, the same curve to the last bit. A
    checkpoint that can't be written is said (`Unsaved`) and tried again later; the last one is waited for.

    Every process of a `group` calls this with the same arguments but its own device. They go through the same steps;
    rank 0 alone is asked to stop, writes checkpoints, and is to be listened to.

    Raises:
        OSError: a checkpoint can't be read.
        RuntimeError: another process of the group has gone.
    """
    stepper = Stepper(device)
    for event in course(spec, dataset, device, checkpoint, probe=probe, stop=stop, group=group):
        if not isinstance(event, Step):
            yield event
        elif failed := stepper.take([event]):
            raise failed[0].error


@by_recipe
def course(
    spec: RunSpec,
    dataset: Dataset,
    device: torch.device,
    checkpoint: CheckpointPlan,
    *,
    probe: Prober = no_probes,
    stop: Callable[[], bool] = never,
    group: Group = ALONE,
) -> Iterator[Event | Step]:
    """Yield what `run` does, and each iteration when the run is ready for it: whoever listens takes it, then goes on.

    So the iterations of several runs can be taken at once.
    """
    clock = time.monotonic()
    state = build_state(spec, dataset, device, group)
    found = group.first(partial(find_checkpoint, checkpoint.path, device))  # a damaged one is removed only once
    if found.values is not None:
        state.restore(found.values)
    clock -= state.seconds  # so that `now - clock` is the run's time, earlier attempts included
    keeper = _Keeper(state, checkpoint, clock)
    yield _started(state, device, tuple(found.damaged))
    try:
        yield from _train(Scorer(state, spec, dataset, device, partial(group.agree, stop)), keeper, probe)
    except Stopped:
        if keeper.step != state.step:
            yield keeper.save()
        yield Interrupted(keeper.step)


def _train(scorer: Scorer, keeper: "_Keeper", probe: Prober) -> Iterator[Event | Step]:
    """Train to the end; raises Stopped between two iterations, or in the middle of an evaluation."""
    state, spec = scorer.state, scorer.spec
    every = spec.recipe.evaluate_every or state.batches.iterations_per_epoch
    while True:
        last = state.step == state.total
        if state.steps_since_point and (state.step % every == 0 or last):
            point = scorer.measure(keeper.clock)
            if point is None:
                yield Diverged(state.step, 100 - 100 / scorer.dataset.num_classes, time.monotonic() - keeper.clock)
                return
            state.history.append(point)
            yield point
        yield from _probe(scorer, keeper, probe)
        if keeper.due or (last and keeper.step != state.step):
            yield keeper.save()
        if last:
            break
        heed(scorer.stop)
        yield prepare(state, spec)
    while keeper.step != state.step:  # the trained weights must be kept: the disk may have room again
        heed(scorer.stop)
        time.sleep(AGAIN_SECONDS)
        yield keeper.save()
    yield scorer.finish(keeper.clock)


def _probe(scorer: Scorer, keeper: "_Keeper", probe: Prober) -> Iterator[Probed]:
    """Yield what is measured at this iteration; the run's time stands still meanwhile."""
    start = time.monotonic()
    try:
        for found in probe(scorer):
            scorer.state.probed.append(found)  # goes into the checkpoint, as the curve does
            yield found
    finally:
        keeper.clock += time.monotonic() - start


class _Keeper:
    """Writes a run's checkpoints."""

    def __init__(self, state: RunState, checkpoint: CheckpointPlan, clock: float) -> None:
        """`clock` is when the run began, on the monotonic clock, its earlier attempts counted."""
        self._state = state
        self._checkpoint = checkpoint
        self._written = time.monotonic()
        self.clock = clock
        self.step = state.step
        """The iteration that is safe on disk."""

    @property
    def due(self) -> bool:
        """Whether it is time for one."""
        return self._state.group.agree(lambda: time.monotonic() - self._written >= self._checkpoint.every_seconds)

    def save(self) -> Checkpointed | Unsaved:
        """Write one; where it can't be written, the run goes on, and those before it stand."""
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


def _started(state: RunState, device: torch.device, damaged: tuple[str, ...]) -> Started:
    return Started(
        step=state.step,
        total=state.total,
        device=_named(device, state.group.size),
        precision=state.precision,
        history=tuple(state.history),
        probed=tuple(state.probed),
        damaged=damaged,
    )


def _named(device: torch.device, count: int) -> str:
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    return f"{count} x {name}" if count > 1 else name
