"""One run: from a specification to a stream of events."""

import math
import time
from collections.abc import Callable, Iterator

import torch

from study.config import RunSpec
from study.data import Dataset, Split, augmented_batches, evaluation_batches
from study.events import Checkpointed, Diverged, Epoch, Event, Finished, Interrupted, Started, Unsaved
from study.train.arithmetic import by_recipe
from study.train.checkpoint import CheckpointPlan, find_checkpoint, save_checkpoint
from study.train.evaluate import Score, Stopped, evaluate, heed, never
from study.train.predict import error_over_views
from study.train.schedule import lr_at
from study.train.state import RunState, build_state, peak_memory_mib
from study.train.step import Step, prepare, take_step

AGAIN_SECONDS = 1.0
"""Between two tries to write the last checkpoint."""


def run(
    spec: RunSpec,
    dataset: Dataset,
    device: torch.device,
    checkpoint: CheckpointPlan,
    *,
    stop: Callable[[], bool] = never,
) -> Iterator[Event]:
    """Train one net and yield what happens; goes on from the checkpoint where there is one.

    The dataset lies on `device`, or on the CPU, from where its images are streamed. `stop` is asked before each step
    and each batch of an evaluation; when it says yes, a checkpoint is written and the stream ends with `Interrupted`. A
    run stopped or killed at any moment and started again yields, on a CPU in fp32, the same curve to the last bit. A
    checkpoint that can't be written is said (`Unsaved`) and tried again later; the last one is waited for.

    Raises:
        OSError: a checkpoint can't be read.
    """
    for happened in course(spec, dataset, device, checkpoint, stop=stop):
        if isinstance(happened, Step):
            take_step(happened, device)
        else:
            yield happened


@by_recipe
def course(
    spec: RunSpec,
    dataset: Dataset,
    device: torch.device,
    checkpoint: CheckpointPlan,
    *,
    stop: Callable[[], bool] = never,
) -> Iterator[Event | Step]:
    """Yield what `run` does, and each iteration when the run is ready for it: whoever listens takes it, then goes on.

    So the iterations of several runs can be taken at once.
    """
    clock = time.monotonic()
    state = build_state(spec, dataset, device)
    found = find_checkpoint(checkpoint.path, device)
    if found.values is not None:
        state.restore(found.values)
    clock -= state.seconds  # so that `now - clock` is the run's time, earlier attempts included
    keeper = _Keeper(state, checkpoint, clock)
    yield _started(state, device, tuple(found.damaged))
    try:
        yield from _train(state, spec, dataset, device, keeper, stop)
    except Stopped:
        if keeper.step != state.step:
            yield keeper.save()
        yield Interrupted(keeper.step)


def _train(
    state: RunState,
    spec: RunSpec,
    dataset: Dataset,
    device: torch.device,
    keeper: "_Keeper",
    stop: Callable[[], bool],
) -> Iterator[Event | Step]:
    """Train to the end; raises Stopped between two iterations, or in the middle of an evaluation."""
    every = spec.recipe.evaluate_every or state.batches.iterations_per_epoch
    while True:
        last = state.step == state.total
        if state.steps_since_point and (state.step % every == 0 or last):
            point = _measure(state, spec, dataset, device, keeper.clock, stop)
            if point is None:
                yield Diverged(state.step, 100 - 100 / dataset.num_classes, time.monotonic() - keeper.clock)
                return
            state.history.append(point)
            yield point
        if keeper.due or (last and keeper.step != state.step):
            yield keeper.save()
        if last:
            break
        heed(stop)
        yield prepare(state, spec)
    while keeper.step != state.step:  # the trained weights must be kept: the disk may have room again
        heed(stop)
        time.sleep(AGAIN_SECONDS)
        yield keeper.save()
    yield _finish(state, spec, dataset, device, keeper.clock, stop)


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
        return time.monotonic() - self._written >= self._checkpoint.every_seconds

    def save(self) -> Checkpointed | Unsaved:
        """Write one; where it can't be written, the run goes on, and those before it stand."""
        self._state.seconds = time.monotonic() - self.clock
        self._written = time.monotonic()
        try:
            save_checkpoint(self._checkpoint.path, self._state.values())
        except OSError as error:
            return Unsaved(self._state.step, f"{self._checkpoint.path.parent}: {error.strerror or error}")
        self.step = self._state.step
        return Checkpointed(self.step)


