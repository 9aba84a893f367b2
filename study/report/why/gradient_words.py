"""What gradients from layer to layer say: growth by net and moment, and the sentences of their chapter."""

import math
from typing import NamedTuple

import numpy as np
import pandas as pd

from study.errors import StudyError
from study.report.moments import moments_of, phrase
from study.statistics.growth import BATCH_NORM_GROWTH, fit_growth
from study.statistics.interval import Interval, geometric_mean
from study.verdict import selection as c
from study.verdict.text import capital, grounds, listed, number

SOURCE = "Yang et al. 2019, arXiv 1902.08129"
EXPLOSION = 2.0
"""Powers of ten over all layers from which on growth counts as an explosion."""


class NetGrowth(NamedTuple):
    """A net's growth of gradients a layer at the moments measured: over seeds, and each seed's."""

    net: str
    architecture: str
    depth: int
    layers: int
    """Over which it is fitted."""
    means: dict[float, Interval]
    seeds: dict[float, "pd.Series[float]"]
    """By moment, indexed by run."""


def growths(rows: pd.DataFrame) -> tuple[NetGrowth, ...]:
    """Return each net's growth a layer at each moment (`fit_growth`); seeds whose gradients can't be fitted are out."""
    out = []
    for architecture in c.architectures(rows):
        mine = rows[rows["architecture"] == architecture]
        for depth in c.depths(mine):
            part = mine[mine["depth"] == depth]
            seeds = {at: found for at in moments_of(part) if len(found := _fits(part[part["moment"] == at]))}
            if seeds:
                means = {at: geometric_mean(values) for at, values in seeds.items()}
                layers = int(part["layer"].max())
                out.append(NetGrowth(str(part["net"].iloc[0]), architecture, depth, layers, means, seeds))
    return tuple(out)


def _fits(rows: pd.DataFrame) -> "pd.Series[float]":
    found = {}
    for run, layers in rows.sort_values("layer").groupby("run_id"):
        try:
            found[run] = fit_growth(layers["input_gradient"].tolist()).rate
        except StudyError:  # too shallow, or a gradient that is 0 or not a number
            continue
    return pd.Series(found, dtype=float)


def sentences(rows: pd.DataFrame, nets: tuple[NetGrowth, ...]) -> tuple[str, ...]:
    """Say how gradients grow at initialisation, what is left of it later, and what it does to the first layers.

    Args:
        rows: of the probe, with their `moment`.
        nets: their `growths`.
    """
    return (*_start(nets), *_later(nets), *_held(rows, nets))


def _deepest(nets: tuple[NetGrowth, ...], moment: float | None = None) -> list[NetGrowth]:
    """Return the deepest net of each architecture, of those measured at a moment."""
    there = [net for net in nets if moment is None or moment in net.means]
    return list({net.architecture: net for net in there}.values())  # shallow nets come first


def _start(nets: tuple[NetGrowth, ...]) -> list[str]:
    """Say how gradients grow at initialisation in the deepest nets, and how that compares with theory."""
    out = []
    for net in _deepest(nets, 0.0):
        one = net.means[0.0]
        text = f"At initialisation the gradient's norm changes by a factor of {rate_text(one.estimate)} a layer toward "
        text += f"the input in {net.net} ({grounds(one, rate_text)}), {_fold(one.estimate, net.layers - 1)} over its "
        text += f"layers: {_verdict(one, net.layers - 1)}"
        if net.architecture == "plain":
            text += f"; theory has {BATCH_NORM_GROWTH:.3f} for batch norm and ReLU without shortcuts ({SOURCE}), "
            text += _beside(one)
        out.append(f"{text}.")
    return out


def rate_text(rate: float) -> str:
    """Write a growth a layer, of which the third decimal counts over many layers: ``1.161``."""
    return f"{rate:.3f}"


def _fold(rate: float, steps: int) -> str:
    """Write what a growth comes to over layers: ``30,000-fold``."""
    power = steps * math.log10(rate)
    return f"{number(10**power, 1 if power >= 1 else 2)}-fold" if abs(power) < 6 else f"10 to the {power:.0f}-fold"


def _verdict(one: Interval, steps: int) -> str:
    if math.isnan(one.low):
        return f"it {'grows' if one.estimate > 1 else 'shrinks'}, as far as one seed can tell"
    low, estimate, high = (steps * math.log10(rate) for rate in (one.low, one.estimate, one.high))
    if low > EXPLOSION or high < -EXPLOSION:
        return "it explodes" if low > 0 else "it vanishes"
    if -EXPLOSION <= low and high <= EXPLOSION:
        way = "grows" if one.low > 1 else "shrinks" if one.high < 1 else "neither grows nor shrinks for sure"
        return f"it {way}, and neither explodes nor vanishes (100-fold)"
    return f"whether it {'explodes' if estimate > 0 else 'vanishes'} (100-fold) can't be told"


def _beside(one: Interval) -> str:
    if math.isnan(one.low):
        return "and one seed can't be tested against it"
    if one.low <= BATCH_NORM_GROWTH <= one.high:
        return "which the interval holds"
    return "more than here" if one.high < BATCH_NORM_GROWTH else "less than here"


