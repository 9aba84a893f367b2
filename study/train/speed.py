"""Measure the speed of a run on this device by timing a few of its steps."""

import time
from dataclasses import dataclass, replace

import torch

from study.config import RunSpec
from study.data import Dataset, evaluation_batches
from study.train.arithmetic import Precision, arithmetic
from study.train.evaluate import evaluate
from study.train.graph import WARM_STEPS as WARM_REPLAYS
from study.train.memory import gpu_free, gpu_peak, host_peak, out_of_memory, reset_gpu_peak
from study.train.state import RunState, build_state
from study.train.step import prepare
from study.train.stepper import Stepper
from study.train.stream import on_stream, own_stream

WARM_STEPS = 2
"""Untimed steps: the first sets up libraries, the second is the first with momentum."""
SECONDS = 0.6
LEAST_STEPS = 3


@dataclass(frozen=True)
class Speed:
    """The speed of a run: times in seconds, memory in MiB."""

    step: float
    """Time of a training step, batch and augmentation included."""
    joined: float
    """Time of a training step per run if several runs train at once."""
    image: float
    """Time of an image of an evaluation."""
    exact: float
    """Time of an image in fp32, which probes use."""
    start: float
    """Time from the specification to the end of the first steps, which are slow."""
    memory: float
    """Peak of the process's memory on the machine."""
    gpu: float = 0.0
    """Peak of a run's memory on its GPU, also with others measured at once; 0 on a CPU."""
    room: float = 0.0
    """GPU memory free for the runs of all its workers, beside their data sets and CUDA contexts and other processes."""

    @property
    def fits(self) -> int:
        """Number of such runs that fit in a GPU's memory with a tenth to spare; at least 1."""
        return max(1, int(0.9 * self.room / self.gpu)) if self.gpu else 1


def measure_speed(spec: RunSpec, dataset: Dataset, device: torch.device, replicas: int = 1) -> Speed:
    """Time a few steps and an evaluation of a run, alone and beside others; discard its result.

    The dataset is where `run` needs it. Takes a second or two for small nets. Of a run over several GPUs, the part of
    one GPU is timed, without the averaging of gradients or the sharing of statistics.
    """
    ranks = spec.recipe.gpus_per_run
    part = spec.with_recipe(batch_size=spec.recipe.batch_size // ranks, gpus_per_run=1)
    with arithmetic(device, deterministic=spec.recipe.deterministic):
        speed = _measure(part, dataset, device, replicas)
    reset_gpu_peak(device)  # gives back what the runs held: other workers on the GPU measure too
    return replace(speed, image=speed.image / ranks, memory=speed.memory * ranks, room=gpu_free(device))


def _measure(spec: RunSpec, dataset: Dataset, device: torch.device, replicas: int) -> Speed:
    began = time.perf_counter()
    held = reset_gpu_peak(device)
    state = _build(spec, dataset, device)
    stepper = Stepper(device)
    warm = WARM_REPLAYS + 1 if state.replays else WARM_STEPS
    for _ in range(warm):
        _take([state], stepper)
    _wait(device)
    start = time.perf_counter() - began
    step = joined = _time_steps([state], stepper, device)
    image = _time_evaluation(state, dataset, device, state.precision)
    exact = _time_evaluation(state, dataset, device, "fp32")
    gpu = gpu_peak(device) - held
    if replicas > 1 and (state.can_join or state.replays):
        try:
            states = [state, *(_build(spec, dataset, device) for _ in range(replicas - 1))]
            for _ in range(warm):
                _take(states, stepper)
            _wait(device)
            joined = _time_steps(states, stepper, device) / replicas
            if state.stream is not None:
                for other in states[1:]:  # no stream uses the memory of another
                    _time_evaluation(other, dataset, device, other.precision)
            gpu = (gpu_peak(device) - held) / replicas
        except Exception as error:
            if not out_of_memory(error):
                raise
            # so many don't fit: the memory of one says how many do
    return Speed(step, joined, image, exact, start, host_peak(), gpu)


def _build(spec: RunSpec, dataset: Dataset, device: torch.device) -> RunState:
    with on_stream(own_stream(device)):
        return build_state(spec, dataset, device)


def _take(states: list[RunState], stepper: Stepper) -> None:
    steps = []
    for state in states:
        with on_stream(state.stream):
            steps.append(prepare(state))
    if failed := stepper.take(steps):
        raise failed[0].error


def _time_steps(states: list[RunState], stepper: Stepper, device: torch.device) -> float:
    """Return the mean seconds of a step: the mean, since a run on a shared machine has slow steps too."""
    began = time.perf_counter()
    steps = 0
    while steps == 0 or time.perf_counter() - began < SECONDS:
        for _ in range(LEAST_STEPS):
            _take(states, stepper)
        _wait(device)
        steps += LEAST_STEPS
    return (time.perf_counter() - began) / steps


def _time_evaluation(state: RunState, dataset: Dataset, device: torch.device, precision: Precision) -> float:
    """Return the seconds of an image in the first batch of the test images; the smaller of two measurements."""
    times = []
    for _ in range(2):
        began = time.perf_counter()
        augment = state.spec.recipe.augment
        with on_stream(state.stream):
            batches = evaluation_batches(dataset.test, state.normalizer, augment=augment, device=device)
            images, labels = next(batches)
            evaluate(state.net, [(images, labels)], precision, device)  # waits for its result
        times.append((time.perf_counter() - began) / len(labels))
    return min(times)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
