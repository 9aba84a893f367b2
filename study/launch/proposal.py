"""Propose a grid for images in a folder or a file: the largest study that some minutes allow on this machine."""

import json
import math
import re
import unicodedata
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from study.config import DatasetSpec, parse_grid
from study.data import Dataset, load_dataset
from study.data.describe import few_images
from study.data.load import source_of
from study.errors import StudyError, printable
from study.launch.display import Display, duration
from study.launch.estimate import SpeedCache, estimate, time_cells
from study.launch.executors.base import Hardware
from study.launch.executors.devices import Workers, choose_workers
from study.launch.plan.cells import DataFacts, plan_cells

SIDES = (32, 16)
"""Sides of the squares that images are made into, in pixels; the smaller where no study fits at the larger."""
EPOCHS = 16
"""Fewest epochs of a run where the number of iterations below doesn't stop it."""
MANY = 100
"""Runs of a study, for the choice of workers: more than a machine has."""
ITERATIONS = (160, 2000, 64_000)
"""Fewest iterations of a run, where so many epochs are fewer; where they are more; and most, as in the paper."""
TEXT = """\
# {about}
# Made by `study init {folder} --minutes {minutes:g}`; change what you like, and run it again.
name: {name}
dataset: {{name: {source}, root: {root}, image_size: {side}{skip_bad}}}
recipe:
  iterations: {iterations}
  batch_size: {batch_size}
  lr: {rate}
  augment: crop-flip
{tune}budgets: {budgets}
grid:
  architecture: [plain, residual]
  depth: {depths}
  seed: {seeds}
"""


class Scale(NamedTuple):
    """How much a study does, but for the length of its runs."""

    depths: tuple[int, ...]
    seeds: int
    budgets: tuple[int, ...]
    trials: int
    """Learning rates that are tried for each net; 0: all have one rate."""


SCALES = (
    Scale((8, 20, 32, 56), 5, (1, 3), 6),
    Scale((8, 20, 56), 5, (1, 3), 6),
    Scale((8, 20, 56), 3, (1, 3), 6),
    Scale((8, 20, 56), 3, (1,), 6),
    Scale((8, 20, 32), 3, (1,), 4),
    Scale((8, 20, 32), 2, (1,), 4),
    Scale((8, 20, 32), 2, (1,), 0),
)
"""The largest first: seeds give way before depth, since without a deep net there is nothing to see."""
RATE = 0.05
"""The rate of all nets where none is tuned: half the paper's, for its nets at a small batch."""
Cost = Callable[[Scale, int], float]
"""(scale, iterations) -> seconds."""


@dataclass(frozen=True)
class Proposal:
    """A grid that fits, what it does in lines for a reader, and what it can't show of so few images."""

    text: str
    lines: tuple[str, ...]
    doubts: tuple[str, ...] = ()


