"""How much more error some runs have than others or than a given net, against the smallest effect of interest."""

import math
from typing import Literal, NamedTuple

from numpy.typing import ArrayLike

from study.statistics.welch import clean, welch
from study.verdict.text import grounds, interval, points

Way = Literal["more", "rather more", "no more", "less", "unclear"]


class Excess(NamedTuple):
    """A difference of mean errors in points, with Welch's 95% interval; NaN where there is none."""

    estimate: float
    low: float
    high: float
    n: int
    n_reference: int
    """1: a given net, whose own error is what it is."""

    def way(self, smallest: float) -> Way:
        """Say which way it is; without an interval, by the estimate alone.

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


def excess(values: ArrayLike, reference: ArrayLike, resolution: float) -> Excess:
    """(seeds,), (seeds of the reference,) -> the difference of means (`welch`); a single reference is taken as given.

    Args:
        values: errors in percent; NaN are left out.
        reference: errors in percent to compare with.
        resolution: what one image is worth in percent.
    """
    some, others = clean(values), clean(reference)
    if len(others) == 1 < len(some):
        found = welch([some], [1.0], resolution)
        low, high = found.interval()
        return Excess(found.estimate - others[0], low - others[0], high - others[0], len(some), 1)
    found = welch([some, others], [1.0, -1.0], resolution)
    low, high = (math.nan, math.nan) if math.isnan(found.error) else found.interval()
    return Excess(found.estimate, low, high, len(some), len(others))


def bounds(one: Excess) -> str:
    """Write what it rests on: ``95% interval 28.0 to 36.2, 3 seeds``, ``one seed, so no interval``."""
    return grounds(one.n, "" if math.isnan(one.low) else interval(one.estimate, one.low, one.high))


def size(one: Excess) -> str:
    """Write how much it is: ``3.1 points more``, ``0.20 points less``."""
    bound = 0.0 if math.isnan(one.low) else max(abs(one.low), abs(one.high))
    return f"{points(abs(one.estimate), bound)} points {'less' if one.estimate < 0 else 'more'}"
