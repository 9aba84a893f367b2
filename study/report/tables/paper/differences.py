"""Plain against residual nets by depth, in the form of the paper's Table 2 and beside it."""

import math
from typing import Any

import pandas as pd

from study.report.metrics import FINAL_ERRORS, axis
from study.report.paper import Split
from study.report.tables.paper.beside import VIEWS, Beside, beside, drop_single, measured, ours_text, paper_text, signed
from study.report.tables.paper.errors import LAST, READ_OFF
from study.report.tables.paper.unlike import unlike_paper
from study.report.tables.results import Table
from study.statistics.welch import difference
from study.verdict import selection as c

SPLITS: tuple[Split, ...] = ("train", "test")


def differences_table(runs: pd.DataFrame) -> Table:
    """Return plain and residual errors of each depth that has both, and residual minus plain; training error first."""
    kept, numbers, shown, compared, read_off = c.counted(runs), [], [], [], False
    for variant in c.variants(kept):
        mine = c.of_variant(kept, variant)
        for depth in c.depths(mine):
            cells = [mine[(mine["architecture"] == name) & (mine["depth"] == depth)] for name in ("plain", "residual")]
            if any(cell.empty for cell in cells):
                continue
            for split in SPLITS:
                pair = [beside(cell, split) for cell in cells]
                compared += [cell for cell, one in zip(cells, pair, strict=True) if one.figure]
                read_off |= any(one.figure is not None and one.figure.reading is not None for one in pair)
                numbers.append({"variant": variant, "depth": depth, **_numbers(cells, pair, split)})
                shown.append(_shown(numbers[-1], pair))
    frame = pd.DataFrame(shown)
    papers = [column for column in frame if str(column).startswith("Paper")]
    frame = drop_single(frame, ["Variant"]) if compared else drop_single(frame, ["Variant"]).drop(columns=papers)
    if "Views" in frame and set(frame["Views"]) <= {"", VIEWS["center"]}:
        frame = frame.drop(columns="Views")
    return Table("plain-residual", _caption(compared, read_off=read_off), pd.DataFrame(numbers), frame)


def _numbers(cells: list[pd.DataFrame], pair: list[Beside], split: Split) -> dict[str, Any]:
    """Return the row of the CSV file."""
    columns = [measured(cell)[0] if split == "test" else "final_train_error" for cell in cells]
    plain, residual = (cell[column].dropna() for cell, column in zip(cells, columns, strict=True))
    both = pd.concat(cells)
    ours = difference(residual, plain, c.resolution(both, columns[0]))
    alike = pair[0].measure == pair[1].measure
    row: dict[str, Any] = {"error": f"final_{split}_error", "views": pair[1].measure if split == "test" else ""}
    for name, one in zip(("plain", "residual"), pair, strict=True):
        row |= {f"{name}_{part}": value for part, value in one.mean.record().items()}
    for part in ("estimate", "low", "high", "p"):
        row[f"residual_minus_plain_{part}"] = getattr(ours, part) if alike else math.nan
    figures = [one.figure for one in pair]
    for name, figure in zip(("plain", "residual"), figures, strict=True):
        row |= {f"paper_{name}": figure.error if figure else math.nan, f"paper_{name}_place": figure and figure.place}
    exact = all(figure is not None and figure.bound == "exact" for figure in figures)
    same = exact and len({figure.measure for figure in figures if figure}) == 1
    row["paper_residual_minus_plain"] = row["paper_residual"] - row["paper_plain"] if same else math.nan
    return row


def _shown(row: dict[str, Any], pair: list[Beside]) -> dict[str, str]:
    ours = (row[f"residual_minus_plain_{part}"] for part in ("estimate", "low", "high"))
    return {
        "Variant": row["variant"], axis("depth"): str(row["depth"]), axis("error"): FINAL_ERRORS[row["error"]],
        "Views": VIEWS[row["views"]] if row["views"] else "",
        "Plain": ours_text(pair[0].mean), "Residual": ours_text(pair[1].mean),
        "Residual minus plain": signed(*ours),
        "Paper: plain": paper_text(pair[0].figure, pair[0].measure),
        "Paper: residual": paper_text(pair[1].figure, pair[1].measure),
        "Paper: difference": signed(row["paper_residual_minus_plain"], math.nan, math.nan),
    }  # fmt: skip


def _caption(compared: list[pd.DataFrame], *, read_off: bool) -> str:
    text = (
        f"Plain against residual nets by depth, as in Table 2 of the paper. {LAST}, with the difference of the means "
        "in points and its 95% interval (Welch's). Training error is of the whole training split, clean images, in "
        "evaluation mode."
    )
    if not compared:
        return text
    text += " The paper's figures are those of He et al. 2015 (arXiv 1512.03385)."
    text += f" {READ_OFF}" if read_off else ""
    return f"{text} {unlike_paper(compared)}"
