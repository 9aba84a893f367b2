"""How fast a run would go on this device: a few of its steps, timed."""

import time
from dataclasses import dataclass

import torch

from study.config import RunSpec
from study.data import Dataset, evaluation_batches
from study.train.evaluate import evaluate
from study.train.run import take_step
from study.train.state import RunState, build_state, peak_memory_mib

WARM_STEPS = 2
"""The first step sets up libraries, the second is the first with momentum."""
SECONDS = 0.6
LEAST_STEPS = 3


@dataclass(frozen=True)
class Speed:
    """Times in seconds, memory in MiB."""

    step: float
    """One training step, batch and augmentation included."""
    image: float
    """One image of an evaluation."""
    start: float
    """From the specification to the end of the first steps, which are slow."""
    memory: float
    """Most held by the process, or by a run on its GPU."""


def measure_speed(spec: RunSpec, dataset: Dataset, device: torch.device) -> Speed:
    """Time a few steps and an evaluation of a run; nothing is kept of it.

    The dataset lies as `run` wants it. Takes about a second for small nets, and `WARM_STEPS + LEAST_STEPS` steps at
    least.
    """
    began = time.perf_counter()
    state = build_state(spec, dataset, device)
    for _ in range(WARM_STEPS):
        take_step(state, spec, device)
    _wait(device)
    start = time.perf_counter() - began
    step = _time_steps(state, spec, device)
    return Speed(step, _time_evaluation(state, spec, dataset, device), start, peak_memory_mib(device))


def _time_steps(state: RunState, spec: RunSpec, device: torch.device) -> float:
    """Return the mean seconds of a step: on a shared machine a run meets the slow ones too."""
    began = time.perf_counter()
    steps = 0
    while steps == 0 or time.perf_counter() - began < SECONDS:
        for _ in range(LEAST_STEPS):
            take_step(state, spec, device)
        _wait(device)
        steps += LEAST_STEPS
    return (time.perf_counter() - began) / steps


def _time_evaluation(state: RunState, spec: RunSpec, dataset: Dataset, device: torch.device) -> float:
    """Return the seconds of an image, in the first batch of the test images; the better of two."""
    times = []
    for _ in range(2):
        began = time.perf_counter()
        batches = evaluation_batches(dataset.test, state.normalizer, augment=spec.recipe.augment, device=device)
        images, labels = next(batches)
        evaluate(state.net, [(images, labels)], state.precision, device)  # waits for its result
        times.append((time.perf_counter() - began) / len(labels))
    return min(times)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
