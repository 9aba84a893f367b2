"""The chapter on effective ranks: whether the features of deep plain nets depend on each other more."""

import math
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from study.report.figures import ranks as figure
from study.report.figures.drawing import Picture
from study.report.figures.ranks import RankData
from study.report.figures.style import COLUMN, WIDTH
from study.report.tables.results import NOTHING, Table
from study.report.why.drawing import make_picture
from study.report.why.ended import Against, against, deepest_pair, ended, plain_ends
from study.report.why.evidence import Chapter, Evidence
from study.verdict import selection as c
from study.verdict.text import interval, listed, points

PAPER = "Orhan and Pitkow 2017"
RESOLUTION = 0.1
"""Of a share, in percent: of a net's rank another sample of images changes about that."""
CLEAR = 5.0
"""Points by which shares of single seeds must differ to be told apart."""


def ranks_chapter(evidence: Evidence, folder: Path) -> Chapter | None:
    """Tell whether features fill fewer dimensions in deep plain nets; None where it wasn't measured.

    Args:
        evidence: with the table `ranks`.
        folder: where figures go.
    """
    rows = ended(evidence, "ranks")
    if rows.empty:
        return None
    kept = rows["architecture"].isin(["plain", "residual"]) & np.isfinite(rows["share"])
    rows = c.ordered(rows.assign(percent=100 * rows["share"])[kept])
    data = figure.rank_data(rows)
    if data is None:
        return None
    said = (*_with_shortcuts(rows), *_with_depth(rows))
    heading = "Do the features of deep plain nets fill fewer dimensions?"
    return Chapter("ranks", heading, said or (_alone(rows),), (_picture(data, evidence, folder),), (_table(rows),))


def over_stages(rows: pd.DataFrame) -> pd.DataFrame:
    """Return a row a run: `percent`, the mean over its stages."""
    return rows.groupby(["architecture", "depth", "net", "run_id"], sort=False)["percent"].mean().reset_index()


def _with_shortcuts(rows: pd.DataFrame) -> list[str]:
    """Compare a plain with a residual net, at the greatest depth that both have."""
    pair = deepest_pair(rows)
    if pair is None:
        return []
    plain, residual = pair
    one = against(over_stages(rows), plain, residual, "percent")
    shares = listed([f"{share:.0f}%" for share in _shares(rows, residual)])
    text = f"The features of {plain} fill {_by_stage(rows, plain)}, those of {residual} {shares}; in the mean over "
    text += f"stages {plain} fills {_apart(one)}"
    verdict = {
        -1: f"the plain net's depend more on each other, as {PAPER} have it",
        1: f"the plain net's depend less on each other, unlike in {PAPER}",
        0: "which depend more on each other can't be told",
    }
    way = _way(one)
    return [f"{text}: {verdict[way]}{_unlike(rows, plain, residual, way)}."]


def _with_depth(rows: pd.DataFrame) -> list[str]:
    """Compare the deepest with the shallowest plain net."""
    pair = plain_ends(rows)
    if pair is None:
        return []
    deep, shallow = pair
    one = against(over_stages(rows), deep, shallow, "percent")
    verdict = {
        -1: "fewer dimensions are filled with depth",
        1: "more dimensions are filled with depth",
        0: "whether depth fills fewer can't be told",
    }
    way = _way(one)
    text = f"Features fill {points(one.values.mean())}% of the channels in the mean over stages of {deep} and "
    text += f"{points(one.others.mean())}% of {shallow}, {_apart(one)}"
    return [f"{text}: {verdict[way]}{_unlike(rows, deep, shallow, way)}."]


def _unlike(rows: pd.DataFrame, net: str, other: str, way: int) -> str:
    """Name the stages in which the difference has the other sign, which the mean over stages hides."""
    first, second = _shares(rows, net), _shares(rows, other)
    stages = [str(stage) for stage in first.index if way * (first[stage] - second.get(stage, math.nan)) < 0]
    return f", though not in stage {listed(stages)}" if stages else ""