def propose(
    folder: str, name: str, minutes: float, display: Display, hardware: Hardware, *, skip_bad: bool = False
) -> Proposal:
    """Return the largest study of these images that fits into the minutes, by the speed of nets measured here.

    With `skip_bad`, it goes on without files that can't be used.

    Raises:
        StudyError: it holds no images that can be used, or no study fits.
    """
    if not minutes < math.inf:  # NaN isn't either
        raise StudyError(f"--minutes {minutes:g}: give a number of minutes")
    quickest = 0.0
    for dataset, source, side in _datasets(folder, display, skip_bad=skip_bad):
        facts = DataFacts.of(dataset)
        batch_size = 128 if facts.train_images >= 2000 else min(64, facts.train_images)
        values: dict[str, Any] = {
            "folder": printable(folder),
            "minutes": minutes,
            "name": _study_name(name),
            "source": source,
            "root": _quoted(folder),
            "side": side,
            "batch_size": batch_size,
            "skip_bad": ", skip_bad: true" * skip_bad,
        }
        fewest, many, _ = ITERATIONS
        least = max(fewest, min(many, EPOCHS * facts.train_images // batch_size))
        workers = choose_workers(hardware, MANY)
        cost = _cost(values, facts, workers, display)
        fitting = fit(cost, least, 60 * minutes)
        if fitting is None:
            quickest = cost(SCALES[-1], least)
            continue
        scale, iterations = fitting
        lines = _lines(dataset, values, scale, iterations, cost(scale, iterations), workers)
        return Proposal(_text(values, scale, iterations, about=lines[0]), lines, few_images(dataset))
    raise StudyError(
        f"{folder}: {minutes:g} minutes are too few here: the smallest study takes about {duration(quickest)}; "
        f"give --minutes {-(-quickest // 60):.0f} or more"
    )


def fit(cost: Cost, least: int, seconds: float) -> tuple[Scale, int] | None:
    """Return the first scale whose shortest study takes no longer, and the most iterations that do; None if none fits.

    Costs grow linearly with iterations.
    """
    for scale in SCALES:
        shortest = cost(scale, least)
        if shortest > seconds:
            continue
        slope = (cost(scale, 2 * least) - shortest) / least
        iterations = least + int((seconds - shortest) / slope) if slope > 0 else least
        iterations = _round_down(min(iterations, max(ITERATIONS[2], least)))
        return scale, max(least, iterations)
    return None


def _round_down(number: int) -> int:
    """Return a number with its first two digits alone."""
    unit: int = 10 ** max(0, len(str(number)) - 2)
    return number // unit * unit


def _datasets(folder: str, display: Display, *, skip_bad: bool) -> Iterator[tuple[Dataset, str, int]]:
    """Yield the folder's images at one size after another, with the kind of source and the size."""
    source = source_of(Path(folder))
    dataset = _load(source, folder, SIDES[0], display, skip_bad=skip_bad)
    measures = dataset.train.measures()
    original = int(np.median(np.minimum(measures.height, measures.width)))
    sides = [min(side, max(8, original // 4 * 4)) for side in SIDES]
    for side in dict.fromkeys(sides):
        yield dataset if side == SIDES[0] else _load(source, folder, side, display, skip_bad=skip_bad), source, side


def _load(source: str, folder: str, side: int, display: Display, *, skip_bad: bool) -> Dataset:
    spec = DatasetSpec.model_validate({"name": source, "root": folder, "image_size": side, "skip_bad": skip_bad})
    return load_dataset(spec, progress=display.loading)


def _cost(values: dict[str, Any], facts: DataFacts, workers: Workers, display: Display) -> Cost:
    """Return what a study takes on these workers; the speeds of its nets are measured when they are first needed."""
    speeds = SpeedCache(workers, facts)

    def seconds(scale: Scale, iterations: int) -> float:
        grid = parse_grid(_text(values, scale, iterations), "proposed grid")
        cells = time_cells(plan_cells(grid, facts, []), speeds, facts, grid, display.loading)
        return estimate(cells, facts, grid.tune, workers).seconds

    return seconds


def _text(values: dict[str, Any], scale: Scale, iterations: int, about: str = "") -> str:
    return TEXT.format(
        **values,
        about=about,
        iterations=iterations,
        rate="tune" if scale.trials else RATE,
        tune=f"tune: {{trials: {scale.trials}, low: 0.001, high: 0.5}}\n" * (scale.trials > 0),
        budgets=list(scale.budgets),
        depths=list(scale.depths),
        seeds=list(range(scale.seeds)),
    )


def _quoted(text: str) -> str:
    """Return a text in YAML's double quotes; of what doesn't print, YAML would take some for the end of a line."""
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(letter if letter.isprintable() else f"\\U{ord(letter):08x}" for letter in quoted)


def _study_name(name: str) -> str:
    """Return a name in letters that a study's name may have; where some have none like them, with a mark of its own."""
    plain = unicodedata.normalize("NFKD", name.replace("\u00df", "ss"))
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    kept = re.sub(r"[^A-Za-z0-9._-]+", "-", plain).strip("-._")[:90]
    if any(letter.isalnum() and not letter.isascii() for letter in plain):  # else two such folders would be one study
        kept = f"{kept or 'images'}-{zlib.crc32(name.encode(errors='surrogateescape')):08x}"
    return kept or "images"


def _lines(
    dataset: Dataset, values: dict[str, Any], scale: Scale, iterations: int, seconds: float, workers: Workers
) -> tuple[str, ...]:
    """Say what a proposed study does, in five lines."""
    names = ", ".join(dataset.classes[:4]) + (", ..." if len(dataset.classes) > 4 else "")
    depths = ", ".join(map(str, scale.depths[:-1])) + f" and {scale.depths[-1]}"
    epochs = iterations * values["batch_size"] / len(dataset.train)
    longer = ", the shallowest and the deepest also for 3 times as long" if len(scale.budgets) > 1 else ""
    rates = f"each net at the best of {scale.trials} learning rates" if scale.trials else f"at a rate of {RATE}"
    count = len(workers.devices)
    return (
        f"{values['name']}: {len(dataset.classes)} classes ({names}), {len(dataset.train):,} images to train on, "
        f"{len(dataset.test):,} to test with",
        f"images of {values['side']}x{values['side']} pixels, in batches of {values['batch_size']}",
        f"plain and residual nets of {depths} layers, {scale.seeds} seeds each",
        f"{iterations:,} iterations a run ({epochs:.0f} epochs){longer}, {rates}",
        f"about {duration(seconds)} on {count} worker{'s' * (count > 1)} ({', '.join(dict.fromkeys(workers.names))})",
    )
