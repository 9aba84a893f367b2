"""Ratios over seeds: their geometric mean with its interval, and how both are written."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from study.statistics.interval import Mean, mean_interval
from study.statistics.welch import clean, welch
from study.verdict.text import grounds

ROUNDING = 1e-6
"""Of a logarithm of what a probe measures in single precision."""


class Factor(NamedTuple):
    """A geometric mean over seeds with its 95% interval; NaN where there is none."""

    estimate: float
    low: float
    high: float
    n: int

    @property
    def above(self) -> bool:
        """Whether 1 is excluded from below."""
        return self.low > 1

    @property
    def below(self) -> bool:
        """Whether 1 is excluded from above."""
        return self.high < 1


def factor_interval(values: ArrayLike) -> Factor:
    """(seeds,) -> geometric mean, with Student's t interval of the logarithms.

    Values that aren't above 0 and finite are left out, as those of a run that diverged.
    """
    kept = clean(values)
    mean = mean_interval(np.log(kept[(kept > 0) & np.isfinite(kept)]))
    return Factor(math.exp(mean.estimate), math.exp(mean.low), math.exp(mean.high), mean.n)


def factor_between(deep: ArrayLike, shallow: ArrayLike) -> Factor:
    """(seeds of one net,), (seeds of another,) -> the ratio of geometric means, Welch's interval of the logarithms.

    `n` is that of the net with fewer seeds. Values that aren't above 0 and finite are left out.
    """
    logs = [np.log(kept[(kept > 0) & np.isfinite(kept)]) for kept in (clean(deep), clean(shallow))]
    found, n = welch(logs, [1.0, -1.0], ROUNDING), min(len(one) for one in logs)
    low, high = (math.nan, math.nan) if math.isnan(found.error) else found.interval()
    return Factor(math.exp(found.estimate), math.exp(low), math.exp(high), n)


def number(value: float, digits: int = 2) -> str:
    """Write a number with so many significant digits, never as a power of ten up to a million: ``0.0031``, ``420``."""
    if not math.isfinite(value) or value == 0:
        return f"{value:g}"
    text = f"{value:.{digits - 1}e}"
    if not 1e-6 <= abs(value) < 1e6:
        return text
    rounded = float(text)
    return f"{rounded:,.{max(0, digits - 1 - math.floor(math.log10(abs(rounded))))}f}"


def bounds(one: Factor | Mean, write: Callable[[float], str] = number) -> str:
    """Write what a mean rests on: ``95% interval 1.19 to 1.22, 3 seeds``, ``one seed, so no interval``."""
    return grounds(one.n, "" if math.isnan(one.low) else f"{write(one.low)} to {write(one.high)}")