def _measure(
    state: RunState,
    spec: RunSpec,
    dataset: Dataset,
    device: torch.device,
    clock: float,
    stop: Callable[[], bool],
) -> Epoch | None:
    """Read the running sums and score the held-out images; None where the loss is no longer finite."""
    start = time.monotonic()
    train_loss = state.loss_sum.item() / state.steps_since_point  # sync point
    images = state.steps_since_point * state.batches.batch_size
    train_error = 100 * state.error_sum.item() / images
    state.training_seconds += time.monotonic() - start  # on a GPU, the steps themselves end here
    if not math.isfinite(train_loss) or not state.finite():
        return None
    test = _score(state, spec, dataset.test, device, stop)
    validation = _score(state, spec, dataset.validation, device, stop) if dataset.validation else None
    point = Epoch(
        step=state.step,
        epoch=state.step / state.batches.iterations_per_epoch,
        lr=lr_at(state.step - 1, spec.recipe, state.total),
        train_error=train_error,
        train_loss=train_loss,
        test_error=test.error,
        test_loss=test.loss,
        validation_error=validation.error if validation else None,
        validation_loss=validation.loss if validation else None,
        images_per_second=images / max(state.training_seconds, 1e-9),
        seconds=time.monotonic() - clock,
        memory_mib=peak_memory_mib(device),
        time=time.time(),
    )
    state.loss_sum.zero_()
    state.error_sum.zero_()
    state.steps_since_point = 0
    state.training_seconds = 0.0
    return point


def _finish(
    state: RunState,
    spec: RunSpec,
    dataset: Dataset,
    device: torch.device,
    clock: float,
    stop: Callable[[], bool],
) -> Finished:
    """Score the last step's weights on every split, on augmented training images, and over more views of test ones."""
    augment = spec.recipe.augment
    train = _score(state, spec, dataset.train, device, stop)
    augmented = train
    if augment != "none":
        shown = augmented_batches(dataset.train, state.normalizer, augment=augment, seed=spec.seed, device=device)
        augmented = evaluate(state.net, shown, state.precision, device, stop)
    test = _score(state, spec, dataset.test, device, stop)
    validation = _score(state, spec, dataset.validation, device, stop) if dataset.validation else None
    return Finished(
        step=state.step,
        final_train_error=train.error,
        final_train_loss=train.loss,
        final_train_error_augmented=augmented.error,
        final_test_error=test.error,
        final_test_loss=test.loss,
        final_test_error_views=_error_over_views(state, spec, dataset.test, device, stop),
        final_validation_error=validation.error if validation else None,
        final_validation_loss=validation.loss if validation else None,
        seconds=time.monotonic() - clock,
    )


def _score(state: RunState, spec: RunSpec, split: Split, device: torch.device, stop: Callable[[], bool]) -> Score:
    """Score clean images."""
    batches = evaluation_batches(split, state.normalizer, augment=spec.recipe.augment, device=device)
    return evaluate(state.net, batches, state.precision, device, stop)


def _error_over_views(
    state: RunState, spec: RunSpec, split: Split, device: torch.device, stop: Callable[[], bool]
) -> float | None:
    """Score the recipe's views of clean images, averaged; None where they are the one that `_score` shows."""
    recipe = spec.recipe
    if recipe.test_views == "center":
        return None
    return error_over_views(
        state.net,
        split,
        state.normalizer,
        augment=recipe.augment,
        device=device,
        views=recipe.test_views,
        precision=state.precision,
        stop=stop,
    )


def _started(state: RunState, device: torch.device, damaged: tuple[str, ...]) -> Started:
    return Started(
        step=state.step,
        total=state.total,
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        precision=state.precision,
        history=tuple(state.history),
        damaged=damaged,
    )
