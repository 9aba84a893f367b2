"""The part of a page that sets two studies side by side: words, a figure for each couple of variants, tables."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from study.report.comparison import Comparison, DepthChange, NetChange
from study.report.comparison_words import conclusions, sentences, warnings
from study.report.figures.compare import CompareData, compare_data, draw_both
from study.report.figures.drawing import Picture, slug
from study.report.figures.style import draw_and_save
from study.report.metrics import METRICS
from study.report.tables.results import NOTHING, Table
from study.statistics.interval import Interval
from study.verdict import selection as c
from study.verdict.text import interval, p_value, points

BOUNDS = ("estimate", "low", "high")


class CompareSection(NamedTuple):
    """What a page says of two studies."""

    names: tuple[str, str]
    conclusions: tuple[str, ...]
    sentences: tuple[str, ...]
    warnings: tuple[str, ...]
    pictures: tuple[Picture, ...]
    tables: tuple[Table, ...]


def compare_section(found: Comparison, runs: pd.DataFrame, folder: Path) -> CompareSection:
    """Draw the figures of two studies, whose joined runs are `runs`, into `folder` and tell the rest."""
    pictures = []
    for couple in found.couples:
        data = compare_data(c.of_variant(runs, couple.a), c.of_variant(runs, couple.b), found.names)
        if not all(study.series for study in data.studies):
            continue
        name = f"compare{f'-{slug(couple.shown)}' if couple.shown else ''}"
        draw_and_save(folder, name, partial(draw_both, data), len(data.metrics), data.frame(), height=2.8)
        texts = (f"Final error against depth, {found.names[0]} and {found.names[1]}", _caption(data), _alt(data))
        pictures.append(Picture.of(folder, name, couple.shown, texts))
    tables = tuple(
        table for table in (depths_table(found), nets_table(found), settings_table(found)) if len(table.shown)
    )
    return CompareSection(
        found.names, conclusions(found), sentences(found), warnings(found), tuple(pictures), tables
    )  # fmt: skip


def nets_table(found: Comparison) -> Table:
    """Return each common net's final errors in both studies, and their difference."""
    a, b = found.names
    rows = list(found.nets)
    numbers = pd.DataFrame(
        [
            {"variant": one.variant, "net": one.net, "architecture": one.architecture, "depth": one.depth,
             "metric": one.metric}
            | {f"{part}_{key}": value for part in ("a", "b") for key, value in getattr(one, part).record().items()}
            | {key: getattr(one.change, key) for key in (*BOUNDS, "p")} | {"p_holm": one.p_holm}
            for one in rows
        ]
    )  # fmt: skip
    shown = {
        **_variants([one.variant for one in rows]),
        "Net": [one.net for one in rows],
        "Error": [METRICS[one.metric].label for one in rows],
        f"{a} (%)": [_mean(one.a) for one in rows],
        f"{b} (%)": [_mean(one.b) for one in rows],
        **_change(rows, found),
    }
    caption = (
        f"Common nets: mean ± standard deviation over seeds (number of seeds), and {b} minus {a} with Welch's 95% "
        "interval and p after Holm over the nets of an error."
    )
    return Table("compare-nets", caption, numbers, pd.DataFrame(shown))


def depths_table(found: Comparison) -> Table:
    """Return what depth costs in both studies, and the difference."""
    a, b = found.names
    rows = list(found.depths)
    numbers = pd.DataFrame(
        [
            {"variant": one.variant, "architecture": one.architecture, "shallow_net": one.shallow_net,
             "deep_net": one.deep_net}
            | {f"{part}_{key}": getattr(getattr(one, part), key) for part in ("a", "b") for key in BOUNDS}
            | one.change.record() | {"p_holm": one.p_holm}
            for one in rows
        ]
    )  # fmt: skip
    shown = {
        **_variants([one.variant for one in rows]),
        "Deep minus shallow": [f"{one.deep_net} minus {one.shallow_net}" for one in rows],
        f"{a} (points)": [_bounds(one.a) for one in rows],
        f"{b} (points)": [_bounds(one.b) for one in rows],
        **_change(rows, found),
    }
    caption = (
        "Final training error of the deepest common net minus that of the shallowest, with 95% intervals, and the "
        "difference in differences (Welch-Satterthwaite) with p after Holm over these rows."
    )
    return Table("compare-depths", caption, numbers, pd.DataFrame(shown))


def settings_table(found: Comparison) -> Table:
    """Return the fields that differ between the two studies."""
    a, b = found.names
    numbers = pd.DataFrame(list(found.differing), columns=["name", "a", "b", "kind"])
    shown = {
        "Field": [one.name.replace("_", " ") for one in found.differing],
        a: [one.a for one in found.differing],
        b: [one.b for one in found.differing],
        "Kind": [one.kind for one in found.differing],
    }
    count = f"{found.agreeing} settings agree" if found.agreeing != 1 else "1 setting agrees"
    caption = f"What differs between the runs of common nets; {count}."
    return Table("compare-settings", caption, numbers, pd.DataFrame(shown))


def _variants(variants: list[str]) -> dict[str, list[str]]:
    return {"Variant": variants} if any(variants) else {}


def _change(rows: Sequence[NetChange | DepthChange], found: Comparison) -> dict[str, list[str]]:
    a, b = found.names
    changes = [one.change for one in rows]
    return {
        f"{b} minus {a} (points)": [
            NOTHING if np.isnan(d.estimate) else points(d.estimate, d.low, d.high) for d in changes
        ],
        "95% interval": [NOTHING if np.isnan(d.low) else interval(d.estimate, d.low, d.high) for d in changes],
        "p (Holm)": [
            NOTHING if np.isnan(one.p_holm) else p_value(one.p_holm).removeprefix("p ").removeprefix("= ")
            for one in rows
        ],
    }


def _mean(mean: Interval) -> str:
    if mean.seeds == 0:
        return NOTHING
    return f"{mean.estimate:.2f}" + (f" ± {mean.sd:.2f}" if mean.seeds > 1 else "") + f" ({mean.seeds})"


def _bounds(d: Interval) -> str:
    if np.isnan(d.estimate):
        return NOTHING
    return points(d.estimate, d.low, d.high) + ("" if np.isnan(d.low) else f" ({interval(d.estimate, d.low, d.high)})")


def _caption(data: CompareData) -> str:
    a, b = data.names
    return (
        f"Error after the last iteration against depth: training error on the whole training split, clean images, "
        f"evaluation mode (left), and test error (right). {a}: solid lines, full marks; {b}: dashed, hollow. "
        "Means over seeds with 95% t intervals, where there are two seeds or more."
    )


def _alt(data: CompareData) -> str:
    parts = []
    for name, study in zip(data.names, data.studies, strict=True):
        for one in study.series:
            cells = [f"{depth} layers {mean.estimate:.2f}%" for depth, mean in zip(one.depths, one.means, strict=True)]
            parts.append(f"{name}, {METRICS[one.metric].label}, {one.architecture} nets: {', '.join(cells)}.")
    return f"Chart of final error against depth of two studies. {' '.join(parts)}"
