"""The chapter on slowness: whether deep plain nets learn exponentially slowly, as the paper conjectures."""

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from study.errors import StudyError
from study.report.figures import slowness as figure
from study.report.figures.drawing import Picture
from study.report.figures.style import COLUMN
from study.report.tables.results import NOTHING, Table
from study.report.why.chapter import Chapter, Evidence
from study.report.why.drawing import make_picture
from study.statistics.depth_laws import (
    LAWS,
    Crossing,
    DepthFit,
    Judgement,
    Law,
    find_crossing,
    fit_depth_law,
    judge_depth_laws,
)
from study.verdict import selection as c
from study.verdict.text import listed, number, p_value

THRESHOLDS = (5.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0)
"""Training errors, in percent, of which the chapter takes one."""
MOST = 0.75
"""Share of each architecture's runs that is to cross the threshold."""
PAPER_DOUBLING = 14.7
"""Layers that double the iterations of the paper's plain nets to 20% (read from its Figure 6, 20 to 56 layers)."""


class Slowness(NamedTuple):
    """One architecture's runs and what was fitted to them."""

    architecture: str
    crossings: tuple[Crossing, ...]
    fits: dict[Law, DepthFit]
    """Empty where too few runs crossed."""
    judgement: Judgement | None


def slowness_chapter(evidence: Evidence, folder: Path) -> Chapter | None:
    """Tell how the iterations to a training error rise with depth; None of one depth, or without a constant rate.

    Args:
        evidence: of which the runs' curves are used.
        folder: where figures go.
    """
    if evidence.curves.empty:
        return None
    curves = constant_phase(evidence.curves[evidence.curves["run_id"].isin(evidence.runs["run_id"])])
    kinds = [kind for kind in c.architectures(curves) if len(c.depths(curves[curves["architecture"] == kind])) > 1]
    curves = curves[curves["architecture"].isin(kinds)]
    if curves.empty:
        return None
    threshold = choose_threshold(curves)
    found = tuple(_slowness(kind, crossings(curves[curves["architecture"] == kind], threshold)) for kind in kinds)
    said = [*(_rise(one, threshold) for one in found), *_contrast(found)]
    said += [text for one in found if one.architecture == "plain" and (text := _law(one))]
    tables = [fits_table(found, threshold)] if any(one.fits for one in found) else []
    tables += [predictions_table(found)] if any(one.judgement for one in found) else []
    heading = "Do deep plain nets learn exponentially slowly?"
    return Chapter("slowness", heading, tuple(said), (_picture(found, threshold, evidence, folder),), tuple(tables))


def constant_phase(curves: pd.DataFrame) -> pd.DataFrame:
    """Return the points of curves up to the first fall of the learning rate: all nets get better where it falls.

    A rate that rises, as in the warm-up of a very deep net, ends nothing. A run whose rate falls before its second
    point has no such phase.
    """
    ordered = curves[(curves["step"] > 0) & curves["train_error"].notna()].sort_values(["run_id", "step"])
    fell = ordered.groupby("run_id")["lr"].diff() < 0
    kept = ordered[fell.groupby(ordered["run_id"]).cumsum() == 0]
    return kept[kept.groupby("run_id")["step"].transform("size") > 1].reset_index(drop=True)


def crossings(curves: pd.DataFrame, threshold: float) -> tuple[Crossing, ...]:
    """Return when each run's training error first fell to the threshold."""
    return tuple(
        find_crossing(int(run["depth"].iloc[0]), int(run["seed"].iloc[0]), run["step"].tolist(),
                      run["train_error"].tolist(), threshold=threshold)
        for _, run in curves.groupby("run_id", sort=False)
    )  # fmt: skip


def choose_threshold(curves: pd.DataFrame) -> float:
    """Return the lowest of `THRESHOLDS` that three in four runs of each architecture reach in the phase.

    Where there is none, that which most runs reach of the architecture of which fewest do.
    """
    least = curves.groupby(["architecture", "run_id"])["train_error"].min()

    def share(threshold: float) -> float:
        return float((least <= threshold).groupby(level=0).mean().min())

    return next((one for one in THRESHOLDS if share(one) >= MOST), max(THRESHOLDS, key=share))


def _slowness(architecture: str, found: tuple[Crossing, ...]) -> Slowness:
    try:
        fits = {law: fit_depth_law(found, law) for law in LAWS}
    except StudyError:
        return Slowness(architecture, found, {}, None)
    depths = sorted({one.depth for one in found})
    if len(depths) < 4:
        return Slowness(architecture, found, fits, None)
    try:
        judged = judge_depth_laws(found, depths[-3] if len(depths) > 4 else depths[-2])
    except StudyError:
        judged = None
    return Slowness(architecture, found, fits, judged)


