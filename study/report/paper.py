"""The paper's own figures (He et al. 2015, arXiv 1512.03385), each with its place and with what it measures."""

from functools import cache
from importlib.resources import files
from typing import Any, Literal, NamedTuple

import pandas as pd
import yaml
from pydantic import Field

from study.config.recipe import Strict

DataName = Literal["cifar10", "imagenet"]
Measure = Literal["center", "ten-crop", "multi-scale"]
"""Views of a test image whose probabilities are averaged, in the words of a recipe's `test_views`."""
Split = Literal["train", "test"]
Quantity = Literal["parameters", "multiply_adds"]


class Figure(NamedTuple):
    """An error of the paper, in percent."""

    dataset: DataName
    net: str
    shortcut: Literal["none", "A", "B", "C"]
    split: Split
    measure: Measure
    error: float
    """A single run's, or the mean of `runs` runs: what a study's mean over seeds is compared with."""
    runs: int
    sd: float | None
    """Standard deviation over the runs."""
    best: float | None
    """The best of the runs: printed, and compared with nothing."""
    bound: Literal["exact", "above", "below"]
    """Whether the paper gives the error itself, or only says that it lies above or below this one."""
    reading: float | None
    """Error in points of a number that was read off a figure's pixels."""
    low: float | None
    high: float | None
    """Range of the curve over the iterations of which `error` is the mean, where it was read off a noisy one."""
    place: str


class PaperRecipe(Strict):
    """How the paper trained its nets on a data set."""

    dataset: DataName
    place: str
    iterations: int
    batch_size: int
    lr: float
    schedule: str
    momentum: float
    weight_decay: float
    warmup: dict[int, int]
    """Iterations of warm-up by depth; other nets have none."""
    augment: str
    normalize: str
    train_images: tuple[int, ...] = Field(strict=False)
    test_images: int
    images: str
    """What became of the images before augmentation."""


class Stages(Strict):
    """A column of Table 1: the block and how many of it each stage has."""

    depth: int
    block: Literal["basic", "bottleneck"]
    blocks: tuple[int, int, int, int] = Field(strict=False)


class _ErrorRow(Strict):
    net: str
    error: float = Field(ge=0, le=100)
    shortcut: Literal["none", "A", "B", "C"] = "none"
    runs: int = 1
    sd: float | None = None
    best: float | None = None
    bound: Literal["exact", "above", "below"] = "exact"
    low: float | None = None
    high: float | None = None


class _Errors(Strict):
    place: str
    column: str
    dataset: DataName
    split: Split
    measure: Measure
    rows: tuple[_ErrorRow, ...] = Field(strict=False)
    reading: float | None = None


class _SizeRow(Strict):
    nets: tuple[str, ...] = Field(strict=False)
    value: float


class _Sizes(Strict):
    place: str
    column: str
    dataset: DataName
    quantity: Quantity
    rows: tuple[_SizeRow, ...] = Field(strict=False)


class Paper(Strict):
    """All of paper.yaml."""

    title: str
    authors: str
    arxiv: str
    recipes: tuple[PaperRecipe, ...] = Field(strict=False)
    errors: tuple[_Errors, ...] = Field(strict=False)
    sizes: tuple[_Sizes, ...] = Field(strict=False)
    stages: tuple[Stages, ...] = Field(strict=False)

    def figures(self) -> list[Figure]:
        """Return every error, in the order of the file."""
        return [
            Figure(
                dataset=group.dataset, net=row.net, shortcut=row.shortcut, split=group.split, measure=group.measure,
                error=row.error, runs=row.runs, sd=row.sd, best=row.best, bound=row.bound, reading=group.reading,
                low=row.low, high=row.high, place=f"{group.place}, {group.column}" if group.column else group.place,
            )
            for group in self.errors for row in group.rows
        ]  # fmt: skip

    def find(self, dataset: str, net: str, shortcut: str, split: Split, measure: str) -> Figure | None:
        """Return the error of a net: of the same measure if the paper has one, else of another (look at `measure`)."""
        found = [one for one in self.figures() if one[:4] == (dataset, net, shortcut, split)]
        return min(found, key=lambda one: one.measure != measure, default=None)

    def size(self, dataset: str, net: str, quantity: Quantity) -> float | None:
        """Return the parameters or multiply-adds of a net, rounded as the paper prints them."""
        for group in self.sizes:
            for row in group.rows if (group.dataset, group.quantity) == (dataset, quantity) else ():
                if net in row.nets:
                    return row.value
        return None

    def recipe(self, dataset: str) -> PaperRecipe:
        """Return how the nets of a data set were trained."""
        return next(one for one in self.recipes if one.dataset == dataset)


@cache
def load_paper() -> Paper:
    """Read the package's paper.yaml."""
    text = (files("study.report") / "data" / "paper.yaml").read_text(encoding="utf-8")
    return Paper.model_validate(yaml.safe_load(text))


def dataset_of(run: "pd.Series[Any]") -> DataName | None:
    """Return which of the paper's data sets and families of nets a run belongs to, None where the paper has no such.

    ImageNet is an image folder of 1,000 classes. A net of another width isn't the paper's.
    """
    if float(str(run.get("width", 1.0))) != 1.0:
        return None
    family = str(run.get("family", "auto"))
    if run["dataset"] == "cifar10" and family in ("cifar", "auto"):
        return "cifar10"
    if run["dataset"] == "image-folder" and run["classes"] == 1000 and family in ("imagenet", "vgg", "auto"):
        return "imagenet"
    return None
