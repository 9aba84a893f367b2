"""The chapter on lesions: whether residual nets depend less on single blocks, and on their order, than plain ones."""

from typing import Any

import pandas as pd
from scipy import stats

from study.report.figures.lesion import block_places, lesion_drawings
from study.report.tables.writer import Column, Table, or_nothing
from study.report.why.chapter import Evidence, Findings, chapter
from study.report.why.comparison import compare, deepest_pair
from study.verdict.text import points

CLEAR = 5.0
"""Points by which rises of single seeds must differ to count as different, and from which on a rise has a course."""
LEAST = 6
"""Reorderings that a rank correlation takes."""


@chapter("lesion", "Do nets with shortcuts depend less on each block?")
def lesion_chapter(evidence: Evidence) -> Findings | None:
    """Tell what single blocks and their order are worth; None where it wasn't measured."""
    rows, orders = evidence.compared("lesion", "rise"), evidence.compared("reordering", "rise")
    if rows.empty and orders.empty:
        return None
    guessing = 100 * (1 - 1 / float(evidence.runs["classes"].dropna().min()))
    drawings = lesion_drawings(rows, orders, guessing)
    if not drawings:
        return None
    return Findings(find_lesions(rows, orders, guessing), drawings, [lesion_table(rows, orders)])


def by_run(rows: pd.DataFrame) -> pd.DataFrame:
    """Return a row a run: the mean `rise` over its blocks or draws, and `whole`, the error of the whole net."""
    rows = rows.assign(whole=rows["error"] - rows["rise"])
    keys = ["architecture", "depth", "net", "run_id"]
    return rows.groupby(keys, sort=False)[["rise", "whole"]].mean().reset_index()


def find_lesions(lesions: pd.DataFrame, reorderings: pd.DataFrame, guessing: float) -> dict[str, Any]:
    """Return what lesions show of the deepest plain and the residual net as deep, each None where it isn't known.

    Args:
        lesions: of the table `lesion`, at the end of training, all rises finite.
        reorderings: of the table `reordering`, or empty.
        guessing: error of guessing, in percent.
    """
    each, random = (lesions[lesions["kind"] == kind] for kind in ("each", "random"))
    runs, single, order = by_run(each), deepest_pair(each), deepest_pair(reorderings) if len(reorderings) else None
    *_, (alone, rows) = by_run(each if len(each) else lesions).groupby("net", sort=False)
    return {
        "single": compare(runs, single, "rise", CLEAR) if single else None,
        "blocks": each.groupby("net")["block"].nunique(),
        "room": guessing - float(runs.loc[runs["net"] == single[0], "whole"].mean()) if single else None,
        "needed": _needed(each[each["architecture"] == "residual"]),
        "several": _several(random),
        "order": compare(by_run(reorderings), order, "rise", CLEAR) if order else None,
        "correlation": _correlation(reorderings[reorderings["net"] == order[1]]) if order else None,
        "alone": {"net": alone, "rise": float(rows["rise"].mean())},
        "guessing": guessing,
        "clear": CLEAR,
    }


def _needed(each: pd.DataFrame) -> dict[str, Any] | None:
    """Return the block that the deepest residual net needs most, and the mean rises of those that change the map."""
    if each.empty:
        return None
    rows = each[each["depth"] == each["depth"].max()]
    blocks = rows.groupby("block").agg(rise=("rise", "mean"), changing=("downsamples", "any"))
    block = str(blocks["rise"].idxmax())
    place = block_places([str(name) for name in blocks.index])[block]
    ending = "th" if place % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(place % 10, "th")
    means = blocks.groupby("changing")["rise"].mean()
    return {
        "net": rows["net"].iloc[0],
        "block": block,
        "place": f"{place}{ending}",
        "most": float(blocks["rise"].max()),
        "changing": float(means[True]) if len(means) > 1 else None,
        "others": float(means[False]) if len(means) > 1 else None,
    }


def _several(random: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rises over draws with the fewest and the most blocks out, of the residual and the plain net."""
    nets: list[dict[str, Any]] = []
    for net in reversed(deepest_pair(random) or ()):
        rises = random[random["net"] == net].groupby("count")["rise"].agg(["mean", "min", "max"])
        if len(rises) < 2:
            return []
        nets.append({"net": net, "first": rises.iloc[0], "last": rises.iloc[-1]})
    return nets


def _correlation(orders: pd.DataFrame) -> tuple[float, int] | None:
    """Return Spearman's correlation of a net's rises and Kendall's tau, and of how many reorderings."""
    if len(orders) < LEAST or orders["kendall_tau"].nunique() < 2 or orders["rise"].nunique() < 2:
        return None
    return float(stats.spearmanr(orders["kendall_tau"], orders["rise"]).statistic), len(orders)


def lesion_table(rows: pd.DataFrame, orders: pd.DataFrame) -> Table:
    """Return a row a net: what one block is worth in the mean and at most, and another order."""
    each = rows[rows["kind"] == "each"]
    runs, shuffled = by_run(each), by_run(orders) if len(orders) else pd.DataFrame(columns=["net", "rise"])
    numbers: list[dict[str, Any]] = []
    for net, part in runs.groupby("net", sort=False):
        blocks = each[each["net"] == net].groupby("block")["rise"].mean()
        row = {
            "net": net,
            "seeds": len(part),
            "error": part["whole"].mean(),
            "blocks": len(blocks),
            "mean_rise": part["rise"].mean(),
            "median_rise": blocks.median(),
            "largest_rise": blocks.max(),
            "needed": blocks.idxmax(),
            "harmless": 100 * (blocks < 1).mean(),
            "reordered": shuffled.loc[shuffled["net"] == net, "rise"].mean(),
        }
        numbers.append(row)
    columns = [
        Column("Net", "net"),
        Column("Seeds", "seeds"),
        Column("Error (%)", "error", points),
        Column("Blocks", "blocks"),
        Column("Mean rise", "mean_rise", points),
        Column("Median rise", "median_rise", points),
        Column("Largest rise", ("largest_rise", "needed"), lambda rise, block: f"{points(rise)} ({block})"),
        Column("Below a point (%)", "harmless", "{:.0f}".format),
        Column("Reordered", "reordered", or_nothing(points)),
    ]
    return Table.of("why-lesion", pd.DataFrame(numbers), columns)