def _rise(one: Slowness, threshold: float) -> str:
    """Say by how many layers the time to an error doubles."""
    who, error = f"{one.architecture} nets".capitalize(), f"{threshold:g}% training error"
    late = sum(not run.crossed for run in one.crossings)
    if not one.fits:
        return (
            f"{who} can't be timed: {late} of {len(one.crossings)} runs didn't reach {error} at a constant rate, which "
            "leaves too few to fit."
        )
    fit = one.fits["exponential"]
    rest = f"{fit.runs} runs" + f", of which {late} didn't get there" * (late > 0)
    if fit.slope_low > 0:
        text = f"{who} take twice the iterations to {error} with every {number(fit.doubling)} layers (95% interval "
        text += f"{number(fit.doubling_low)} to {number(fit.doubling_high)}, {rest})"
        return text + f"; the paper's, to 20%, with every {PAPER_DOUBLING:.0f}" * (one.architecture == "plain") + "."
    if fit.slope_high < 0:
        return f"{who} take fewer iterations to {error} the deeper they are ({rest})."
    text = f"Whether {one.architecture} nets take longer to {error} the deeper they are can't be told ({rest})"
    if fit.slope_high > 0:
        least = min(fit.doubling_low, 10 * max(run.depth for run in one.crossings))  # more would say nothing of these
        text += f": what is excluded is a doubling with fewer than {number(least)} layers"
    return f"{text}."


def _contrast(found: tuple[Slowness, ...]) -> list[str]:
    """Say whether shortcuts change how time rises with depth."""
    fits = {one.architecture: one.fits["exponential"] for one in found if one.fits}
    if not {"plain", "residual"} <= set(fits):
        return []
    plain, residual = fits["plain"], fits["residual"]
    error = [(fit.slope_high - fit.slope_low) / 2 for fit in (plain, residual)]
    more, reach = plain.slope - residual.slope, math.hypot(*error)
    if abs(more) <= reach:
        return ["Whether shortcuts change that rise can't be told."]
    return [f"With shortcuts the iterations rise {'less' if more > 0 else 'more'} with depth than without."]


def _law(one: Slowness) -> str:
    """Say which law predicts the deeper nets."""
    judged = one.judgement
    if judged is None:
        return f"More depths that get there would tell if that of {one.architecture} nets is exponential or a power."
    fitted = listed([str(depth) for depth in sorted({run.depth for run in one.crossings}) if depth <= judged.up_to])
    telling = [row for row in judged.predictions if row.law in judged.excluded]
    depth = min(telling, key=lambda row: row.p).depth if telling else max(row.depth for row in judged.predictions)
    rows = {row.law: row for row in judged.predictions if row.depth == depth}
    seen = rows["power"]
    text = (
        f"Fitted to {fitted} layers, an exponential law predicts {_steps(rows['exponential'].predicted)} iterations at "
    )
    text += f"{depth} layers ({p_value(rows['exponential'].p)}) and a power law {_steps(seen.predicted)} "
    text += f"({p_value(seen.p)}); there were {'' if seen.crossed else 'more than '}{_steps(seen.observed)}: "
    if len(judged.excluded) == 1:
        text += f"the {judged.excluded[0]} law is excluded"
    else:
        text += "both laws are excluded" if judged.excluded else "neither law is excluded"
        factor = math.exp(min(abs(judged.log_likelihood_ratio), 700.0))
        better = "exponential" if judged.log_likelihood_ratio > 0 else "power"
        text += f", the {better} one is likelier by a factor of {number(factor)}" if factor >= 1.1 else ""
    return f"{text}."


def _steps(value: float) -> str:
    return number(value, 3 if value >= 100 else 2)


