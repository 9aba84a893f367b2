"""Final errors by net, in the form of the paper's Table 6 and beside it, and training errors beside its Figure 6."""

import pandas as pd

from study.report.metrics import axis
from study.report.paper import Split
from study.report.tables.paper.beside import VIEWS, Beside, beside, cells_of, drop_single, ours_text
from study.report.tables.paper.unlike import unlike_paper
from study.report.tables.results import NOTHING, Table, count

LAST = "Mean ± standard deviation over seeds (number of seeds) of the error after the last iteration"
"""How captions begin that tell errors."""
COMPARED = (
    "The paper's figures are those of He et al. 2015 (arXiv 1512.03385). Differences are ours minus the paper's, with "
    "a 95% t interval from the spread of our seeds alone, as most of the paper's figures are of one run."
)
AVERAGED = "Where there are several views of an image, their probabilities are averaged."
READ_OFF = "Numbers read off come from the pixels of a figure; the error of reading is given in points."


def errors_table(runs: pd.DataFrame) -> Table:
    """Return test errors by net in the form of Table 6, with the paper's where data set and net are its own."""
    table, found = _table(runs, "errors", "test")
    text = (
        f"Test error by net, as in Table 6 of the paper. {LAST}, on the test images, and the seed with the least "
        "error, which nothing is compared with. "
    )
    views = {VIEWS[one.measure] for one, _ in found}
    text += "The net sees one view of each image, its centre." if views == {"centre"} else AVERAGED
    return table._replace(caption=_caption(text, found))


def training_errors_table(runs: pd.DataFrame) -> Table:
    """Return final training errors beside the ends of Figure 6's curves; no row where the study has no such net."""
    table, found = _table(runs, "training-errors", "train")
    if not any(one.figure for one, _ in found):
        table = table._replace(numbers=table.numbers.iloc[:0], shown=table.shown.iloc[:0])
    text = (
        f"Training error by net, beside the ends of the curves in Figure 6 of the paper. {LAST}, on the whole training "
        "split, clean images, evaluation mode. The paper doesn't say how it measures training error: its curves look "
        "like a noisy part of the training images."
    )
    return table._replace(caption=_caption(text, found))


def _table(runs: pd.DataFrame, name: str, split: Split) -> tuple[Table, list[tuple[Beside, pd.DataFrame]]]:
    """Return a table without a caption, and what stands in its rows."""
    test, label = split == "test", f"final_{split}_error"
    cells = [(variant, beside(cell, split), cell) for variant, cell in cells_of(runs)]
    compared = any(one.figure for _, one, _ in cells)
    numbers, shown = [], []
    for variant, one, cell in cells:
        first = cell.iloc[0]
        numbers.append({
            "variant": variant, "net": first["net"], "architecture": first["architecture"],
            "depth": int(first["depth"]), "parameters": first["parameters"], "measure": one.measure,
            **{f"{label}_{part}": value for part, value in one.mean.record().items()}, "best": one.best,
            **(one.numbers() if compared else {}),
        })  # fmt: skip
        shown.append({
            "Variant": variant, "Net": str(first["net"]), axis("depth"): str(int(first["depth"])),
            **({axis("parameters"): count(first["parameters"]), "Views": VIEWS[one.measure]} if test else {}),
            axis(label): ours_text(one.mean),
            **({"Best seed (%)": f"{one.best:.2f}" if one.mean.seeds else NOTHING} if test else {}),
            **(one.shown() if compared else {}),
        })  # fmt: skip
    frame = drop_single(pd.DataFrame(shown), ["Variant"])
    if all(one.measure == "center" for _, one, _ in cells):
        frame = frame.drop(columns=["Views"], errors="ignore")
    return Table(name, "", pd.DataFrame(numbers), frame), [(one, cell) for _, one, cell in cells]


def _caption(text: str, found: list[tuple[Beside, pd.DataFrame]]) -> str:
    """Return a caption with what has to be known of the paper's figures, where there are any."""
    with_paper = [(one, cell) for one, cell in found if one.figure]
    lost = sum(int((cell["outcome"] == "diverged").sum()) for _, cell in found)
    if lost:
        text += f" Diverged runs ({lost}) count with the error of guessing."
    if not with_paper:
        return text
    parts = [text, COMPARED]
    if any(one.figure and one.figure.best is not None for one, _ in with_paper):
        parts.append("Where the paper has several runs, their mean is what ours is compared with, never the best one.")
    if any(one.figure and one.figure.reading is not None for one, _ in with_paper):
        parts.append(READ_OFF)
    if any(one.figure and one.figure.measure != one.measure for one, _ in with_paper):
        parts.append("Where the paper's error is of other views than ours, which are named, no difference is given.")
    return " ".join([*parts, unlike_paper(cell for _, cell in with_paper)])
