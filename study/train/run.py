"""One run: from a specification to a stream of events."""

import math
import time
from collections.abc import Callable, Iterator

import torch

from study.config import RunSpec
from study.data import Dataset, Split, augmented_batches, evaluation_batches
from study.events import Checkpointed, Diverged, Epoch, Event, Finished, Interrupted, Started
from study.train.arithmetic import by_recipe
from study.train.checkpoint import CheckpointPlan, load_checkpoint, save_checkpoint
from study.train.evaluate import Score, evaluate
from study.train.predict import error_over_views
from study.train.schedule import lr_at
from study.train.state import RunState, build_state, peak_memory_mib
from study.train.step import Step, prepare, take_step


def never() -> bool:
    """Say no."""
    return False


def run(
    spec: RunSpec,
    dataset: Dataset,
    device: torch.device,
    checkpoint: CheckpointPlan,
    *,
    stop: Callable[[], bool] = never,
) -> Iterator[Event]:
    """Train one net and yield what happens; goes on from the checkpoint where there is one.

    The dataset lies on `device`, or on the CPU, from where its images are streamed. `stop` is asked before each step;
    when it says yes, a checkpoint is written and the stream ends with `Interrupted`. A run stopped or killed at any
    moment and started again yields, on a CPU in fp32, the same curve to the last bit.

    Raises:
        OSError: a checkpoint can't be written.
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
    saved = load_checkpoint(checkpoint.path, device)
    if saved is not None:
        state.restore(saved)
    clock -= state.seconds  # so that `now - clock` is the run's time, earlier attempts included
    every = spec.recipe.evaluate_every or state.batches.iterations_per_epoch
    written = time.monotonic()
    yield _started(state, dataset, device)
    while state.step < state.total:
        if stop():
            _save(state, checkpoint, clock)
            yield Checkpointed(state.step)
            yield Interrupted(state.step)
            return
        yield prepare(state, spec)
        if state.step % every == 0 or state.step == state.total:
            point = _measure(state, spec, dataset, device, clock)
            if point is None:
                yield Diverged(state.step, 100 - 100 / dataset.num_classes, time.monotonic() - clock)
                return
            state.history.append(point)
            yield point
        if time.monotonic() - written >= checkpoint.every_seconds or state.step == state.total:
            _save(state, checkpoint, clock)
            written = time.monotonic()
            yield Checkpointed(state.step)
    yield _finish(state, spec, dataset, device, clock)


def _measure(state: RunState, spec: RunSpec, dataset: Dataset, device: torch.device, clock: float) -> Epoch | None:
    """Read the running sums and score the held-out images; None where the loss is no longer finite."""
    start = time.monotonic()
    train_loss = state.loss_sum.item() / state.steps_since_point  # sync point
    images = state.steps_since_point * state.batches.batch_size
    train_error = 100 * state.error_sum.item() / images
    state.training_seconds += time.monotonic() - start  # on a GPU, the steps themselves end here
    if not math.isfinite(train_loss) or not state.finite():
        return None
    test = _score(state, spec, dataset.test, device)
    validation = _score(state, spec, dataset.validation, device) if dataset.validation else None
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
    )
    state.loss_sum.zero_()
    state.error_sum.zero_()
    state.steps_since_point = 0
    state.training_seconds = 0.0
    return point


def _finish(state: RunState, spec: RunSpec, dataset: Dataset, device: torch.device, clock: float) -> Finished:
    """Score the last step's weights on every split, on augmented training images, and over more views of test ones."""
    augment = spec.recipe.augment
    train = _score(state, spec, dataset.train, device)
    augmented = train
    if augment != "none":
        shown = augmented_batches(dataset.train, state.normalizer, augment=augment, seed=spec.seed, device=device)
        augmented = evaluate(state.net, shown, state.precision, device)
    test = _score(state, spec, dataset.test, device)
    validation = _score(state, spec, dataset.validation, device) if dataset.validation else None
    return Finished(
        step=state.step,
        final_train_error=train.error,
        final_train_loss=train.loss,
        final_train_error_augmented=augmented.error,
        final_test_error=test.error,
        final_test_loss=test.loss,
        final_test_error_views=_error_over_views(state, spec, dataset.test, device),
        final_validation_error=validation.error if validation else None,
        final_validation_loss=validation.loss if validation else None,
        seconds=time.monotonic() - clock,
    )


def _score(state: RunState, spec: RunSpec, split: Split, device: torch.device) -> Score:
    """Score clean images."""
    batches = evaluation_batches(split, state.normalizer, augment=spec.recipe.augment, device=device)
    return evaluate(state.net, batches, state.precision, device)


def _error_over_views(state: RunState, spec: RunSpec, split: Split, device: torch.device) -> float | None:
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
    )


def _save(state: RunState, checkpoint: CheckpointPlan, clock: float) -> None:
    state.seconds = time.monotonic() - clock
    save_checkpoint(checkpoint.path, state.values())


def _started(state: RunState, dataset: Dataset, device: torch.device) -> Started:
    return Started(
        step=state.step,
        total=state.total,
        iterations_per_epoch=state.batches.iterations_per_epoch,
        train_images=len(dataset.train),
        parameters=sum(parameter.numel() for parameter in state.net.parameters()),
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        precision=state.precision,
        history=tuple(state.history),
    )
