"""The chapter on effective ranks: whether the features of deep plain nets depend on each other more."""

import math

import pandas as pd

from study.report.figures.ranks import ranks_drawing
from study.report.tables.writer import Column, Table, wide_table
from study.report.why.chapter import Evidence, Findings, chapter
from study.report.why.comparison import Comparison, compare, deepest_pair, plain_ends

CLEAR = 5.0
"""Points by which shares of single seeds must differ to count as different."""


@chapter("ranks", "Do the features of deep plain nets fill fewer dimensions?")
def ranks_chapter(evidence: Evidence) -> Findings | None:
    """Tell whether features fill fewer dimensions in deep plain nets; None where it wasn't measured."""
    rows = evidence.compared("ranks", "share")
    if rows.empty:
        return None
    rows = rows.assign(percent=100 * rows["share"])
    shares = {net: part.groupby("stage")["percent"].mean() for net, part in rows.groupby("net", sort=False)}
    runs = over_stages(rows)
    pairs = (deepest_pair(rows), plain_ends(rows))
    shortcuts, depth = (compare(runs, pair, "percent", CLEAR) if pair else None for pair in pairs)

    def contrary(pair: Comparison) -> list[str]:
        """Return the stages in which the difference has the other sign, which the mean over stages hides."""
        first, second = shares[pair.net], shares[pair.other]
        return [str(s) for s in first.index if pair.direction * (first[s] - second.get(s, math.nan)) < 0]

    facts = {
        "shortcuts": shortcuts,
        "depth": depth,
        "shares": shares,
        "contrary": contrary,
        "last": str(rows["net"].iloc[-1]),
    }
    return Findings(facts, [ranks_drawing(rows)], [ranks_table(rows)])


def over_stages(rows: pd.DataFrame) -> pd.DataFrame:
    """Return a row a run: `percent`, the mean over its stages."""
    return rows.groupby(["architecture", "depth", "net", "run_id"], sort=False)["percent"].mean().reset_index()


def ranks_table(rows: pd.DataFrame) -> Table:
    """Return a row a net, with the mean effective rank of each stage over seeds."""
    stages = rows.groupby(["net", "stage"], sort=False)
    numbers = stages.agg(
        channels=("channels", "max"), rank=("rank", "mean"), percent=("percent", "mean"), seeds=("run_id", "nunique")
    ).reset_index()
    table = wide_table("why-ranks", numbers, "stage", _stage_columns)
    seeds = numbers.groupby("net", sort=False)["seeds"].max()
    table.shown.insert(1, "Seeds", seeds.astype(str).to_numpy())
    return table


def _stage_columns(stage: str) -> list[Column]:
    return [Column(f"Stage {stage}", ("rank", "channels"), "{:.1f} of {}".format)]
