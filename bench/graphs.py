"""What a CUDA graph of an iteration brings: the program's own runs on a GPU, kernel by kernel, as a graph, as several.

`bench/replicas.py` prints it. Images lie on the GPU; batches are gathered and augmented there, as in a run.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch.profiler import ProfilerActivity, profile, supported_activities

from study.config import parse_grid
from study.data import Dataset, Split
from study.train import Stepper, out_of_memory
from study.train.memory import gpu_peak, reset_gpu_peak
from study.train.state import RunState, build_state
from study.train.step import prepare
from study.train.stream import on_stream, own_stream

BATCH, CLASSES, BATCHES = 128, 10, 40
GRID = """
name: bench
dataset: digits
recipe: {{iterations: 100000, batch_size: {batch}, augment: crop-flip, lr: 0.01, precision: {precision}}}
grid: {{net: {net}, seed: {seeds}}}
"""
WARM = 5
"""Iterations before any is timed: three are kernel by kernel, the fourth is captured."""
SECONDS, WINDOWS, COUNTED = 0.6, 3, 10
"""Least seconds of a measurement; how many there are, of which the fastest counts; iterations whose launches count."""
LAUNCHES = ("cudaLaunchKernel", "cuLaunchKernel", "cudaGraphLaunch", "cudaMemcpy", "cudaMemset")
"""How the names of the calls begin by which the host gives a GPU work."""


@dataclass(frozen=True)
class Way:
    """What one way of taking iterations came to."""

    how: str
    runs: int
    ms: float = float("nan")
    """An iteration and run."""
    images_per_second: float = float("nan")
    """Of all runs."""
    launches: float = float("nan")
    """Calls of the host that give the GPU work, an iteration and run."""
    mib: float = float("nan")
    """Most GPU memory that PyTorch held for a run, without the images."""
    problem: str = ""

    def figures(self) -> dict[str, float | str]:
        """Return what was measured, by name."""
        return {name: value for name, value in vars(self).items() if value and value == value}  # no NaN

    def line(self) -> str:
        """Return the row of a table."""
        if self.problem:
            return f"| {self.how} | failed: {self.problem} | | | |"
        return (
            f"| {self.how} | {self.ms:.2f} | {self.images_per_second:,.0f} | {self.launches:,.0f} | {self.mib:,.0f} |"
        )


def measure_ways(net: str, side: int, precision: str, many: list[int], device: torch.device) -> Iterator[Way]:
    """Yield one run kernel by kernel, then as many graphs at once as `many` says, each on a stream of its own."""
    dataset = random_images(side).to(device)
    yield measure("kernel by kernel", net, 1, precision, dataset, device, graph=False)
    for runs in many:
        how = "a graph" if runs == 1 else f"{runs} graphs on {runs} streams"
        yield measure(how, net, runs, precision, dataset, device, graph=True)


def random_images(side: int) -> Dataset:
    """Return 40 batches of colour images."""
    generator = torch.Generator().manual_seed(0)

    def split(images: int) -> Split:
        pixels = torch.randint(0, 256, (images, 3, side, side), dtype=torch.uint8, generator=generator)
        return Split(pixels, torch.randint(0, CLASSES, (images,), generator=generator))

    return Dataset("random", split(BATCHES * BATCH), None, split(BATCH), tuple(map(str, range(CLASSES))), "")


def measure(
    how: str, net: str, runs: int, precision: str, dataset: Dataset, device: torch.device, *, graph: bool
) -> Way:
    """Time iterations of so many runs; where memory is short, say so instead."""
    held = reset_gpu_peak(device)
    try:
        step = stepping(net, runs, precision, dataset, device, graph=graph)
        seconds = min(seconds_of(step, device) for _ in range(WINDOWS)) / runs
        launches = launches_of(step, device) / runs
    except RuntimeError as error:
        if not out_of_memory(error):
            raise
        return Way(how, runs, problem=str(error).partition("\n")[0].replace("|", "/"))
    return Way(how, runs, 1000 * seconds, BATCH / seconds, launches, (gpu_peak(device) - held) / runs)


def stepping(
    net: str, runs: int, precision: str, dataset: Dataset, device: torch.device, *, graph: bool
) -> Callable[[], None]:
    """Return the function that takes an iteration of each run, as a worker does; some have been taken."""
    text = GRID.format(net=net, seeds=list(range(runs)), batch=BATCH, precision=precision)
    states: list[RunState] = []
    for spec in parse_grid(text, "bench").runs():
        with on_stream(own_stream(device)):
            states.append(build_state(spec, dataset, device))
        states[-1].replays = states[-1].replays and graph
    stepper = Stepper(device)

    def step() -> None:
        steps = []
        for state in states:
            with on_stream(state.stream):
                steps.append(prepare(state))
        for failed in stepper.take(steps):
            raise failed.error

    for _ in range(WARM):
        step()
    if any(state.replays != graph for state in states):
        raise SystemExit(f"{net}: no CUDA graph can be captured")
    return step


def seconds_of(step: Callable[[], None], device: torch.device) -> float:
    """Return the mean seconds of some calls, whose work the device has ended."""
    torch.cuda.synchronize(device)
    began, taken = time.perf_counter(), 0
    while taken == 0 or time.perf_counter() - began < SECONDS:
        for _ in range(COUNTED):
            step()
        taken += COUNTED
        torch.cuda.synchronize(device)
    return (time.perf_counter() - began) / taken


def launches_of(step: Callable[[], None], device: torch.device) -> float:
    """Return how often a call gives the device work, by PyTorch's profiler."""
    activities = {ProfilerActivity.CPU, ProfilerActivity.CUDA} & supported_activities()  # type: ignore[no-untyped-call]
    with profile(activities=activities) as profiler:
        for _ in range(COUNTED):
            step()
        torch.cuda.synchronize(device)
    calls: list[int] = [event.count for event in profiler.key_averages() if event.key.startswith(LAUNCHES)]
    return sum(calls) / COUNTED
