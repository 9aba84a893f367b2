"""How fast nets train, beside the loop that textbooks have: a DataLoader of PIL images, 32-bit floats, NCHW, one run.

    python bench/train.py [--nets resnet-20,resnet-56,plain-56] [--root TREE] [--json FILE]

In one call, on the device at hand: the textbook loop, written from torchvision's parts, with all threads and two
loading processes; one run of this program; and as many at once as a grid has: on a CPU a process each, on a GPU graphs
on streams of one process, and a process each. All train on the same images (random ones, or those of an image-folder),
data loading included, evaluation not. `of peak` is the share of the multiply-adds a second of the fastest of several
large matrix products and convolutions, measured in the same call in the row's format, on the cores that the row uses.
On a GPU the defaults are chosen to take less than four minutes; `bench/replicas.py` says what a graph is worth there.
"""

import argparse
import json
import math
import os
import statistics
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from peak import peak_rate
from PIL import Image
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import Compose, Normalize, RandomCrop, RandomHorizontalFlip, ToTensor

from study.config import parse_grid
from study.events import Epoch, Finished, Started
from study.launch.environment import environment
from study.launch.executors.base import Hardware
from study.launch.executors.devices import GPU_REPLICAS, Workers, choose_workers
from study.launch.executors.local import LocalExecutor
from study.launch.messages import RunTask, TaskEvent
from study.launch.scheduler.worker_pool import WorkerPool
from study.nets import build_net, count
from study.train.arithmetic import resolve_precision

BATCH = 128
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616)
GRID = """
name: bench
dataset: {{name: image-folder, root: "{root}", image_size: {side}, validation: 0, test_limit: 100}}
recipe: {{iterations: {steps}, evaluate_every: {every}, batch_size: {batch}, augment: crop-flip, lr: 0.01,
  precision: {precision}}}
grid: {{net: {net}, seed: {seeds}}}
"""
NETS = {"cpu": "resnet-20,resnet-56,plain-56", "cuda": "resnet-20,resnet-56"}
STEPS = {"cpu": 24, "cuda": 1600}
"""Iterations of each run by default: a quarter of them, which is timed at once, takes some tenths of a second."""
TEXTBOOK = {"cpu": 2, "cuda": 8}
"""How many times fewer the textbook loop does: on a GPU its images take longer than its net."""
FORMATS = {"cpu": ("fp32", "bf16"), "cuda": ("tf32", "fp32", "bf16")}
"""Number formats whose peaks are measured; the first is that of the textbook loop."""
REPEATS = {"cpu": 3, "cuda": 1}
MANY = 1000
"""Runs of a grid, for the choice of workers: more than a machine has."""
POINTS = 4
"""Points of a run's curve: the first is to warm up, the rest are measured."""


@dataclass(frozen=True)
class Row:
    """What one way of training a net came to."""

    net: str
    how: str
    images_per_second: float
    ratio: float
    """To the textbook loop."""
    peak: float
    """Share of the fastest product's or convolution's rate, of all threads in use."""
    memory_mib: float
    """Most held by one process; NaN where it wasn't measured."""
    first_step_seconds: float
    """From nothing to the first step: images found and, by this program, decoded."""

    def line(self) -> str:
        """Return the row of a table."""
        memory = "" if math.isnan(self.memory_mib) else f"{self.memory_mib:,.0f}"
        return (
            f"| {self.net} | {self.how} | {self.images_per_second:,.0f} | {self.ratio:.2f} | {self.peak:.0%} "
            f"| {memory} | {self.first_step_seconds:.1f} |"
        )


class Crew(NamedTuple):
    """Who trains runs at once."""

    workers: Workers
    replicas: int = 1
    """Runs of each worker."""


class Result(NamedTuple):
    """One measurement: images a second, MiB, and seconds to the first step."""

    speed: float
    memory: float
    first: float


