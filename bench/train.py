"""How fast nets train, beside the loop that textbooks have: a DataLoader of PIL images, 32-bit floats, NCHW, one run.

    python bench/train.py [--nets resnet-20,resnet-56,plain-56] [--root TREE] [--json FILE]

In one call, on the device at hand: the textbook loop, written from torchvision's parts, with all threads and two
loading processes; one run of this program; and as many at once as a grid has. All train on the same images (random
ones, or those of an image-folder), data loading included, evaluation not. `of peak` is the share of the multiply-adds a
second of the fastest of several large matrix products and convolutions, measured in the same call in the row's number
format, on the cores that the row uses.
"""

import argparse
import json
import math
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import Compose, Normalize, RandomCrop, RandomHorizontalFlip, ToTensor

from study.config import parse_grid
from study.events import Epoch, Finished, Started
from study.launch.environment import environment
from study.launch.executors.devices import Workers, choose_workers
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
STEPS = {"cpu": 24, "cuda": 400}
"""Iterations of each run by default: a quarter of them, which is timed at once, takes some tenths of a second."""
PRODUCTS = {"cpu": (1024, 2048), "cuda": (4096, 8192, 16384)}
"""Sides of square matrices."""
CONVOLUTIONS = {
    "cpu": ((32, 64, 32), (32, 256, 16)),
    "cuda": ((256, 64, 64), (256, 256, 32), (256, 512, 16)),
}
"""Images, channels and side of the maps of 3x3 convolutions."""
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


def peak_rate(device: torch.device, precision: str, threads: int) -> float:
    """Return multiply-adds a second of the fastest of several large matrix products and 3x3 convolutions."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    rates = []
    for side in PRODUCTS[device.type]:
        a, b = torch.randn(side, side, device=device, dtype=kind), torch.randn(side, side, device=device, dtype=kind)
        rates.append(side**3 / fastest(partial(torch.matmul, a, b)))
    for images, channels, side in CONVOLUTIONS[device.type]:
        x = torch.randn(images, channels, side, side, device=device, dtype=kind)  # (N, C, H, W)
        x = x.to(memory_format=torch.channels_last)
        conv = torch.nn.Conv2d(channels, channels, 3, padding=1, bias=False, device=device, dtype=kind)
        with torch.no_grad():
            seconds = fastest(partial(conv.to(memory_format=torch.channels_last), x))
        rates.append(9 * channels * x.numel() / seconds)
    torch.set_num_threads(before)
    return float(max(rates))


def fastest(call: Callable[[], Tensor]) -> float:
    """Return the least seconds of some calls, each waited for."""
    times = []
    for _ in range(5):
        start = time.perf_counter()
        call().flatten()[0].item()  # sync point
        times.append(time.perf_counter() - start)
    return min(times)


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


def ours(net: str, root: Path, precision: str, workers: Workers, steps: int, side: int) -> Result:
    """Train a run on each worker at once; images a second are those of all workers."""
    text = GRID.format(root=root, side=side, steps=steps, every=steps // POINTS, batch=BATCH, precision=precision,
                       net=net, seeds=list(range(len(workers.devices))))  # fmt: skip
    specs = parse_grid(text, "bench").runs()
    speeds: dict[str, list[float]] = {str(i): [] for i in range(len(specs))}
    memory, first, left = 0.0, 0.0, set(speeds)
    with tempfile.TemporaryDirectory() as folder:
        pool = WorkerPool(LocalExecutor(workers.threads), workers.devices)
        try:
            while pool.free() < len(pool):
                list(pool.poll(0.2))
            began = time.perf_counter()  # all at once
            for task, spec in zip(speeds, specs, strict=True):
                pool.assign(RunTask(task, spec, Path(folder) / task, 1e9))
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
    return Result(sum(statistics.median(values[1:]) for values in speeds.values()), memory, first)


def measure(net: str, root: Path, device: torch.device, given: argparse.Namespace) -> list[Row]:
    """Measure all ways by turns, so that what else the machine does falls on all of them alike."""
    all_workers = choose_workers(device.type, given.workers, 1000)
    alone = Workers(all_workers.devices[:1], all_workers.threads)
    crews = {"one run": alone}
    if len(all_workers.devices) > 1:
        crews[f"{len(all_workers.devices)} at once"] = all_workers
    threads, adds = torch.get_num_threads(), multiply_adds(net, given.side)
    found: dict[str, list[Result]] = {}
    peaks = dict.fromkeys(("fp32", "bf16"), 0.0)
    for _ in range(given.repeats):
        peaks = {kind: max(best, peak_rate(device, kind, threads)) for kind, best in peaks.items()}
        found.setdefault("textbook", []).append(textbook(net, root, device, given.steps // 2, given.side))
        for precision in ("fp32", "auto"):
            for name, workers in crews.items():
                result = ours(net, root, precision, workers, given.steps, given.side)
                found.setdefault(f"{name}, {precision}", []).append(result)
    rows, base = [], statistics.median(result.speed for result in found["textbook"])
    for how, results in found.items():
        speed, memory, first = (statistics.median(values) for values in zip(*results, strict=True))
        kind = resolve_precision("auto", device) if "auto" in how else "fp32"
        cores_used = len(alone.devices) / len(all_workers.devices) if "one run" in how and device.type == "cpu" else 1.0
        share = 3 * adds * speed / (peaks[kind] * cores_used)
        rows.append(Row(net, how.replace("auto", kind), speed, speed / base, share, memory, first))
    return rows


def multiply_adds(net: str, side: int) -> int:
    """Return those of an image's forward pass."""
    with torch.device("meta"):
        return int(count(build_net(net, 10), (3, side, side)).multiply_adds)


def main() -> None:
    """Print the table, and write it where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nets", default="resnet-20,resnet-56,plain-56")
    parser.add_argument("--root", type=Path, help="an image-folder tree (default: random images)")
    parser.add_argument("--side", type=int, default=32, help="of the images in pixels (default: 32)")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--workers", type=int, help="runs at once (default: as study run has it)")
    parser.add_argument("--steps", type=int, help="iterations of each run (default: 24, on a GPU 400)")
    parser.add_argument("--repeats", type=int, default=3, help="measurements of each row (default: 3)")
    given = parser.parse_args()
    device = torch.device(given.device)
    given.steps = given.steps or STEPS[given.device]
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
        for net in given.nets.split(","):
            for row in measure(net, root, device, given):
                rows.append(row)
                print(row.line(), flush=True)
    if given.json is not None:
        given.json.write_text(json.dumps({"about": about, "rows": [asdict(row) for row in rows]}, indent=2) + "\n")


if __name__ == "__main__":
    main()
