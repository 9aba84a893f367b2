"""The chapter on effective ranks: whether the features of deep plain nets depend on each other more."""

import math
from pathlib import Path

import numpy as np
import pandas as pd

from study.report.figures.ranks import ranks_drawing
from study.report.tables.writer import NOTHING, Table
from study.report.text import write
from study.report.why.chapter import Chapter, Evidence
from study.report.why.comparison import Comparison, compare, deepest_pair, plain_ends
from study.verdict import selection as c

CLEAR = 5.0
"""Points by which shares of single seeds must differ to count as different."""


def ranks_chapter(evidence: Evidence, folder: Path) -> Chapter | None:
    """Tell whether features fill fewer dimensions in deep plain nets; None where it wasn't measured.

    Args:
        evidence: with the table `ranks`.
        folder: where figures go.
    """
    rows = evidence.ended("ranks")
    if rows.empty:
        return None
    known = rows["architecture"].isin(["plain", "residual"]) & np.isfinite(rows["share"])
    rows = c.ordered(rows.assign(percent=100 * rows["share"])[known])
    if rows.empty:
        return None
    shares = {net: part.groupby("stage")["percent"].mean() for net, part in rows.groupby("net", sort=False)}
    runs = over_stages(rows)
    pairs = (deepest_pair(rows), plain_ends(rows))
    shortcuts, depth = (compare(runs, pair, "percent", CLEAR) if pair else None for pair in pairs)

    def contrary(pair: Comparison) -> list[str]:
        """Return the stages in which the difference has the other sign, which the mean over stages hides."""
        first, second = shares[pair.net], shares[pair.other]
        return [str(s) for s in first.index if pair.direction * (first[s] - second.get(s, math.nan)) < 0]

    sentences = write(
        "why/ranks",
        shortcuts=shortcuts,
        depth=depth,
        shares=shares,
        contrary=contrary,
        last=str(rows["net"].iloc[-1]),
        paper="Orhan and Pitkow 2017",
    )
    heading = ("ranks", "Do the features of deep plain nets fill fewer dimensions?")
    return evidence.chapter(folder, heading, sentences, [ranks_drawing(rows)], [ranks_table(rows)])


def over_stages(rows: pd.DataFrame) -> pd.DataFrame:
    """Return a row a run: `percent`, the mean over its stages."""
    return rows.groupby(["architecture", "depth", "net", "run_id"], sort=False)["percent"].mean().reset_index()


def ranks_table(rows: pd.DataFrame) -> Table:
    """Return a row a net, with the mean effective rank of each stage over seeds."""
    nets = rows.groupby(["net", "stage"], sort=False)
    numbers = nets.agg(
        channels=("channels", "max"), rank=("rank", "mean"), percent=("percent", "mean"), seeds=("run_id", "nunique")
    ).reset_index()
    shown = {"Net": list(dict.fromkeys(numbers["net"]))}
    shown["Seeds"] = [str(numbers.loc[numbers["net"] == net, "seeds"].max()) for net in shown["Net"]]
    for stage, part in numbers.groupby("stage"):
        cells = {row["net"]: f"{row['rank']:.1f} of {row['channels']}" for _, row in part.iterrows()}
        shown[f"Stage {stage}"] = [cells.get(net, NOTHING) for net in shown["Net"]]
    caption = "Effective rank of the features of each stage at the end of training, of so many channels."
    return Table("why-ranks", caption, numbers, pd.DataFrame(shown))
