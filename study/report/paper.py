"""The paper's own figures (He et al. 2015, arXiv 1512.03385), and where a study was made unlike the paper.

Each figure has its place and what it measures. Differences in the recipe are said beside every figure of the paper.
"""

import ast
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Annotated, Any, Literal, NamedTuple

import pandas as pd
import yaml
from pydantic import BeforeValidator, Field

from study.config.recipe import Strict

DataName = Literal["cifar10", "imagenet"]
Measure = Literal["center", "ten-crop", "multi-scale"]
"""Views of a test image whose probabilities are averaged, in the words of a recipe's `test_views`."""
Split = Literal["train", "test"]
Quantity = Literal["parameters", "multiply_adds"]

Shortcut = Literal["none", "A", "B", "C"]


class Figure(Strict):
    """An error of the paper, in percent, with what it is of and where it stands."""

    dataset: DataName
    split: Split
    measure: Measure
    net: str
    shortcut: Shortcut = "none"
    error: float = Field(ge=0, le=100)
    """A single run's, or the mean of `runs` runs: what a study's mean over seeds is compared with."""
    runs: int = 1
    sd: float | None = None
    """Standard deviation over the runs."""
    best: float | None = None
    """The best of the runs: printed, and compared with nothing."""
    bound: Literal["exact", "above", "below"] = "exact"
    """Whether the paper gives the error itself, or only says that it lies above or below this one."""
    low: float | None = None
    high: float | None = None
    """Range of the curve over the iterations of which `error` is the mean, where it was read off a noisy one."""
    reading: float | None = None
    """Error in points of a number that was read off a figure's pixels."""
    place: str


class Size(Strict):
    """Parameters or multiply-adds of nets, rounded as the paper prints them."""

    dataset: DataName
    quantity: Quantity
    nets: tuple[str, ...] = Field(strict=False)
    value: float
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