def _later(nets: tuple[NetGrowth, ...]) -> list[str]:
    """Say what is left of the growth after the iterations measured, and whether it fell."""
    out = []
    for net in _deepest(nets):
        later = [moment for moment in net.means if moment > 0]
        if not later:
            continue
        parts = [f"{rate_text(net.means[at].estimate)} {phrase(at)}" for at in later]
        last = net.means[later[-1]]
        text = f"In {net.net} the factor is {listed(parts)} ({grounds(last, rate_text)})"
        start = net.means.get(0.0)
        if start is not None:
            text += f"{_left(start, last)}: {_change(net, later[-1])}"
        out.append(f"{text}.")
    return out


def _left(start: Interval, last: Interval) -> str:
    """Write which part of the logarithm of a growth is left, where there was one."""
    if not (start.low > 1 and last.estimate > 1):
        return ""
    return f", {100 * math.log(last.estimate) / math.log(start.estimate):.0f}% of the initial exponent"


def _change(net: NetGrowth, moment: float) -> str:
    """Say whether the growth changed from initialisation on, by the runs measured at both."""
    change = geometric_mean((net.seeds[moment] / net.seeds[0.0]).dropna().to_numpy())
    if change.seeds == 0:
        return "no run was measured at both"
    if math.isnan(change.low):
        return f"{'less' if change.estimate < 1 else 'more'} than at initialisation, in one seed"
    if not (change.low > 1 or change.high < 1):
        return "whether training changed it can't be told from so few seeds"
    last = net.means[moment]
    if change.low > 1:
        return "more than at initialisation"
    return f"less than at initialisation{', but still growth' if last.low > 1 else ''}"


def _held(rows: pd.DataFrame, nets: tuple[NetGrowth, ...]) -> list[str]:
    """Say how far the first steps turned the first layers of the deepest plain net, and how fast they turn since."""
    plain = [net for net in _deepest(nets) if net.architecture == "plain" and 0.0 in net.means]
    later = [moment for net in plain for moment in net.means if moment > 0]
    if not later:
        return []
    net = plain[0]
    mine = rows[(rows["architecture"] == "plain") & (rows["depth"] == net.depth)]
    turns = [float(part.mean(axis=1).mean()) for part in _thirds(mine, later[0], "turn")]
    longer = geometric_mean(_changed(mine, later[0], "weight_norm")[0])
    slower = [geometric_mean(first / last) for first, last in (_changed(mine, at, "effective_lr") for at in later)]
    if not (longer.seeds and slower[0].seeds and slower[-1].seeds) or math.isnan(sum(turns)):
        return []
    text = f"{capital(phrase(later[0]))} the first third of {net.net}'s layers has turned {turns[0]:.2f} rad from its "
    text += f"initial weights and the last third {turns[1]:.2f} rad, and the first third's weights are "
    text += f"{number(longer.estimate)} times as long; its effective rate, next to the last third's, is "
    text += f"{number(slower[0].estimate)} of what it was"
    if len(later) > 1:
        text += f", and {number(slower[-1].estimate)} {phrase(later[-1])}"
    beside = [_beside_held(rows, other, later[-1]) for other in _deepest(nets) if other.architecture == "residual"]
    return [f"{text} ({grounds(slower[-1], number)}): {_verdict_held(slower[-1])}{''.join(beside)}."]


def _thirds(rows: pd.DataFrame, moment: float, column: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return (runs, layers) of the first and of the last third of a net's layers, without runs that lack a number."""
    table = rows[rows["moment"] == moment].pivot_table(index="run_id", columns="layer", values=column, dropna=False)
    third = max(1, table.shape[1] // 3)
    table = table.replace([np.inf, -np.inf], np.nan).dropna()
    return table[table.columns[:third]], table[table.columns[-third:]]


def _changed(rows: pd.DataFrame, moment: float, column: str) -> tuple["pd.Series[float]", "pd.Series[float]"]:
    """Return the factors (runs,) by which a quantity changed since initialisation in the first and the last third."""
    now, start = _thirds(rows, moment, column), _thirds(rows, 0.0, column)
    first, last = ((a / b).dropna().map(math.log).mean(axis=1).map(math.exp) for a, b in zip(now, start, strict=True))
    return first, last


def _beside_held(rows: pd.DataFrame, net: NetGrowth, moment: float) -> str:
    """Say what became of the effective rate of another net's first third."""
    mine = rows[(rows["architecture"] == net.architecture) & (rows["depth"] == net.depth)]
    first, last = _changed(mine, moment, "effective_lr")
    ratio = geometric_mean(first / last)
    return f"; in {net.net} that is {number(ratio.estimate)} ({grounds(ratio, number)})" if ratio.seeds else ""


def _verdict_held(ratio: Interval) -> str:
    if math.isnan(ratio.low) or not (ratio.low > 1 or ratio.high < 1):
        return "whether the first layers are held back can't be told"
    return "the first layers are held back" if ratio.high < 1 else "the first layers aren't held back"