def random_tree(root: Path, images: int, side: int) -> None:
    """Write an image-folder tree of random images."""
    generator = np.random.default_rng(0)
    for split, n in (("train", images), ("test", 200)):
        for i in range(n):
            folder = root / split / f"class{i % 10}"
            folder.mkdir(parents=True, exist_ok=True)
            pixels = generator.integers(0, 256, (side, side, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{i}.png")


def textbook(net_name: str, root: Path, device: torch.device, steps: int, side: int) -> Result:
    """Train as textbooks do."""
    began = time.perf_counter()
    change = Compose([RandomCrop(side, padding=4), RandomHorizontalFlip(), ToTensor(), Normalize(MEAN, STD)])
    data = ImageFolder(str(root / "train"), change)
    loader = DataLoader(data, BATCH, shuffle=True, drop_last=True, num_workers=2, persistent_workers=True)
    net = build_net(net_name, 10).to(device)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)
    done, first, start = 0, 0.0, 0.0
    while done < steps:
        for images, labels in loader:
            images, labels = images.to(device), labels.to(device)
            loss = F.cross_entropy(net(images), labels)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            loss.item()  # as its progress bar does
            done += 1
            if done == 1:
                start = time.perf_counter()
                first = start - began
            if done == steps:
                break
    speed = (steps - 1) * BATCH / (time.perf_counter() - start)
    used = torch.cuda.max_memory_allocated() / 2**20 if device.type == "cuda" else float("nan")
    return Result(speed, used, first)


def ours(net: str, root: Path, precision: str, crew: Crew, steps: int, side: int) -> Result:
    """Train a crew's runs at once; images a second are those of all workers."""
    workers, replicas = crew
    text = GRID.format(root=root, side=side, steps=steps, every=steps // POINTS, batch=BATCH, precision=precision,
                       net=net, seeds=list(range(len(workers.devices) * replicas)))  # fmt: skip
    specs = {str(spec.seed): spec for spec in parse_grid(text, "bench").runs()}
    speeds: dict[str, list[float]] = {task: [] for task in specs}
    memory, first, left = 0.0, 0.0, set(specs)
    with tempfile.TemporaryDirectory() as folder:
        pool = WorkerPool(LocalExecutor(workers.threads, workers.per_card), workers.devices, replicas)
        try:
            while pool.free() < len(pool):
                list(pool.poll(0.2))
            began = time.perf_counter()  # all at once
            for task, spec in specs.items():
                pool.assign(RunTask(task, spec, Path(folder) / task, 1e9), None if pool.free() else pool.partners()[0])
            while left:
                for message in pool.poll(0.2):
                    if not isinstance(message, TaskEvent):
                        raise SystemExit(f"a run broke: {message}")
                    if isinstance(message.event, Started):
                        first = first or time.perf_counter() - began
                    elif isinstance(message.event, Epoch):
                        speeds[message.task].append(message.event.images_per_second)
                        memory = max(memory, message.event.memory_mib)
                    elif isinstance(message.event, Finished):
                        left.discard(message.task)
        finally:
            pool.kill()
    # Each of several runs of a worker counts its part of the time alone: its rate is that of the worker.
    speed = sum(statistics.median(values[1:]) for values in speeds.values()) / replicas
    return Result(speed, memory, first)


def crews(device: torch.device, runs: int | None) -> dict[str, Crew]:
    """Return who trains one run, and who trains `runs`, by default as many as `study run` has at once."""
    if device.type == "cpu":
        workers = choose_workers(Hardware("cpu", runs), MANY)
        alone = Crew(Workers(workers.devices[:1], workers.threads))
        several = {f"{len(workers.devices)} at once": Crew(workers)}
    else:
        runs = runs or GPU_REPLICAS
        alone = Crew(choose_workers(Hardware("cuda:0", 1), MANY))
        several = {
            f"{runs} at once, one process": Crew(alone.workers, runs),
            f"{runs} processes": Crew(choose_workers(Hardware("cuda:0", runs), MANY)),
        }
    return {"one run": alone} | (several if runs != 1 else {})


def measure(net: str, root: Path, device: torch.device, given: argparse.Namespace) -> list[Row]:
    """Measure all ways by turns, so that what else the machine does falls on all of them alike."""
    ways = crews(device, given.workers)
    threads, adds = torch.get_num_threads(), multiply_adds(net, given.side)
    results: dict[tuple[str, str], list[Result]] = {}
    peaks = dict.fromkeys(FORMATS[device.type], 0.0)
    plain = "textbook", FORMATS[device.type][0]
    for _ in range(given.repeats):
        peaks = {kind: max(best, peak_rate(device, kind, threads)) for kind, best in peaks.items()}
        fewer = max(2, given.steps // TEXTBOOK[device.type])
        results.setdefault(plain, []).append(textbook(net, root, device, fewer, given.side))
        for precision in dict.fromkeys(("fp32", resolve_precision("auto", device))):
            for name, crew in ways.items():
                if precision == "fp32" and device.type == "cuda" and name != "one run":
                    continue  # a minute more, of a format that no grid has there unless it is asked for
                result = ours(net, root, precision, crew, given.steps, given.side)
                results.setdefault((name, precision), []).append(result)
    rows, base = [], statistics.median(result.speed for result in results[plain])
    most = max(len(crew.workers.devices) for crew in ways.values())
    for (name, kind), measured in results.items():
        speed, memory, first = (statistics.median(values) for values in zip(*measured, strict=True))
        cores_used = 1 / most if name == "one run" and device.type == "cpu" else 1.0
        share = 3 * adds * speed / (peaks[kind] * cores_used)
        how = name if name == "textbook" else f"{name}, {kind}"
        rows.append(Row(net, how, speed, speed / base, share, memory, first))
    return rows


def multiply_adds(net: str, side: int) -> int:
    """Return those of an image's forward pass."""
    with torch.device("meta"):
        return int(count(build_net(net, 10), (3, side, side)).multiply_adds)


def main() -> None:
    """Print the table, and write it where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nets", help="default: resnet-20,resnet-56, and on a CPU plain-56")
    parser.add_argument("--root", type=Path, help="an image-folder tree (default: random images)")
    parser.add_argument("--side", type=int, default=32, help="of the images in pixels (default: 32)")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--workers", type=int, help="runs at once (default: as study run has it)")
    parser.add_argument("--steps", type=int, help="iterations of each run (default: 24, on a GPU 1,600)")
    parser.add_argument("--repeats", type=int, help="measurements of each row (default: 3, on a GPU 1)")
    given = parser.parse_args()
    device = torch.device(given.device)
    given.steps, given.repeats = given.steps or STEPS[given.device], given.repeats or REPEATS[given.device]
    name = torch.cuda.get_device_name() if device.type == "cuda" else environment()["processor"]
    about = f"PyTorch {torch.__version__}, {name}, batches of {BATCH}x3x{given.side}x{given.side}"
    print(f"{about}, medians of {given.repeats}")
    print("| net | how | images a second | ratio | of peak | MiB | to the first step, s |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: |")
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        os.environ["STUDY_CACHE"] = f"{folder}/cache"
        root = given.root or Path(folder) / "images"
        if given.root is None:
            random_tree(root, 2560, given.side)
        for net in (given.nets or NETS[given.device]).split(","):
            for row in measure(net, root, device, given):
                rows.append(row)
                print(row.line(), flush=True)
    if given.json is not None:
        given.json.write_text(json.dumps({"about": about, "rows": [asdict(row) for row in rows]}, indent=2) + "\n")


if __name__ == "__main__":
    main()
