"""Nets with a remedy against the paper's plain nets: the rise of each with depth, and what it removes of theirs."""

import math
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from study.errors import StudyError
from study.report.why.chapter import Evidence
from study.report.why.names import in_words
from study.statistics.growth import fit_growth
from study.statistics.interval import Direction, Interval, mean_interval
from study.statistics.welch import difference_in_differences, excess
from study.verdict import selection as c
from study.verdict.rule import METRIC

Effect = Literal["removes", "partly", "not", "worse", "fails", "same", "unclear", "alone"]
"""On the rise: leaves none, leaves some, removes none, adds to it. `fails`: it's smaller, but the deep net is no better
than the plain one, as the shallow net is worse. `same`: there is none, with or without the remedy. `alone`: there is
nothing to compare with."""
Array = NDArray[np.float64]
WITHIN: tuple[Direction, ...] = ("no more", "less")
NO_EXCESS = Interval(math.nan, math.nan, math.nan)


class Arm(NamedTuple):
    """One variant of one architecture at the shallowest and the deepest depth that it has; errors are (seeds,)."""

    variant: str
    """Empty for the paper's nets."""
    architecture: str
    shallow: int
    """That of the paper's shallowest plain net where the variant has one depth only and they have a lesser one."""
    deep: int
    deep_net: str
    shallow_errors: Array
    deep_errors: Array
    diverged: int
    """Seeds of the deep net, which count with the error of guessing."""
    rates: tuple[float, ...]
    """Learning rates of the deep net."""
    rise: Interval
    """Deep minus shallow."""
    plain_rise: Interval
    """The same of the paper's plain nets of these depths."""
    removed: Interval
    """The plain nets' rise minus this one."""
    beside_plain: Interval
    """The paper's plain net of the deep depth minus this one's: positive where this one is better."""
    borrowed: bool
    """Whether the shallow net is the paper's plain one."""
    growth: Interval
    """Factor by which gradients grow a layer toward the input at initialisation, over seeds of the deep net."""
    effect: Effect

    @property
    def base(self) -> bool:
        """Whether these are the paper's nets."""
        return not self.variant

    @property
    def name(self) -> str:
        """What a sentence calls it: ``orthogonal weights (plain-56)``, ``the shortcut (resnet-56)``."""
        paper = "the shortcut" if self.architecture == "residual" else "nothing"
        return f"{in_words(self.variant) or paper} ({self.deep_net})"

    @property
    def share(self) -> float:
        """Part of the plain nets' rise that is removed; NaN where they have none."""
        rise = self.plain_rise
        return self.removed.estimate / rise.estimate if rises(rise) else math.nan


def rises(rise: Interval) -> bool:
    """Return whether there is a rise: the interval, or with one seed the estimate, is above 0."""
    return (rise.estimate if math.isnan(rise.low) else rise.low) > 0


def arms(evidence: Evidence) -> tuple[Arm, ...]:
    """Return the paper's plain and residual nets, and every other variant by architecture.

    Plain nets that the options of a shortcut share are the paper's, whatever variant they are told under.
    """
    base = evidence.runs
    others = evidence.others[~evidence.others["run_id"].isin(base["run_id"])]
    plain = base[base["architecture"] == "plain"]
    resolution = c.resolution(evidence.others, METRIC)
    gradients = evidence.probes.get("gradients")
    found = []
    for variant, runs in (("", base), *((name, others[others["variant"] == name]) for name in _names(others))):
        for architecture in c.architectures(runs):
            mine = runs[runs["architecture"] == architecture]
            if architecture != "vgg":  # which has no shortcut, nor any of the remedies
                found.append(_arm(variant, mine, plain, gradients, (resolution, evidence.smallest_effect)))
    return tuple(found)


def _names(runs: pd.DataFrame) -> list[str]:
    return sorted({str(name) for name in runs["variant"]})


def _arm(
    variant: str, mine: pd.DataFrame, plain: pd.DataFrame, gradients: pd.DataFrame | None, units: tuple[float, float]
) -> Arm:
    """Compare one variant; `units` are what one image is worth and the smallest effect."""
    resolution, smallest = units
    shallow, deep = c.depths(mine)[0], c.depths(mine)[-1]
    borrowed = shallow == deep and len(plain) > 0 and c.depths(plain)[0] < deep
    if borrowed:
        shallow = c.depths(plain)[0]
    high, plain_low, plain_high = (
        c.values(runs, depth, METRIC) for runs, depth in ((mine, deep), (plain, shallow), (plain, deep))
    )
    low = plain_low if borrowed else c.values(mine, shallow, METRIC)
    several = shallow < deep
    ends = mine[mine["depth"] == deep]
    arm = Arm(
        variant, str(mine["architecture"].iloc[0]), shallow, deep, str(ends["net"].iloc[0]), low, high,
        int((ends["outcome"] == "diverged").sum()), tuple(sorted({float(f"{lr:.3g}") for lr in ends["lr"].dropna()})),
        excess(high, low, resolution) if several else NO_EXCESS,
        excess(plain_high, plain_low, resolution) if several else NO_EXCESS,
        _better(plain_high, high, resolution) if borrowed else _removed(plain_high, plain_low, high, low, resolution),
        excess(plain_high, high, resolution), borrowed, _growth(gradients, ends), "alone",
    )  # fmt: skip
    return arm._replace(effect=_effect(arm, smallest))


def _better(plain_high: Array, high: Array, resolution: float) -> Interval:
    """Return what is removed of a rise from the same net: the shallow net's error falls out."""
    return excess(plain_high, high, resolution)


def _removed(plain_high: Array, plain_low: Array, high: Array, low: Array, resolution: float) -> Interval:
    if not all(len(cell) for cell in (plain_high, plain_low, high, low)):
        return NO_EXCESS
    return difference_in_differences(plain_high, plain_low, high, low, resolution)


def _effect(arm: Arm, smallest: float) -> Effect:
    """Judge by intervals; where one seed has none, by the estimates."""
    if math.isnan(arm.rise.estimate) or math.isnan(arm.removed.estimate):
        return "alone"
    none_left, beside = arm.rise.direction(smallest) in WITHIN, arm.beside_plain.direction(smallest)
    if none_left and arm.plain_rise.direction(smallest) in WITHIN:
        return "same"
    one = arm.removed
    seen = math.isnan(one.low)
    low, high = (one.estimate - smallest, one.estimate + smallest) if seen else (one.low, one.high)
    if none_left or low > 0:
        better: Effect = "removes" if none_left else "partly"
        return "fails" if beside in WITHIN else "unclear" if beside == "unclear" else better
    if high < 0:
        return "worse"
    return "not" if (one.estimate if seen else high) <= smallest else "unclear"


def _growth(gradients: pd.DataFrame | None, ends: pd.DataFrame) -> Interval:
    """Fit each run's gradients at initialisation (`fit_growth`); runs that can't be fitted are left out."""
    found = []
    if gradients is not None and len(gradients):
        mine = gradients[gradients["run_id"].isin(ends["run_id"]) & (gradients["step"] == 0)]
        for _, layers in mine.sort_values("layer").groupby("run_id"):
            try:
                found.append(fit_growth(layers["input_gradient"].tolist()).rate)
            except StudyError:  # too shallow, or a gradient that is 0 or not a number
                continue
    return mean_interval(found)
