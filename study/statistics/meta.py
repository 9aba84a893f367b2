"""The mean of an effect over several studies, which may differ in it."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from study.statistics.interval import CONFIDENCE, Interval


class RandomEffects(NamedTuple):
    """A mean over studies, and how far the studies' true effects lie apart."""

    mean: Interval
    """Its `n` is the number of studies."""
    spread: float
    """Standard deviation between the studies' true effects; 0 where their estimates differ no more than by chance."""


def random_effects(estimates: Sequence[float], errors: Sequence[float]) -> RandomEffects:
    """(studies,) estimates and their standard errors -> the mean of the true effects, of at least two studies.

    The variance between studies is DerSimonian and Laird's (1986, Controlled Clinical Trials 7), the interval Hartung
    and Knapp's (2001, Stat. Med. 20) with Student's t, never narrower than that of the plain standard error (Roever et
    al., 2015, BMC Med. Res. Methodol. 15). Few studies make it wide.

    Raises:
        ValueError: fewer than two studies, or a standard error that isn't above 0.
    """
    y, variances = np.asarray(estimates, dtype=float), np.asarray(errors, dtype=float) ** 2
    studies = len(y)
    if studies < 2 or not (variances > 0).all():
        raise ValueError("a mean over studies takes two or more, each with a standard error above 0")
    weights = 1 / variances
    heterogeneity = float(weights @ (y - weights @ y / weights.sum()) ** 2)
    scale = weights.sum() - (weights**2).sum() / weights.sum()
    between = max(0.0, (heterogeneity - (studies - 1)) / float(scale))
    weights = 1 / (variances + between)
    mean = float(weights @ y / weights.sum())
    factor = max(1.0, float(weights @ (y - mean) ** 2) / (studies - 1))
    error = float(np.sqrt(factor / weights.sum()))
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, studies - 1)) * error
    p = 2 * float(stats.t.sf(abs(mean) / error, studies - 1))
    return RandomEffects(Interval(mean, mean - half, mean + half, p, (studies,)), float(np.sqrt(between)))
