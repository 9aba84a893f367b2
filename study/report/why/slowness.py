"""The chapter on slowness: whether deep plain nets learn exponentially slowly, as the paper conjectures."""

import math
from typing import Any, NamedTuple

import pandas as pd

from study.errors import StudyError
from study.report.figures.slowness import UNLIKE_RATES, slowness_drawing, steps
from study.report.tables.writer import NOTHING, Column, Table, number, with_interval, with_rows
from study.report.why.chapter import Evidence, Findings, chapter
from study.statistics.depth_laws import (
    LAWS,
    Bound,
    Crossing,
    DepthFit,
    Judgement,
    Law,
    Prediction,
    State,
    find_crossing,
    fit_depth_law,
    judge_depth_laws,
)
from study.verdict import selection as c
from study.verdict import text
from study.verdict.text import listed

THRESHOLDS = (5.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0)
"""Training errors, in percent, of which the chapter takes one."""
MOST = 0.75
"""Share of each architecture's runs that is to be seen to cross the threshold."""
PAPER_DOUBLING = 14.7
"""Layers that double the iterations of the paper's plain nets to 20% (read from its Figure 6, 20 to 56 layers)."""

BOUNDS: dict[Bound, str] = {"exact": "", "least": "> ", "most": "< ", "open": "? "}


class Slowness(NamedTuple):
    """One architecture's runs and what was fitted to them."""

    architecture: str
    crossings: tuple[Crossing, ...]
    fits: dict[Law, DepthFit]
    """Empty where too few runs crossed."""
    judgement: Judgement | None

    def count(self, state: State) -> int:
        """Return how many runs were seen to cross, were early or late."""
        return sum(run.state == state for run in self.crossings)

    @property
    def least_doubling(self) -> float:
        """Layers below which a doubling is excluded, where ten times the deepest net's say nothing of these."""
        fit = self.fits["exponential"]
        return min(fit.doubling_low, 10 * max(run.depth for run in self.crossings))

    @property
    def fitted(self) -> list[str]:
        """Depths that the laws which are judged were fitted to."""
        depths = sorted({run.depth for run in self.crossings})
        return [str(depth) for depth in depths if self.judgement and depth <= self.judgement.up_to]

    @property
    def telling(self) -> dict[Law, Prediction]:
        """What each law predicts of the depth that excludes one the most clearly, else of the deepest."""
        rows = self.judgement.predictions if self.judgement else ()
        excluded = [row for row in rows if self.judgement and row.law in self.judgement.excluded]
        depth = min(excluded, key=lambda row: row.p).depth if excluded else max(row.depth for row in rows)
        return {row.law: row for row in rows if row.depth == depth}


@chapter("slowness", "Do deep plain nets learn exponentially slowly?")
def slowness_chapter(evidence: Evidence) -> Findings | None:
    """Tell how the iterations to a training error rise with depth; None of one depth, or without a constant rate."""
    if evidence.curves.empty:
        return None
    curves = constant_phase(evidence.curves[evidence.curves["run_id"].isin(evidence.runs["run_id"])])
    kinds = [kind for kind in c.architectures(curves) if len(c.depths(curves[curves["architecture"] == kind])) > 1]
    curves = curves[curves["architecture"].isin(kinds)]
    if curves.empty:
        return None
    threshold = choose_threshold(curves)
    nets = [fit_laws(kind, crossings(curves[curves["architecture"] == kind], threshold)) for kind in kinds]
    timed = evidence.runs[evidence.runs["run_id"].isin(curves["run_id"])]
    facts = {
        "nets": nets,
        "rates": rates_apart(timed),
        "threshold": threshold,
        "slopes": _slopes(nets),
        "paper_doubling": PAPER_DOUBLING,
        "steps": steps,
    }
    times = pd.DataFrame(
        [(net.architecture, float(run.depth), float(run.step), run.state) for net in nets for run in net.crossings],
        columns=["architecture", "depth", "iterations", "state"],
    )
    fits = {net.architecture: net.fits for net in nets}
    thresholds = listed([f"{percent:g}" for percent in THRESHOLDS])
    rates = sorted({float(lr) for lr in timed["lr"].dropna()})
    drawing = slowness_drawing(times, fits, threshold, thresholds, rates)
    return Findings(facts, [drawing], with_rows((fits_table(nets, threshold), predictions_table(nets))))


def constant_phase(curves: pd.DataFrame) -> pd.DataFrame:
    """Return the points of curves up to the first fall of the learning rate: all nets get better where it falls.

    A rate that rises, as in the warm-up of a very deep net, ends nothing. A run whose rate falls before its second
    point has no such phase.
    """
    ordered = curves[(curves["step"] > 0) & curves["train_error"].notna()].sort_values(["run_id", "step"])
    fell = ordered.groupby("run_id")["lr"].diff() < 0
    phase = ordered[fell.groupby(ordered["run_id"]).cumsum() == 0]
    return phase[phase.groupby("run_id")["step"].transform("size") > 1].reset_index(drop=True)