def _rows_of(groups: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows of groups in paper.yaml, each with what its group says of all; their place is one text."""
    rows = [{**group, **row} for group in groups for row in group.get("rows", ({},))]
    for row in rows:
        row.pop("rows", None)
        row["place"] = ", ".join(filter(None, (row["place"], row.pop("column", ""))))
    return rows


class Paper(Strict):
    """All of paper.yaml."""

    title: str
    authors: str
    arxiv: str
    recipes: tuple[PaperRecipe, ...] = Field(strict=False)
    errors: Annotated[tuple[Figure, ...], BeforeValidator(_rows_of)] = Field(strict=False)
    sizes: Annotated[tuple[Size, ...], BeforeValidator(_rows_of)] = Field(strict=False)
    stages: tuple[Stages, ...] = Field(strict=False)

    def find(self, dataset: str, net: str, shortcut: str, split: Split, measure: str) -> Figure | None:
        """Return the error of a net: of the same measure if the paper has one, else of another (look at `measure`)."""
        wanted = (dataset, net, shortcut, split)
        figures = [each for each in self.errors if (each.dataset, each.net, each.shortcut, each.split) == wanted]
        return min(figures, key=lambda figure: figure.measure != measure, default=None)

    def size(self, dataset: str, net: str, quantity: Quantity) -> float | None:
        """Return the parameters or multiply-adds of a net."""
        known = (size for size in self.sizes if (size.dataset, size.quantity) == (dataset, quantity))
        return next((size.value for size in known if net in size.nets), None)

    def recipe(self, dataset: str) -> PaperRecipe:
        """Return how the nets of a data set were trained."""
        return next(recipe for recipe in self.recipes if recipe.dataset == dataset)


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


def shortcut_of(run: "pd.Series[Any]") -> str:
    """Return the option of a run's shortcuts: none, A, B or C; a residual net's is A where the frame has no column."""
    if run["architecture"] != "residual":
        return "none"
    return str(run.get("shortcut", "A"))


class Unlike(NamedTuple):
    """A part of the recipe: the study's values and the paper's, in words."""

    name: str
    ours: str
    paper: str

    def __str__(self) -> str:
        return f"{self.name} {self.ours} ({self.paper})"


def unlike_paper(cells: Iterable[pd.DataFrame]) -> str:
    """Return the end of a caption: what is unlike the paper in the cells that stand beside a figure of it."""
    runs = [run for cell in cells for _, run in cell.iterrows()]
    texts = []
    for data in sorted({str(dataset_of(run)) for run in runs}):
        recipe = load_paper().recipe(data)
        unlike = differences(pd.DataFrame([run for run in runs if dataset_of(run) == data]), recipe)
        if unlike:
            parts = "; ".join(map(str, unlike))
            texts.append(f"Unlike the paper ({recipe.place}; its values in brackets): {parts}.")
        else:
            texts.append(f"The recipe is the paper's ({recipe.place}), as far as runs tell.")
    return " ".join(texts)


def differences(runs: pd.DataFrame, recipe: PaperRecipe) -> list[Unlike]:
    """Return each part of the recipe in which some run differs from the paper's."""
    parts = (
        _number(runs, "iterations", "total_iterations", (recipe.iterations,)),
        _number(runs, "batch size", "batch_size", (recipe.batch_size,)),
        _number(runs, "training images", "train_images", recipe.train_images),
        _number(runs, "test images", "test_images", (recipe.test_images,)),
        _number(runs, "momentum", "momentum", (recipe.momentum,)),
        _number(runs, "weight decay", "weight_decay", (recipe.weight_decay,)),
        _rate(runs, recipe),
        _word(runs, "augmentation", "augment", recipe.augment),
        _word(runs, "normalisation", "normalize", recipe.normalize),
        *_schedule(runs, recipe),
        *_warmup(runs, recipe),
        *_others(runs, recipe),
    )
    return [part for part in parts if part is not None]


def _values(runs: pd.DataFrame, column: str) -> list[float]:
    known = pd.to_numeric(runs[column], errors="coerce").dropna() if column in runs else pd.Series(dtype=float)
    return sorted(set(known.astype(float)))


def _range(values: list[float]) -> str:
    ends = [f"{value:,.4g}" if abs(value) < 1 else f"{value:,.0f}" for value in values]
    return ends[0] if len(ends) == 1 else f"{ends[0]} to {ends[-1]}"


def _number(runs: pd.DataFrame, name: str, column: str, wanted: Iterable[float]) -> Unlike | None:
    ours, paper = _values(runs, column), [float(value) for value in wanted]
    if set(ours) <= set(paper):
        return None
    return Unlike(name, _range(ours), " or ".join(_range([value]) for value in paper))


def _word(runs: pd.DataFrame, name: str, column: str, wanted: str) -> Unlike | None:
    ours = sorted({str(value) for value in runs[column].dropna()}) if column in runs else []
    return Unlike(name, ", ".join(ours), wanted) if set(ours) - {wanted} else None


def _rate(runs: pd.DataFrame, recipe: PaperRecipe) -> Unlike | None:
    rate = _number(runs, "learning rate", "lr", (recipe.lr,))
    tuned = runs["lr_tuned"].astype(bool).any()
    if rate is None and tuned:
        return Unlike("learning rate", "tuned", f"{recipe.lr:g}")
    return rate._replace(ours=f"{rate.ours}, tuned") if rate is not None and tuned else rate


def _schedule(runs: pd.DataFrame, recipe: PaperRecipe) -> Iterator[Unlike]:
    ours = sorted({_schedule_text(run) for _, run in runs.iterrows()} - {""})
    if set(ours) - {recipe.schedule}:
        yield Unlike("schedule", ", ".join(ours), recipe.schedule)
    if "nesterov" in runs and (runs["nesterov"].astype(str) == "True").any():
        yield Unlike("momentum", "Nesterov's", "classical")


def _schedule_text(run: "pd.Series[Any]") -> str:
    """Write a schedule with its drops in iterations: ``step at 32,000 and 48,000``."""
    name = str(run.get("schedule", ""))
    if name != "step" or "milestones" not in run:
        return "" if name == "step" else name
    try:
        marks = [float(mark) for mark in ast.literal_eval(str(run["milestones"]))]
        total = float(str(run["total_iterations"]))
        words = [f"{round(mark * total if mark < 1 else mark):,}" for mark in marks]
    except (ValueError, SyntaxError, TypeError, ArithmeticError, MemoryError, RecursionError):  # another program's
        return name
    factor = float(str(run.get("gamma", 0.1)))
    by = "" if factor == 0.1 else f" by {factor:g}"
    return f"step{by} at {' and '.join(words)}" if words else "constant"


def _warmup(runs: pd.DataFrame, recipe: PaperRecipe) -> Iterator[Unlike]:
    if "warmup" not in runs:
        return
    for depth, group in runs.groupby("depth"):
        ours, wanted = _values(group, "warmup"), recipe.warmup.get(int(str(depth)), 0)
        if set(ours) - {float(wanted)}:
            yield Unlike(f"warm-up at {depth} layers", f"{_range(ours)} iterations", f"{wanted:,}")


def _others(runs: pd.DataFrame, recipe: PaperRecipe) -> Iterator[Unlike]:
    if recipe.dataset == "imagenet":
        sides = _range(_values(runs, "image_size")) if len(_values(runs, "image_size")) else "32"
        yield Unlike("images", f"held as squares of {sides} pixels", recipe.images)
    if (runs["precision"] == "bf16").any():
        yield Unlike("precision", "bf16", "fp32")
    skipped = _values(runs, "skipped_images")
    if skipped and skipped[-1] > 0:
        yield Unlike("images left out", _range(skipped), "0")
