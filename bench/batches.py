"""How fast batches are made on one CPU thread, beside torchvision's transforms in a DataLoader as textbooks have it.

    python bench/batches.py [--root FOLDER_OF_IMAGES] [--json FILE]

All rows hold the same images decoded in memory and are measured by turns; the figures are medians. The ratio is to the
first row of the same task. For `imagenet` the textbook draws RandomResizedCrop, ours the crops and colours of section
3.4.
"""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms
from torchvision.transforms import v2

from study.data import Normalizer, Split, TrainBatches

Pixels = NDArray[np.uint8]
SUFFIXES = (".jpg", ".jpeg", ".png")
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616)


@dataclass(frozen=True)
class Task:
    """A kind of batch, and what a textbook composes for it."""

    augment: str
    side: int
    """Of the images held."""
    images: int
    batch_size: int
    batches: int
    """Timed at a time, of the textbook's; ours are so many times more."""
    textbook: Callable[[Any], list[Any]]
    """Random transforms, of torchvision's module `transforms` or `v2`."""


TASKS = (
    Task("none", 32, 5120, 128, 8, lambda t: []),
    Task("crop-flip", 32, 5120, 128, 8, lambda t: [t.RandomCrop(32, padding=4), t.RandomHorizontalFlip()]),
    Task("imagenet", 256, 256, 64, 2, lambda t: [t.RandomResizedCrop(224), t.RandomHorizontalFlip()]),
)
MORE = {"none": 10, "crop-flip": 10, "imagenet": 1}


@dataclass(frozen=True)
class Row:
    """What one way of making batches took."""

    task: str
    how: str
    milliseconds_per_batch: float
    images_per_second: float
    ratio: float


class Textbook(Dataset[tuple[Tensor, int]]):
    """Images in memory as torchvision's CIFAR10 holds them, transformed one at a time."""

    def __init__(self, images: Pixels | Tensor, transform: Callable[[Any], Tensor]) -> None:
        self.images = images
        self.transform = transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image = self.images[index]
        return self.transform(Image.fromarray(image) if isinstance(image, np.ndarray) else image), 0


def load_images(root: Path | None, count: int, side: int) -> Pixels:
    """Return (N, side, side, 3): images below `root`, evenly chosen and squared, or random ones."""
    if root is None:
        return np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8)
    paths = sorted(path for path in root.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise SystemExit(f"no images below {root}")
    chosen = [paths[i * len(paths) // count] for i in range(count)]
    return np.stack([np.asarray(Image.open(path).convert("RGB").resize((side, side))) for path in chosen])


def textbook(task: Task, pixels: Pixels, *, tensors: bool) -> Callable[[], float]:
    """Return a function that times a DataLoader: of PIL images, or of tensors with `transforms.v2`."""
    if tensors:
        end: list[Any] = [v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)]
        images: Any = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()
        data = Textbook(images, v2.Compose(task.textbook(v2) + end))
    else:
        end = [transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
        data = Textbook(pixels, transforms.Compose(task.textbook(transforms) + end))
    loader = DataLoader(data, task.batch_size, shuffle=True)
    return lambda: timed(iter(loader), task.batches)


def ours(task: Task, pixels: Pixels) -> Callable[[], float]:
    """Return a function that times this program's training batches."""
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2)  # (N, C, H, W), channels_last
    split = Split(images, torch.zeros(len(images), dtype=torch.int64))
    normalizer = Normalizer.fit(split, "channel", augment=task.augment)
    batches = TrainBatches(split, normalizer, batch_size=task.batch_size, augment=task.augment, seed=0)
    step = 0

    def measure() -> float:
        nonlocal step
        count = task.batches * MORE[task.augment]
        taken = timed((batches.batch(i) for i in range(step, step + count)), count)
        step += count
        return taken

    return measure


def timed(batches: Iterator[Any], count: int) -> float:
    """Return the seconds that one of `count` batches takes."""
    start = time.perf_counter()
    made = sum(1 for _ in islice(batches, count))
    return (time.perf_counter() - start) / made


def run(task: Task, root: Path | None, repeats: int) -> list[Row]:
    """Time all ways by turns, so that what else the machine does falls on all of them alike."""
    pixels = load_images(root, task.images, task.side)
    ways = {
        "DataLoader, PIL images": textbook(task, pixels, tensors=False),
        "DataLoader, tensors, v2": textbook(task, pixels, tensors=True),
        "study": ours(task, pixels),
    }
    times: dict[str, list[float]] = {how: [] for how in ways}
    for turn in range(repeats + 1):
        for how, measure in ways.items():
            taken = measure()
            if turn:  # the first is to warm up
                times[how].append(taken)
    seconds = {how: statistics.median(taken) for how, taken in times.items()}
    first = next(iter(seconds.values()))
    return [Row(task.augment, how, 1000 * s, task.batch_size / s, first / s) for how, s in seconds.items()]


def report(root: Path | None, repeats: int) -> list[Row]:
    """Time every task on one thread and print a table."""
    torch.set_num_threads(1)
    print(f"{'task':11}{'how':26}{'ms a batch':>12}{'images/s':>12}{'ratio':>8}")
    rows: list[Row] = []
    for task in TASKS:
        for row in run(task, root, repeats):
            rows.append(row)
            figures = f"{row.milliseconds_per_batch:12.2f}{row.images_per_second:12,.0f}{row.ratio:8.1f}"
            print(f"{row.task:11}{row.how:26}{figures}")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, help="folder of image files, at any depth (default: random images)")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    parser.add_argument("--repeats", type=int, default=7, help="measurements of each row (default: 7)")
    options = parser.parse_args()
    about = f"torch {torch.__version__}, torchvision {torchvision.__version__}, {platform.machine()}, one thread"
    print(f"{about}, median of {options.repeats}")
    rows = report(options.root, options.repeats)
    if options.json is not None:
        options.json.write_text(json.dumps({"about": about, "rows": [asdict(row) for row in rows]}, indent=2) + "\n")


if __name__ == "__main__":
    main()