def crossings(curves: pd.DataFrame, threshold: float) -> tuple[Crossing, ...]:
    """Return when each run's training error first fell to the threshold."""
    runs = [run for _, run in curves.groupby("run_id", sort=False)]
    return tuple(
        find_crossing(
            int(run["depth"].iloc[0]),
            int(run["seed"].iloc[0]),
            run["step"].tolist(),
            run["train_error"].tolist(),
            threshold=threshold,
        )
        for run in runs
    )


def rates_apart(runs: pd.DataFrame) -> dict[str, Any] | None:
    """Return the nets of the lowest and the highest learning rate and the factor between; None if it is small."""
    rates = runs.dropna(subset="lr").sort_values("lr", kind="stable")
    if rates.empty or rates["lr"].iloc[-1] <= UNLIKE_RATES * rates["lr"].iloc[0]:
        return None
    low, high = rates.iloc[0], rates.iloc[-1]
    return {"factor": high["lr"] / low["lr"], "low": low, "high": high}


def choose_threshold(curves: pd.DataFrame) -> float:
    """Return the lowest of `THRESHOLDS` that three in four runs of each architecture are seen to cross in the phase.

    A run that is below at its first point isn't. Where there is none, that which most runs cross of the architecture
    of which fewest do.
    """
    runs = curves.groupby(["architecture", "run_id"])["train_error"]
    first, least = runs.first(), runs.min()
    crossed = {threshold: (least <= threshold) & (first > threshold) for threshold in THRESHOLDS}
    shares = {threshold: float(runs.groupby(level=0).mean().min()) for threshold, runs in crossed.items()}
    reached = (threshold for threshold, share in shares.items() if share >= MOST)
    return next(reached, max(shares, key=lambda threshold: shares[threshold]))


def fit_laws(architecture: str, runs: tuple[Crossing, ...]) -> Slowness:
    """Return an architecture's runs with the laws that could be fitted, judged by the deepest nets of four or more."""
    try:
        fits = {law: fit_depth_law(runs, law) for law in LAWS}
    except StudyError:
        return Slowness(architecture, runs, {}, None)
    depths = sorted({run.depth for run in runs})
    try:
        judged = judge_depth_laws(runs, depths[-3] if len(depths) > 4 else depths[-2]) if len(depths) > 3 else None
    except StudyError:
        judged = None
    return Slowness(architecture, runs, fits, judged)


def _slopes(nets: list[Slowness]) -> dict[str, float] | None:
    """Return by how much plain nets' slope is the greater than residual ones', and the reach of its interval."""
    fits = {net.architecture: net.fits["exponential"] for net in nets if net.fits}
    if not {"plain", "residual"} <= set(fits):
        return None
    plain, residual = fits["plain"], fits["residual"]
    reach = math.hypot(*((fit.slope_high - fit.slope_low) / 2 for fit in (plain, residual)))
    return {"more": plain.slope - residual.slope, "reach": reach}


def fits_table(nets: list[Slowness], threshold: float) -> Table:
    """Return what was fitted to each architecture."""
    fits = [{"architecture": net.architecture, **vars(fit)} for net in nets for fit in net.fits.values()]
    columns = [
        Column("Nets", "architecture"),
        Column("Law", "law"),
        Column("Exponent", ("slope", "slope_low", "slope_high"), with_interval(number(".3g"))),
        Column("Layers that double it", ("slope", "doubling", "doubling_low", "doubling_high"), _doubling),
        Column("Runs", "runs"),
        Column("There at once", "early"),
        Column("Not there", "late"),
        Column("Log-likelihood", "log_likelihood", "{:.1f}".format),
    ]
    return Table.of("depth-laws", pd.DataFrame(fits), columns, threshold=threshold)


def _doubling(slope: float, doubling: float, low: float, high: float) -> str:
    return with_interval(lambda layers, *_: text.number(layers))(doubling, low, high) if slope > 0 else NOTHING


def predictions_table(nets: list[Slowness]) -> Table:
    """Return what laws fitted to the shallower nets say of the deeper ones."""
    judged = [(net.architecture, net.judgement) for net in nets if net.judgement is not None]
    rows = [{"architecture": kind, **vars(row)} for kind, judgement in judged for row in judgement.predictions]
    columns = [
        Column("Nets", "architecture"),
        Column("Fitted up to", "up_to"),
        Column("Law", "law"),
        Column("Layers", "depth"),
        Column("Predicted", "predicted", steps),
        Column("Observed", ("bound", "observed"), lambda bound, seen: f"{BOUNDS[bound]}{steps(seen)}"),
        Column("p", "p", "{:.2g}".format),
    ]
    words = {"up_to": [judgement.up_to for _, judgement in judged for _ in judgement.predictions]}
    return Table.of("depth-law-predictions", pd.DataFrame(rows), columns, words)
