"""The nets of a study and what they cost, in the form of the paper's Table 1 and beside Tables 1 and 6."""

import math
from typing import Any

import pandas as pd

from study.report.metrics import axis
from study.report.paper import Quantity, dataset_of, load_paper
from study.report.tables.paper.beside import drop_single, shortcut_of
from study.report.tables.paper.layout import layout_of
from study.report.tables.results import NOTHING, Table, count
from study.verdict import selection as c

SCALES: dict[Quantity, tuple[float, str]] = {"parameters": (1e6, "million"), "multiply_adds": (1e9, "billion")}
CAPTION = (
    "The nets, as in Table 1 of the paper. Stages of each: blocks (the kernels of one), channels and side of the maps "
    "in pixels; parameters, and multiply-adds of one image's forward pass (convolutions and the linear layer)."
)
PAPER = {
    "parameters": "The paper's parameters are as its Table 6 (He et al. 2015, arXiv 1512.03385) rounds them.",
    "multiply_adds": "The paper's multiply-adds are as its Table 1 (He et al. 2015, arXiv 1512.03385) rounds them, of "
    "images of 224 pixels, with the stride of a bottleneck block in its first convolution; here it is in the 3x3.",
}


def architectures_table(runs: pd.DataFrame) -> Table:
    """Return a row a net, with the paper's sizes where data set and net are its own."""
    known = c.ordered(runs[runs["parameters"].fillna(0) > 0])
    rows: dict[tuple[str, ...], dict[str, Any]] = {}
    for _, run in known.iterrows():
        key = tuple(str(run.get(name, "")) for name in ("net", "family", "width", "shortcut"))
        if key not in rows:
            rows[key] = _numbers(run)
    numbers = list(rows.values())
    frame = pd.DataFrame([_shown(row) for row in numbers])
    frame = drop_single(frame, ["Width"])
    if numbers and len({row["shortcut"] for row in numbers} - {"none"}) < 2:
        frame = frame.drop(columns="Shortcut")
    compared = [name for name in SCALES if any(not math.isnan(row[f"paper_{name}"]) for row in numbers)]
    for name in SCALES:
        if name not in compared:
            frame = frame.drop(columns=[label for label in _labels(name) if label in frame])
    return Table(
        "architectures", " ".join([CAPTION, *(PAPER[name] for name in compared)]), pd.DataFrame(numbers), frame
    )


def _numbers(run: "pd.Series[Any]") -> dict[str, Any]:
    found, data = layout_of(run), dataset_of(run)
    row: dict[str, Any] = {
        "net": str(run["net"]), "depth": int(run["depth"]), "width": float(str(run.get("width", 1.0))),
        "shortcut": shortcut_of(run), "block": found.block if found else "",
        **{part: " ".join(map(str, getattr(found, part))) if found else "" for part in ("blocks", "channels", "sides")},
        "parameters": int(run["parameters"]), "multiply_adds": int(run["multiply_adds"]),
    }  # fmt: skip
    for name in SCALES:
        paper = load_paper().size(data, row["net"], name) if data else None
        row[f"paper_{name}"] = math.nan if paper is None else paper
        row[f"{name}_difference_percent"] = math.nan if paper is None else 100 * (row[name] - paper) / paper
    return row


def _shown(row: dict[str, Any]) -> dict[str, str]:
    shown = {
        "Net": row["net"], "Width": f"{row['width']:g}", "Shortcut": row["shortcut"], axis("depth"): str(row["depth"]),
        "Block": row["block"] or NOTHING, "Blocks a stage": _list(row["blocks"]), "Channels": _list(row["channels"]),
        "Side (pixels)": _list(row["sides"]),
    }  # fmt: skip
    for name, (scale, word) in SCALES.items():
        paper, percent = row[f"paper_{name}"], row[f"{name}_difference_percent"]
        label, difference = _labels(name)
        shown[axis(name)] = count(row[name])
        shown[label] = NOTHING if math.isnan(paper) else f"{paper / scale:g} {word}"
        shown[difference] = NOTHING if math.isnan(percent) else f"{percent:+.1f}%"
    return shown


def _labels(name: Quantity) -> tuple[str, str]:
    """Return the headings of the paper's size and of ours against it."""
    return f"Paper: {axis(name).lower()}", f"{axis(name)} against paper"


def _list(numbers: str) -> str:
    return ", ".join(numbers.split()) or NOTHING
