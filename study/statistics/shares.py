"""Shares of seeds, such as of those that fail: Clopper and Pearson's exact bounds."""

import math

from scipy import stats

from study.statistics.interval import CONFIDENCE, Interval


def share_interval(successes: float, trials: int) -> Interval:
    """Return a share with Clopper and Pearson's interval (1934, Biometrika 26); none of fewer than one trial.

    `successes` need not be whole, as Mann and Whitney's U over its trials steps finer than a share.
    """
    if trials < 1:
        return Interval(math.nan, math.nan, math.nan, n=(0,))
    tail = (1 - CONFIDENCE) / 2
    low = 0.0 if successes <= 0 else float(stats.beta.ppf(tail, successes, trials - successes + 1))
    return Interval(successes / trials, low, highest_share(successes, trials, 1 - tail), n=(trials,))


def highest_share(successes: float, trials: int, confidence: float = CONFIDENCE) -> float:
    """Return the largest share that so many trials don't exclude, one-sided: 45% after none of five, 10% of 29."""
    if successes >= trials:
        return 1.0
    return float(stats.beta.ppf(confidence, successes + 1, trials - successes))


def more_often(deep: tuple[int, int], shallow: tuple[int, int]) -> float:
    """(successes, trials) of two nets -> one-sided p-value of the first net's share not being larger.

    Fisher's exact test (1934, Statistical Methods for Research Workers, section 21.02): 0.05 for three of three against
    none of three.
    """
    table = [[successes, trials - successes] for successes, trials in (deep, shallow)]
    return float(stats.fisher_exact(table, alternative="greater").pvalue)
