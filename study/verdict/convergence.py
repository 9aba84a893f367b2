"""Whether a net was still learning when its training ended: the fall of its training error at the end."""

import math

import numpy as np
import pandas as pd

from study.statistics.interval import Interval, mean_interval

SHARE = 0.2
"""The last part of training over which the fall is measured: after the last drop of the rate in common schedules."""
LEAST_POINTS = 3


def fall_at_end(curves: pd.DataFrame, runs: pd.DataFrame, architecture: str, depth: int) -> Interval | None:
    """Return by how many points a net's running training error fell at the end of training; negative: it rose.

    Of each run a straight line is fitted by least squares to the points of the last `SHARE` of its iterations; its
    slope times their number is the fall. Runs that diverged or have fewer than `LEAST_POINTS` points there are left
    out; None where that leaves none.

    Args:
        curves: a row a run and step, as `load_curves` gives them; `train_error` is the running one, as trained.
        runs: the counted runs of the variant.
        architecture: the net's architecture.
        depth: its depth.
    """
    finished = runs[(runs["architecture"] == architecture) & (runs["depth"] == depth) & (runs["outcome"] == "finished")]
    falls = []
    for run_id, total in zip(finished["run_id"], finished["total_iterations"], strict=True):
        last = curves[(curves["run_id"] == run_id) & (curves["step"] > (1 - SHARE) * total)]
        last = last.dropna(subset=["train_error"])
        if last["step"].nunique() >= LEAST_POINTS:
            slope = np.polyfit(last["step"] / total, last["train_error"], 1)[0]
            falls.append(-float(slope) * SHARE)
    return mean_interval(falls) if falls else None


def trainings_needed(difference: float, fall: float) -> float:
    """Return how many further trainings of the same length a difference would take at a pace that doesn't slow.

    Infinite where nothing falls.
    """
    return difference / (fall / SHARE) if fall > 0 else math.inf
