"""How good the best of so many trials of a search is on average: what a search of another length would have found."""

import numpy as np
from numpy.typing import ArrayLike

from study.statistics.interval import clean


def expected_best(errors: ArrayLike, trials: int) -> float:
    """(all trials,) -> the expected lowest error of `trials` drawn from them with replacement; NaN of none.

    Dodge et al. 2019, "Show Your Work" (arXiv 1909.03004), equation 1, for a minimum: the sum of v P(min = v), with
    P(min >= v) the share of errors of v or more, to the power of `trials`. No draw is simulated.

    Raises:
        ValueError: fewer than one trial.
    """
    if trials < 1:
        raise ValueError(f"the best of {trials} trials is none")
    known = np.sort(clean(errors))
    if len(known) == 0:
        return float("nan")
    above = 1 - np.arange(len(known) + 1) / len(known)  # share of errors from each place in the order on
    return float(known @ (above[:-1] ** trials - above[1:] ** trials))
