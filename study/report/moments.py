"""When a probe measured a run: at initialisation, after some iterations, at the end of training."""

import math
from collections.abc import Iterable

import numpy as np
import pandas as pd

END = math.inf
"""The moment of a finished run's last measurement, whose iterations differ between studies."""


def at_moments(rows: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """Return a probe's rows with their `moment`: iterations done, `END` at the last of a run that finished.

    A diverged run has no end: what was measured as it stopped, at no moment that others have, is left out.
    """
    finished = rows["run_id"].isin(runs.loc[runs["outcome"] == "finished", "run_id"])
    last = rows["step"] == rows.groupby("run_id")["step"].transform("max")
    out = rows.assign(moment=rows["step"].astype(float).mask(last & (rows["step"] > 0) & finished, END))
    shared = {0.0, *out.loc[finished, "moment"]} if finished.any() else set(out["moment"])
    return out[out["moment"].isin(shared)].reset_index(drop=True)


def moments_of(rows: pd.DataFrame) -> list[float]:
    """Return the moments of some rows in order of time."""
    return sorted({float(moment) for moment in rows["moment"]})


def evenly(values: Iterable[float], most: int) -> list[float]:
    """Return at most so many of the values, in order: the first, the last, and others evenly in between."""
    ordered = sorted(set(values))
    if len(ordered) <= most:
        return ordered
    return [ordered[round(place)] for place in np.linspace(0, len(ordered) - 1, most)]


def label(moment: float) -> str:
    """Return a moment as a title: ``initialisation``, ``100 iterations``, ``end of training``."""
    if moment == END:
        return "end of training"
    return "initialisation" if moment == 0 else f"{moment:,.0f} iteration{'s' * (moment != 1)}"


def phrase(moment: float) -> str:
    """Return a moment as part of a sentence: ``at initialisation``, ``after 1 iteration``, ``at the end``."""
    if moment == END:
        return "at the end"
    return f"{'after' if moment else 'at'} {label(moment)}"
