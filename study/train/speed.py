"""The speed of a run on this device: a few of its steps, timed."""

import time
from dataclasses import dataclass, replace

import torch

from study.config import RunSpec
from study.data import Dataset, evaluation_batches
from study.train.arithmetic import Precision, arithmetic
from study.train.evaluate import evaluate
from study.train.graph import WARM_STEPS as WARM_REPLAYS
from study.train.memory import gpu_peak, gpu_room, host_peak, reset_gpu_peak
from study.train.state import RunState, build_state
from study.train.step import prepare
from study.train.stepper import Stepper
from study.train.stream import on_stream, own_stream

WARM_STEPS = 2
"""The first step sets up libraries, the second is the first with momentum."""
SECONDS = 0.6
LEAST_STEPS = 3


@dataclass(frozen=True)
class Speed:
    """Times in seconds, memory in MiB."""

    step: float
    """One training step, batch and augmentation included."""
    joined: float
    """The same where several runs train at once, by run."""
    image: float
    """One image of an evaluation."""
    exact: float
    """The same in fp32, as probes take it."""
    start: float
    """From the specification to the end of the first steps, which are slow."""
    memory: float
    """Most held by the process, of the machine's."""
    gpu: float = 0.0
    """Most that a run took of its GPU's memory, beside others where several were measured at once; 0 on a CPU."""
    room: float = 0.0
    """What runs may take of it together: the data set, CUDA's context and other processes are left out."""

    @property
    def fits(self) -> int:
        """How many such runs a GPU has memory for, with a tenth to spare; 1 at least."""
        return max(1, int(0.9 * self.room / self.gpu)) if self.gpu else 1


def measure_speed(spec: RunSpec, dataset: Dataset, device: torch.device, replicas: int = 1) -> Speed:
    """Time a few steps and an evaluation of a run, alone and beside others; its result is discarded.

    The dataset lies as `run` wants it. Takes a second or two for small nets. Of a run over several GPUs, one's part is
    timed: what it takes to average gradients, or to share statistics, is left out.
    """
    ranks = spec.recipe.gpus_per_run
    part = spec.with_recipe(batch_size=spec.recipe.batch_size // ranks, gpus_per_run=1)
    with arithmetic(device, deterministic=spec.recipe.deterministic):
        speed = _measure(part, dataset, device, replicas)
    return replace(speed, image=speed.image / ranks, memory=speed.memory * ranks)


def _measure(spec: RunSpec, dataset: Dataset, device: torch.device, replicas: int) -> Speed:
    began = time.perf_counter()
    held = reset_gpu_peak(device)
    state = _build(spec, dataset, device)
    stepper = Stepper(device)
    warm = WARM_REPLAYS + 1 if state.replays else WARM_STEPS
    for _ in range(warm):
        _take([state], spec, stepper)
    _wait(device)
    start = time.perf_counter() - began
    step = joined = _time_steps([state], spec, stepper, device)
    image = _time_evaluation(state, spec, dataset, device, state.precision)
    exact = _time_evaluation(state, spec, dataset, device, "fp32")
    at_once = replicas if state.can_join or state.replays else 1
    if at_once > 1:
        states = [state, *(_build(spec, dataset, device) for _ in range(at_once - 1))]
        for _ in range(warm):
            _take(states, spec, stepper)
        _wait(device)
        joined = _time_steps(states, spec, stepper, device) / at_once
    gpu = (gpu_peak(device) - held) / at_once
    return Speed(step, joined, image, exact, start, host_peak(), gpu, gpu_room(device) - held)


def _build(spec: RunSpec, dataset: Dataset, device: torch.device) -> RunState:
    with on_stream(own_stream(device)):
        return build_state(spec, dataset, device)


def _take(states: list[RunState], spec: RunSpec, stepper: Stepper) -> None:
    steps = []
    for state in states:
        with on_stream(state.stream):
            steps.append(prepare(state, spec))
    if failed := stepper.take(steps):
        raise failed[0].error


def _time_steps(states: list[RunState], spec: RunSpec, stepper: Stepper, device: torch.device) -> float:
    """Return the mean seconds of a step: on a shared machine a run meets the slow ones too."""
    began = time.perf_counter()
    steps = 0
    while steps == 0 or time.perf_counter() - began < SECONDS:
        for _ in range(LEAST_STEPS):
            _take(states, spec, stepper)
        _wait(device)
        steps += LEAST_STEPS
    return (time.perf_counter() - began) / steps


def _time_evaluation(
    state: RunState, spec: RunSpec, dataset: Dataset, device: torch.device, precision: Precision
) -> float:
    """Return the seconds of an image, in the first batch of the test images; the better of two."""
    times = []
    for _ in range(2):
        began = time.perf_counter()
        batches = evaluation_batches(dataset.test, state.normalizer, augment=spec.recipe.augment, device=device)
        images, labels = next(batches)
        evaluate(state.net, [(images, labels)], precision, device)  # waits for its result
        times.append((time.perf_counter() - began) / len(labels))
    return min(times)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
