"""The chapter on gradients: whether they vanish or explode from layer to layer, when, and what that does to layers."""

import math
from collections.abc import Iterable
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from study.errors import StudyError
from study.report.figures.gradients import gradients_drawing, weights_drawing
from study.report.moments import label, moments_of
from study.report.tables.writer import Column, Table, number, wide_table, with_interval
from study.report.why.chapter import Evidence, Findings, chapter
from study.statistics.growth import fit_growth
from study.statistics.interval import Interval, geometric_mean
from study.verdict import selection as c
from study.verdict import text

EXPLOSION = 2.0
"""Powers of ten over all layers from which on growth counts as an explosion."""
Outcome = Literal["up", "down", "explodes", "vanishes", "grows", "shrinks", "level", "may explode", "may vanish"]


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


@chapter("gradients", "Do gradients vanish or explode?")
def gradients_chapter(evidence: Evidence) -> Findings | None:
    """Tell how gradients grow by layer and what is left of it later; None where none were measured."""
    rows = evidence.at_moments("gradients")
    nets = growths(rows)
    gradients = gradients_drawing(rows) if nets else None
    if gradients is None:
        return None
    weights = weights_drawing(rows)
    facts = {
        "start": _deepest(net for net in nets if 0.0 in net.means),
        "nets": _deepest(nets),
        "held": _held_back(rows, nets),
        "outcome": outcome,
        "fold": fold,
        "change": change,
    }
    return Findings(facts, [gradients, weights] if weights is not None else [gradients], [growth_table(nets)])


def growths(rows: pd.DataFrame) -> tuple[NetGrowth, ...]:
    """Return each net's growth a layer at each moment (`fit_growth`); seeds whose gradients can't be fitted are out."""
    nets = []
    for net, part in c.ordered(rows).groupby("net", sort=False):
        seeds = {moment: run_growths(part[part["moment"] == moment]) for moment in moments_of(part)}
        seeds = {moment: fits for moment, fits in seeds.items() if len(fits)}
        if seeds:
            first, layers = part.iloc[0], int(part["layer"].max())
            means = {moment: geometric_mean(fits) for moment, fits in seeds.items()}
            nets.append(NetGrowth(str(net), first["architecture"], int(first["depth"]), layers, means, seeds))
    return tuple(nets)


def run_growths(rows: pd.DataFrame) -> "pd.Series[float]":
    """Return the growth of gradients a layer in each run (`fit_growth`) of one moment's rows, as far as it can be had.

    Runs are left out that are too shallow, or have a gradient that is 0 or not a number.
    """
    growth = {}
    for run, layers in rows.sort_values("layer").groupby("run_id"):
        try:
            growth[run] = fit_growth(layers["input_gradient"].tolist()).rate
        except StudyError:
            continue
    return pd.Series(growth, dtype=float)


def _deepest(nets: Iterable[NetGrowth]) -> list[NetGrowth]:
    """Return the deepest net of each architecture."""
    return list({net.architecture: net for net in nets}.values())  # shallow nets come first


def outcome(growth: Interval, steps: int) -> Outcome:
    """Say what a growth a layer comes to over so many layers; of one seed, only whether it is `up` or `down`."""
    if math.isnan(growth.low):
        return "up" if growth.estimate > 1 else "down"
    estimate, low, high = (steps * math.log10(bound) for bound in growth[:3])
    if low > EXPLOSION or high < -EXPLOSION:
        return "explodes" if low > 0 else "vanishes"
    if -EXPLOSION <= low and high <= EXPLOSION:
        return "grows" if growth.low > 1 else "shrinks" if growth.high < 1 else "level"
    return "may explode" if estimate > 0 else "may vanish"


def fold(rate: float, steps: int) -> str:
    """Write what a growth comes to over layers: ``30,000-fold``."""
    power = steps * math.log10(rate)
    return f"{text.number(10**power, 1 if power >= 1 else 2)}-fold" if abs(power) < 6 else f"10 to the {power:.0f}-fold"


def change(net: NetGrowth, moment: float) -> Interval:
    """Return the factor by which a net's growth changed from initialisation on, by the runs measured at both."""
    return geometric_mean((net.seeds[moment] / net.seeds[0.0]).dropna())


def _held_back(rows: pd.DataFrame, nets: tuple[NetGrowth, ...]) -> dict[str, Any] | None:
    """Return how far the first steps turned the first third of the deepest plain net's layers, and what became of it.

    None where that isn't known of the first or of the last of the moments that come after initialisation.
    """
    plain = [net for net in _deepest(nets) if net.architecture == "plain" and 0.0 in net.means]
    later = [moment for net in plain for moment in net.means if moment > 0]
    if not later:
        return None
    net = rows[rows["net"] == plain[0].net]
    turns = [float(third.mean(axis=1).mean()) for third in _thirds(net, later[0], "turn")]
    longer = geometric_mean(_changed(net, later[0], "weight_norm")[0])
    slower = [_rate_change(net, moment) for moment in (later[0], later[-1])]
    if not (longer.seeds and slower[0].seeds and slower[-1].seeds) or math.isnan(sum(turns)):
        return None
    others = {
        other.net: _rate_change(rows[rows["net"] == other.net], later[-1])
        for other in _deepest(nets)
        if other.architecture == "residual"
    }
    return {
        "net": plain[0].net,
        "moments": sorted({later[0], later[-1]}),
        "turns": turns,
        "longer": longer,
        "slower": slower,
        "others": {name: rate for name, rate in others.items() if rate.seeds},
    }


def _rate_change(rows: pd.DataFrame, moment: float) -> Interval:
    """Return by how much the effective rate of the first third of layers changed more than that of the last."""
    first, last = _changed(rows, moment, "effective_lr")
    return geometric_mean(first / last)


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


def growth_table(nets: tuple[NetGrowth, ...]) -> Table:
    """Return the growth of each net at each moment, with its interval."""
    rows = [
        {
            "net": net.net,
            "architecture": net.architecture,
            "depth": net.depth,
            "moment": moment,
            "estimate": growth.estimate,
            "low": growth.low,
            "high": growth.high,
            "n": growth.seeds,
        }
        for net in nets
        for moment, growth in net.means.items()
    ]
    return wide_table("gradient-growth", pd.DataFrame(rows), "moment", _moment_columns)


def _moment_columns(moment: float) -> list[Column]:
    growth = with_interval(number(".3f"))
    return [Column(text.capital(label(moment)), ("estimate", "low", "high", "n"), growth)]
