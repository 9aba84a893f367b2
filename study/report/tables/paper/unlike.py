"""Where a study was made unlike the paper: said beside every figure of the paper, so that unlike things are seen."""

import ast
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import pandas as pd

from study.report.paper import PaperRecipe, dataset_of, load_paper


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
        mine = pd.DataFrame([run for run in runs if dataset_of(run) == data])
        found = "; ".join(str(one) for one in differences(mine, recipe))
        if found:
            texts.append(f"Unlike the paper ({recipe.place}; its values in brackets): {found}.")
        else:
            texts.append(f"The recipe is the paper's ({recipe.place}), as far as runs tell.")
    return " ".join(texts)


def differences(runs: pd.DataFrame, recipe: PaperRecipe) -> list[Unlike]:
    """Return each part of the recipe in which some run differs from the paper's."""
    numbers = {
        "iterations": ("total_iterations", (recipe.iterations,)), "batch size": ("batch_size", (recipe.batch_size,)),
        "training images": ("train_images", recipe.train_images), "test images": ("test_images", (recipe.test_images,)),
        "momentum": ("momentum", (recipe.momentum,)), "weight decay": ("weight_decay", (recipe.weight_decay,)),
    }  # fmt: skip
    found = [_number(runs, name, column, wanted) for name, (column, wanted) in numbers.items()]
    found += [_rate(runs, recipe), _word(runs, "augmentation", "augment", recipe.augment),
              _word(runs, "normalisation", "normalize", recipe.normalize)]  # fmt: skip
    found += [*_schedule(runs, recipe), *_warmup(runs, recipe), *_others(runs, recipe)]
    return [one for one in found if one is not None]


def _values(runs: pd.DataFrame, column: str) -> list[float]:
    kept = pd.to_numeric(runs[column], errors="coerce").dropna() if column in runs else pd.Series(dtype=float)
    return sorted(set(kept.astype(float)))


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
    found = _number(runs, "learning rate", "lr", (recipe.lr,))
    tuned = runs["lr_tuned"].astype(bool).any()
    if found is None and tuned:
        return Unlike("learning rate", "tuned", f"{recipe.lr:g}")
    return found._replace(ours=f"{found.ours}, tuned") if found is not None and tuned else found


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
    except (ValueError, SyntaxError, TypeError):
        return name
    total = float(str(run["total_iterations"]))
    words = [f"{round(mark * total if mark < 1 else mark):,}" for mark in marks]
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