def _apart(one: Against) -> str:
    """Write a difference and what it rests on."""
    found = one.difference(RESOLUTION)
    more = "more" if found.estimate >= 0 else "less"
    text = f"{points(abs(found.estimate))} points {more}"
    if math.isnan(found.low):
        return f"{text} (one seed each)" if len(one.values) == len(one.others) == 1 else f"{text} (too few seeds)"
    return f"{text} (95% interval of the difference {interval(found.estimate, found.low, found.high)})"


def _way(one: Against) -> int:
    """Return 1 where the first net's share is the higher, -1 where it's the lower, 0 where it can't be told."""
    found = one.difference(RESOLUTION)
    if math.isnan(found.low):
        return 0 if not abs(found.estimate) >= CLEAR else int(math.copysign(1, found.estimate))
    return 1 if found.low > 0 else -1 if found.high < 0 else 0


def _shares(rows: pd.DataFrame, net: str) -> "pd.Series[float]":
    """Return the mean share over seeds, in percent, by stage."""
    return rows[rows["net"] == net].groupby("stage")["percent"].mean()


def _by_stage(rows: pd.DataFrame, net: str) -> str:
    """Write a net's shares: ``72%, 68% and 68% of the channels of its 3 stages``."""
    shares = _shares(rows, net)
    if len(shares) == 1:
        return f"{shares.iloc[0]:.0f}% of the channels of stage {shares.index[0]}"
    return f"{listed([f'{share:.0f}%' for share in shares])} of the channels of its {len(shares)} stages"


def _alone(rows: pd.DataFrame) -> str:
    net = str(rows["net"].iloc[-1])
    return f"The features of {net} fill {_by_stage(rows, net)}; there is no net to compare it with."


def _picture(data: RankData, evidence: Evidence, folder: Path) -> Picture:
    counts = sorted({mean.seeds for one in data.series for mean in one.means})
    seeds = "One seed a net" if counts == [1] else "Hollow: seeds; full: their mean with its 95% interval"
    if counts[-1] > 1:
        seeds += f" ({counts[0]} seeds)" if len(counts) == 1 else f" ({counts[0]} to {counts[-1]} seeds)"
    caption = (
        "Effective rank of the features that each stage gives out at the end of training, exp of the entropy of their "
        "singular values (Roy and Vetterli 2007), as a share of the channels: 100% where all directions vary alike. "
        f"Features that depend on each other linearly ({PAPER}, arXiv 1701.09175) have a low one. {seeds}."
    )
    cells = [
        f"{one.architecture}, stage {one.stage}: "
        + ", ".join(f"{mean.estimate:.0f}% at {depth}" for depth, mean in zip(one.depths, one.means, strict=True))
        for one in data.series
    ]
    alt = f"Charts of the effective rank in percent of the channels by layers. {'; '.join(cells)}."
    panels = len(data.stages)
    size = {"columns": panels, "height": 2.8, "width": WIDTH if panels > 1 else 1.2 * COLUMN, "sharey": True}
    texts = ("Dimensions that features fill", caption, alt)
    return make_picture(evidence, folder, "ranks", texts, partial(figure.draw_ranks, data), data.frame(), **size)


def _table(rows: pd.DataFrame) -> Table:
    """Return a row a net, with the mean effective rank of each stage over seeds."""
    numbers = (
        rows.groupby(["net", "stage"], sort=False)
        .agg(channels=("channels", "max"), rank=("rank", "mean"), percent=("percent", "mean"),
             seeds=("run_id", "nunique"))
        .reset_index()
    )  # fmt: skip
    shown: dict[str, list[str]] = {"Net": list(dict.fromkeys(numbers["net"]))}
    shown["Seeds"] = [str(numbers.loc[numbers["net"] == net, "seeds"].max()) for net in shown["Net"]]
    for stage in sorted(set(numbers["stage"])):
        mine = numbers[numbers["stage"] == stage].set_index("net")
        shown[f"Stage {stage}"] = [
            f"{mine.loc[net, 'rank']:.1f} of {mine.loc[net, 'channels']}" if net in mine.index else NOTHING
            for net in shown["Net"]
        ]
    caption = "Effective rank of the features of each stage at the end of training, of so many channels."
    return Table("why-ranks", caption, numbers, pd.DataFrame(shown))
