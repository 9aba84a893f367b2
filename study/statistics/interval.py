"""The one shape that every estimate has, and means with their intervals.

Errors are counts of images, so equal values over seeds don't mean that nothing varies: a mean over N images is rounded
to 100/N percent. Every comparison (`welch`) takes this `resolution` and lets no cell's variance fall below
resolution^2 / 12, the variance of that rounding (Sheppard, 1898, Proc. London Math. Soc. 29). Nothing is then divided
by zero, and no p-value is zero because three seeds happened to agree.

The verdict rests on Welch's intervals and tests: of those here they alone stay near their level from three seeds on,
whatever the spreads. bench/intervals.py measures a coverage of 93-96% of normal errors with spreads of up to 4 to 1,
and of 92-95% of exponential ones, where bootstrap intervals have 75-92% (bench/README.md has the table).
"""

import math
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

CONFIDENCE = 0.95
"""Level of every interval in the report, unless it says another."""
Direction = Literal["more", "rather more", "no more", "less", "unclear"]


class Interval(NamedTuple):
    """An estimate with its 95% interval; NaN where there is none."""

    estimate: float
    low: float
    high: float
    p: float = math.nan
    """Of a true value of zero, two-sided; NaN where that isn't tested."""
    n: tuple[int, ...] = ()
    """Seeds of each cell that it is of: one for a mean, two for a difference, four for a difference in differences."""
    sd: float = math.nan
    """Standard deviation (n - 1) of a mean's values."""
    unit: str = "seed"
    """What `n` counts, in words: seeds, or splits of the images, as in ``split of 2 seeds``."""

    @property
    def seeds(self) -> int:
        """Seeds of the first cell, which the estimate is about; the others are what it is compared with."""
        return self.n[0] if self.n else 0

    def direction(self, smallest: float) -> Direction:
        """Say which way a difference is; without an interval, by the estimate alone.

        `more` is by more than the smallest effect, `rather more` above 0 but perhaps by less than it, `no more` at most
        by it, `less` below 0 by more than it.
        """
        low, high = (self.estimate, self.estimate) if math.isnan(self.low) else (self.low, self.high)
        if math.isnan(self.estimate):
            return "unclear"
        if low > smallest:
            return "more"
        if high < -smallest:
            return "less"
        if high <= smallest:
            return "no more"
        return "rather more" if low > 0 else "unclear"

    def within(self, low: float, high: float) -> "Interval":
        """Return the interval cut off where no value can lie: it holds the truth no less often."""
        if math.isnan(self.low):
            return self
        return self._replace(low=min(max(self.low, low), high), high=max(min(self.high, high), low))

    def record(self) -> dict[str, float | str]:
        """Return the numbers under the names that they have in verdict.json and the tables' CSV files."""
        if len(self.n) == 1:
            return {"estimate": self.estimate, "sd": self.sd, "low": self.low, "high": self.high, "n": self.seeds}
        numbers: dict[str, float | str] = {"estimate": self.estimate, "low": self.low, "high": self.high, "p": self.p}
        if len(self.n) == 2:
            numbers |= {"n_deep": self.n[0], "n_shallow": self.n[1]}
            return numbers if self.unit == "seed" else numbers | {"unit": self.unit}
        return numbers | {"n": min(self.n, default=0)}


def clean(values: ArrayLike) -> NDArray[np.float64]:
    """Return (n,) the values without NaN."""
    array = np.asarray(values, dtype=np.float64).ravel()
    return array[~np.isnan(array)]


def mean_interval(values: ArrayLike) -> Interval:
    """(seeds,) -> mean with Student's t interval (Student, 1908, Biometrika 6).

    NaN values are left out. One value has no deviation and no interval (NaN); no value has no mean either.
    """
    known = clean(values)
    n = len(known)
    if n < 2:
        return Interval(float(known[0]) if n else math.nan, math.nan, math.nan, n=(n,))
    mean, sd = float(known.mean()), float(known.std(ddof=1))
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, n - 1)) * sd / math.sqrt(n)
    return Interval(mean, mean - half, mean + half, n=(n,), sd=sd)


def mean_percent(values: ArrayLike) -> Interval:
    """(seeds,) in percent -> `mean_interval`, cut off at 0 and 100."""
    return mean_interval(values).within(0, 100)


def geometric_mean(values: ArrayLike) -> Interval:
    """(seeds,) -> geometric mean, with Student's t interval of the logarithms.

    Values that aren't above 0 and finite are left out, as those of a run that diverged.
    """
    return exponential(mean_interval(logarithms(values)))


def logarithms(values: ArrayLike) -> NDArray[np.float64]:
    """Return (n,) the logarithms of the values that are above 0 and finite."""
    known = clean(values)
    return np.asarray(np.log(known[(known > 0) & np.isfinite(known)]))


def exponential(interval: Interval) -> Interval:
    """Return the interval of a factor from that of its logarithm."""
    estimate, low, high = (math.exp(bound) for bound in interval[:3])
    return Interval(estimate, low, high, n=interval.n)
