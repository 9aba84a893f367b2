"""The chapter on the loss around nets: whether it is less convex around deep plain nets, and shortcuts mend it."""

from collections import ChainMap
from itertools import chain
from typing import Any

import pandas as pd

from study.report.figures.surface import STATISTICS, surface_data, surface_drawings
from study.report.metrics import axis
from study.report.tables.writer import Column, Table, or_nothing
from study.report.why.chapter import Evidence, Findings, chapter
from study.report.why.comparison import Comparison, compare, deepest_pair, plain_ends
from study.report.why.curvature import find_curvature
from study.verdict import selection as c
from study.verdict.text import number

CLEAR = 10.0
"""Points by which shares of single slices must differ to count as different: another pair of directions moves them."""


@chapter("surface", "Is the loss around deep plain nets less convex?")
def surface_chapter(evidence: Evidence) -> Findings | None:
    """Tell whether the loss bends the wrong way more often around deep plain nets, and how curved it is at equal loss.

    None where neither was measured.
    """
    known = [findings for find in (find_slices, find_curvature) if (findings := find(evidence)) is not None]
    if not known:
        return None
    facts, drawings, tables = zip(*known, strict=True)
    return Findings(dict(ChainMap(*facts)), chain(*drawings), chain(*tables))


def find_slices(evidence: Evidence) -> Findings | None:
    """Return what is told of the slices, with their figures and table; None where they weren't measured."""
    rows, summary = evidence.ended("surface"), evidence.ended("surface_summary")
    if rows.empty or summary.empty:
        return None
    classes = int(summary["classes"].iloc[0])
    surface = surface_data(rows, classes)
    if surface is None:
        return None
    summary = c.ordered(summary.assign(nonconvex=100 * summary["nonconvex"], basin=100 * summary["basin"]))
    facts = find_convexity(summary) | {"classes": classes, "basin": surface.basin}
    return Findings(facts, surface_drawings(surface), [surface_table(summary)])


def find_convexity(summary: pd.DataFrame) -> dict[str, Any]:
    """Return what is compared of the deepest plain net, the shallowest and the residual one as deep.

    Args:
        summary: of the table `surface_summary`, at the end of training, `basin` and `nonconvex` in percent.
    """
    convexity: dict[tuple[str, str], dict[str, Comparison]] = {}
    for pair in _pairs(summary):
        kinds = {kind: _compare(summary[summary["statistics"] == kind], pair, "nonconvex") for kind in STATISTICS}
        if known := {kind: comparison for kind, comparison in kinds.items() if comparison is not None}:
            convexity[pair] = known
    first = summary[summary["statistics"] == summary["statistics"].iloc[0]]
    basins = [comparison for pair in _pairs(first) if (comparison := _compare(first, pair, "basin")) is not None]
    deepest = _pairs(first)[0][0] if basins else ""
    nonconvex = summary.dropna(subset=["nonconvex"]).groupby(["net", "statistics"], sort=False)["nonconvex"].mean()
    return {
        "convexity": convexity,
        "directions": lambda pairs: {kind: pair.direction for kind, pair in pairs.items()},
        "basins": basins,
        "deepest": deepest,
        "loss": float(first.loc[first["net"] == deepest, "loss"].mean()),
        "alone": nonconvex.to_dict(),
    }


def _pairs(frame: pd.DataFrame) -> list[tuple[str, str]]:
    """Return what is compared: the deepest plain net with the shallowest, and with the residual one as deep."""
    return [pair for pair in (plain_ends(frame), deepest_pair(frame)) if pair is not None]


def _compare(frame: pd.DataFrame, pair: tuple[str, str], column: str) -> Comparison | None:
    comparison = compare(frame, pair, column, CLEAR)
    return comparison if len(comparison.values) and len(comparison.others) else None


def surface_table(summary: pd.DataFrame) -> Table:
    """Return a row a run and kind of statistics."""
    digits = or_nothing(number)
    columns = [
        Column("Net", ("net", "seed"), "{} seed {}".format),
        Column("Statistics", "statistics"),
        Column("Loss (nats)", "loss", or_nothing(lambda loss: number(loss, 3))),
        Column(axis("basin"), "basin", digits),
        Column(axis("nonconvex"), "nonconvex", digits),
        Column(axis("minima"), "minima", "{:.0f}".format),
        Column("Curvature along 1", "curvature_a", digits),
        Column("Curvature along 2", "curvature_b", digits),
    ]
    return Table.of("why-surface", summary.drop(columns=["moment"]), columns)