def fits_table(found: tuple[Slowness, ...], threshold: float) -> Table:
    """Return what was fitted to each architecture."""
    fits = [(one.architecture, fit) for one in found for fit in one.fits.values()]
    numbers = pd.DataFrame([{"architecture": kind, **vars(fit)} for kind, fit in fits])
    shown = pd.DataFrame({
        "Nets": [kind for kind, _ in fits],
        "Law": [fit.law for _, fit in fits],
        "Exponent": [f"{fit.slope:.3g}, {fit.slope_low:.3g} to {fit.slope_high:.3g}" for _, fit in fits],
        "Layers that double it": [
            NOTHING if math.isnan(fit.doubling) or fit.slope <= 0
            else f"{number(fit.doubling)}, {number(fit.doubling_low)} to {number(fit.doubling_high)}"
            for _, fit in fits
        ],
        "Runs": [str(fit.runs) for _, fit in fits],
        "Not there": [str(fit.censored) for _, fit in fits],
        "Log-likelihood": [f"{fit.log_likelihood:.1f}" for _, fit in fits],
    })  # fmt: skip
    caption = (
        f"Laws of the iterations T to {threshold:g}% training error at depth d, with 95% intervals: exponential, "
        "log T = a + b d, and power, log T = a + b log d. Runs that weren't there when the rate first fell count as "
        "taking longer (Tobin 1958, Econometrica 26)."
    )
    return Table("depth-laws", caption, numbers, shown)


def predictions_table(found: tuple[Slowness, ...]) -> Table:
    """Return what laws fitted to the shallower nets say of the deeper ones."""
    rows = [(one, row) for one in found if one.judgement is not None for row in one.judgement.predictions]
    numbers = pd.DataFrame([{"architecture": one.architecture, **vars(row)} for one, row in rows])
    shown = pd.DataFrame({
        "Nets": [one.architecture for one, _ in rows],
        "Fitted up to": [str(one.judgement.up_to) for one, _ in rows if one.judgement is not None],
        "Law": [row.law for _, row in rows],
        "Layers": [str(row.depth) for _, row in rows],
        "Predicted": [_steps(row.predicted) for _, row in rows],
        "Observed": [f"{'' if row.crossed else '> '}{_steps(row.observed)}" for _, row in rows],
        "p": [f"{row.p:.2g}" for _, row in rows],
    })  # fmt: skip
    caption = (
        "Iterations that laws fitted to the shallower nets predict for deeper ones, and the geometric mean over seeds "
        "of those observed (a lower bound where a seed wasn't there when the rate fell); p is that of the prediction."
    )
    return Table("depth-law-predictions", caption, numbers, shown)


def _picture(found: tuple[Slowness, ...], threshold: float, evidence: Evidence, folder: Path) -> Picture:
    data = figure.SlownessData(tuple(_times(one) for one in found), threshold)
    some = any((~one.crossed).any() for one in data.times)
    caption = (
        f"Iterations until the running training error first falls to {threshold:g}%, against depth, a mark a run; only "
        "the phase before the rate first falls is looked at. The error is the lowest of "
        f"{listed([f'{one:g}' for one in THRESHOLDS])}% that three in four runs of each kind reach in it, or that most "
        "do. "
    )
    caption += "Hollow marks with an arrow weren't there by then, and count as taking longer. " if some else ""
    rates = sorted({float(lr) for lr in evidence.runs["lr"].dropna()})
    if len(rates) > 1:
        caption += f"Nets have their own rates, {rates[0]:.3g} to {rates[-1]:.3g}. "
    caption += (
        "Dashed: exponential laws, as He et al. 2015 (section 4.1) conjecture of plain nets; dotted: powers of depth."
        if any(one.laws for one in data.times) else "Too few runs were there for a law to be fitted."
    )  # fmt: skip
    title = f"Iterations to {threshold:g}% training error"
    texts = (title, caption, f"Chart of iterations against depth. {' '.join(map(_alt, data.times))}")
    size = {"height": 2.9, "width": 1.3 * COLUMN}
    return make_picture(evidence, folder, "slowness", texts, lambda f, axes: figure.draw_slowness(data, f, axes),
                        data.frame(), **size)  # fmt: skip


def _times(one: Slowness) -> figure.Times:
    depth, step = (np.array([getattr(run, name) for run in one.crossings], dtype=float) for name in ("depth", "step"))
    laws: dict[str, tuple[float, float]] = {law: (fit.intercept, fit.slope) for law, fit in one.fits.items()}
    return figure.Times(one.architecture, depth, step, np.array([run.crossed for run in one.crossings]), laws)


def _alt(one: figure.Times) -> str:
    cells = []
    for depth in sorted(set(one.depth)):
        here = one.depth == depth
        mean = float(np.exp(np.log(one.step[here]).mean()))
        cells.append(f"{depth:.0f} layers {'' if one.crossed[here].all() else 'more than '}{_steps(mean)}")
    return f"{one.architecture.capitalize()} nets, geometric means: {', '.join(cells)}."
