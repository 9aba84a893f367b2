"""What lesions say of a net, in sentences: single blocks, several at random, and their order."""

import math

import numpy as np
import pandas as pd
from scipy import stats

from study.report.figures.lesion import block_places
from study.report.why.ended import Against, against, deepest_pair
from study.verdict.text import interval, points

PAPER = "Veit et al. 2016"
CLEAR = 5.0
"""Points by which rises of single seeds must differ to be told apart."""
LEAST = 6
"""Reorderings that a rank correlation takes."""
AT_ONCE = 0.5
"""Part of the rise that comes with the first block, from which on it comes at once."""


def sentences(lesions: pd.DataFrame, reorderings: pd.DataFrame, resolution: float, guessing: float) -> tuple[str, ...]:
    """Return what lesions show of the deepest plain and residual nets as deep.

    Args:
        lesions: of the table `lesion`, at the end of training, all rises finite.
        reorderings: of the table `reordering`, or empty.
        resolution: what one image is worth, in percent.
        guessing: error of guessing, in percent.
    """
    each, random = (lesions[lesions["kind"] == kind] for kind in ("each", "random"))
    said = [*_single(each, resolution, guessing), *_needed(each), *_several(random), *_order(reorderings, resolution)]
    return tuple(said) or (_alone(lesions),)


def by_run(rows: pd.DataFrame) -> pd.DataFrame:
    """Return a row a run: the mean `rise` over its blocks or draws, and `whole`, the error of the whole net."""
    rows = rows.assign(whole=rows["error"] - rows["rise"])
    keys = ["architecture", "depth", "net", "run_id"]
    return rows.groupby(keys, sort=False)[["rise", "whole"]].mean().reset_index()


def _single(each: pd.DataFrame, resolution: float, guessing: float) -> list[str]:
    """Compare a residual with a plain net by what a single block is worth."""
    pair = deepest_pair(each)
    if pair is None:
        return []
    plain, residual = pair
    runs = by_run(each)
    one = against(runs, plain, residual, "rise")
    counts = [each.loc[each["net"] == net, "block"].nunique() for net in (plain, residual)]
    text = f"Without one of its blocks, in the mean over {counts[0]}, {plain} errs by {_mean(one.values)} points more, "
    text += f"{residual} over {counts[1]} by {_mean(one.others)} ({_rests(one, resolution)})"
    room = guessing - float(runs.loc[runs["net"] == plain, "whole"].mean())
    if room < guessing / 2:
        text += f", though guessing would add only {points(room)} to the error of {plain}"
    way = _way(one, resolution)
    if way > 0:
        return [f"{text}: the residual net depends less on single blocks, as in {PAPER} (Figure 3)."]
    if way < 0:
        return [f"{text}: the residual net depends more on single blocks, unlike in {PAPER} (Figure 3)."]
    return [f"{text}: which depends more on single blocks can't be told."]


def _needed(each: pd.DataFrame) -> list[str]:
    """Name the block that the deepest residual net needs most, and what those are worth that change the map."""
    residual = each[each["architecture"] == "residual"]
    if residual.empty:
        return []
    mine = residual[residual["depth"] == residual["depth"].max()]
    net, rises = str(mine["net"].iloc[0]), mine.groupby("block")["rise"].mean()
    most = str(rises.idxmax())
    place = block_places([str(block) for block in rises.index])[most]
    text = f"The block that {net} needs most is the {_ordinal(place)} from the input ({most}, {points(rises.max())} "
    text += "points)"
    marked = mine.groupby("block")["downsamples"].any()
    if marked.any() and not marked.all():
        changed, kept = float(rises[marked].mean()), float(rises[~marked].mean())
        text += f"; those that change the map are worth {points(changed, kept)} in the mean, "
        if abs(changed - kept) < 1:
            text += f"much the same as the others ({points(kept, changed)}), where they cost most in {PAPER}"
        elif changed > kept:
            text += f"more than the others ({points(kept, changed)}), as in {PAPER}"
        else:
            text += f"less than the others ({points(kept, changed)}), unlike in {PAPER}"
    return [f"{text}."]


def _several(random: pd.DataFrame) -> list[str]:
    """Say how the error rises with the number of blocks that are out, at once or by degrees."""
    pair = deepest_pair(random)
    if pair is None:
        return []
    parts = []
    for net in reversed(pair):
        rises = random[random["net"] == net].groupby("count")["rise"].agg(["mean", "min", "max"])
        if len(rises) < 2:
            return []
        first, last = rises.iloc[0], rises.iloc[-1]
        text = f"{net} loses {points(first['mean'], last['mean'])} points with {rises.index[0]} block out and "
        text += f"{points(last['mean'], first['mean'])} with {rises.index[-1]} "
        text += f"({interval(last['mean'], last['min'], last['max'])} over draws)"
        if last["mean"] >= CLEAR:
            text += ", at once" if first["mean"] >= AT_ONCE * last["mean"] else ", by degrees"
        parts.append(text)
    return [f"With blocks taken out at random, {parts[0]}; {parts[1]}. In {PAPER} (Figure 5a) residual nets lose by "
            "degrees."]  # fmt: skip


def _order(reorderings: pd.DataFrame, resolution: float) -> list[str]:
    """Compare residual with plain nets by what another order of their blocks costs."""
    pair = deepest_pair(reorderings) if len(reorderings) else None
    if pair is None:
        return []
    plain, residual = pair
    one = against(by_run(reorderings), plain, residual, "rise")
    text = f"In another order of its blocks {plain} errs by {_mean(one.values)} points more and {residual} by "
    text += f"{_mean(one.others)}, in the mean over reorderings ({_rests(one, resolution)})"
    way = _way(one, resolution)
    text += ": " + {1: "the residual net depends less on their order", -1: "the residual net depends more on their "
                    "order", 0: "which depends more on their order can't be told"}[way]  # fmt: skip
    mine = reorderings[reorderings["net"] == residual]
    if len(mine) >= LEAST and mine["kendall_tau"].nunique() > 1 and mine["rise"].nunique() > 1:
        rho = float(stats.spearmanr(mine["kendall_tau"], mine["rise"]).statistic)
        text += f". The rise of {residual} and Kendall's tau have a rank correlation of {rho:.2f} over {len(mine)} "
        text += f"reorderings, where {PAPER} (Figure 5b) has the error rise smoothly as tau falls"
    return [f"{text}."]


def _way(one: Against, resolution: float) -> int:
    """Return 1 where the first net's rise is the higher, -1 where it's the lower, 0 where it can't be told."""
    found = one.difference(resolution)
    if math.isnan(found.low):
        return 0 if not abs(found.estimate) >= CLEAR else int(math.copysign(1, found.estimate))
    return 1 if found.low > 0 else -1 if found.high < 0 else 0


def _rests(one: Against, resolution: float) -> str:
    found = one.difference(resolution)
    if math.isnan(found.low):
        return "one seed each" if len(one.values) == len(one.others) == 1 else "too few seeds for an interval"
    return f"95% interval of the difference {interval(found.estimate, found.low, found.high)}"


def _mean(values: np.ndarray) -> str:
    return points(float(values.mean()))


def _ordinal(place: int) -> str:
    ending = "th" if place % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(place % 10, "th")
    return f"{place}{ending}"


def _alone(lesions: pd.DataFrame) -> str:
    """Say what a block is worth where no two nets can be compared."""
    each = by_run(lesions[lesions["kind"] == "each"] if (lesions["kind"] == "each").any() else lesions)
    net, part = list(each.groupby("net", sort=False))[-1]
    return (
        f"Without one of its blocks {net} errs by {points(float(part['rise'].mean()))} points more in the mean; there "
        "is no net as deep of the other kind to compare with."
    )
