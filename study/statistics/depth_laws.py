"""How long a net takes to learn against its depth: exponentially, as He et al. 2015 conjecture, or as a power.

Section 4.1 (arXiv 1512.03385): "the deep plain nets may have exponentially low convergence rates".
T is the iteration at which a run's training error first falls below a threshold, d the net's depth.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from study.errors import StudyError

Law = Literal["exponential", "power"]
LAWS: tuple[Law, ...] = ("exponential", "power")
LEVEL = 0.95
"""Of intervals; a law is excluded at one less this."""
LEAST_SPREAD = 1e-5
"""Deviation of log T that curves can't tell from none: without it runs that lie on a line would have no spread."""
Array = NDArray[np.float64]
State = Literal["crossed", "early", "late"]
Bound = Literal["exact", "least", "most", "open"]


@dataclass(frozen=True)
class Crossing:
    """When a run's training error first fell below a threshold."""

    depth: int
    seed: int
    step: float
    """Iterations; where it didn't, those it was watched for."""
    crossed: bool
    early: bool = False
    """Whether it was below at the first point of its curve: it crossed at that step or before."""

    @property
    def state(self) -> State:
        """How it crossed: `early` and `late` runs are censored, from the left and from the right."""
        return "early" if self.early else "crossed" if self.crossed else "late"


@dataclass(frozen=True)
class DepthFit:
    """log T = a + b x with normal deviations; x is the depth (exponential) or its logarithm (power)."""

    law: Law
    intercept: float
    slope: float
    slope_low: float
    slope_high: float
    doubling: float
    """Layers that double T, ln 2 / b; infinite where T doesn't rise, NaN for a power."""
    doubling_low: float
    doubling_high: float
    """Infinite where the interval of b holds 0: then there is no trend to speak of."""
    spread: float
    """Deviation of log T."""
    log_likelihood: float
    runs: int
    early: int
    """Runs that were below at their first point: they count as taking no longer than to that."""
    late: int
    """Runs that didn't cross: they count as taking longer than they were watched."""


@dataclass(frozen=True)
class Prediction:
    """What a law fitted to shallower nets says of a deeper one."""

    law: Law
    depth: int
    predicted: float
    """Iterations."""
    observed: float
    """Geometric mean over seeds, in iterations; a bound where some seeds are censored."""
    bound: Bound
    """What `observed` is: exact, the least where a seed didn't cross, the most where one was early, open if both."""
    ratio: float
    """Observed over predicted."""
    log_density: float
    """Of the observed mean of log T by the prediction; where it's a bound, the logarithm of the bound's probability."""
    p: float
    """Probability of an observation as far off, either way; on the one side that counts, where it's a bound."""


@dataclass(frozen=True)
class Judgement:
    """Which law predicts deeper nets."""

    up_to: int
    predictions: tuple[Prediction, ...]
    log_likelihood_ratio: float
    """Of the exponential to the power over the depths held out: above 0 the exponential predicts better."""
    excluded: tuple[Law, ...]
    """Laws some depth held out is improbable by: p times the number of depths is below 5%."""


@dataclass(frozen=True, eq=False)
class _Line:
    """A fitted line, its covariance (2, 2), and the degrees of freedom of its spread."""

    beta: Array
    covariance: Array
    spread: float
    free: int
    log_likelihood: float


def find_crossing(
    depth: int,
    seed: int,
    steps: Sequence[float],
    errors: Sequence[float],
    *,
    threshold: float,
    until: float = math.inf,
) -> Crossing:
    """Return where a curve of training errors (in percent) first reaches the threshold, between points linearly.

    Points after `until`, the end of the phase of constant rate, aren't looked at: all nets cross where the rate drops.
    A curve that starts below the threshold is early: it crosses at its first point at the latest.

    Raises:
        StudyError: no points up to `until`.
    """
    points = [(step, error) for step, error in zip(steps, errors, strict=True) if step <= until]
    if not points:
        raise StudyError(f"the curve of depth {depth}, seed {seed} has no points up to iteration {until:g}")
    before, above = None, False
    for step, error in points:
        if error <= threshold:
            if before is not None and before[1] > threshold:  # a NaN before it gives nothing to interpolate from
                step = before[0] + (step - before[0]) * (before[1] - threshold) / (before[1] - error)
            return Crossing(depth, seed, float(step), True, early=not above)
        before, above = (step, error), above or error > threshold
    return Crossing(depth, seed, float(points[-1][0]), False)


def fit_depth_law(crossings: Sequence[Crossing], law: Law) -> DepthFit:
    """Fit log T = a + b d (T doubles every ln 2 / b layers) or log T = a + b log d, each run a replicate.

    Least squares with Student's interval for b; with runs that are early or didn't cross, which are censored from the
    left and the right, maximum likelihood (Tobin 1958, Econometrica 26) in the form of Olsen 1978 (Econometrica 46),
    which has one maximum, its standard errors from the observed information and enlarged by sqrt(n / (n - 2)), as
    least squares has them; n counts the runs that aren't censored. What a law misses counts as spread; with one seed a
    depth it can't be distinguished from chance.

    Raises:
        StudyError: fewer than three runs were seen to cross, or all at one depth.
    """
    line = _fit(crossings, law)
    slope = float(line.beta[1])
    reach = float(stats.t.ppf((1 + LEVEL) / 2, line.free)) * math.sqrt(line.covariance[1, 1])
    low, high = slope - reach, slope + reach
    layers, least, most = (_doubling(b, law) for b in (slope, high, low))
    return DepthFit(
        law=law,
        intercept=float(line.beta[0]),
        slope=slope,
        slope_low=low,
        slope_high=high,
        doubling=layers,
        doubling_low=least,
        doubling_high=most,
        spread=line.spread,
        log_likelihood=line.log_likelihood,
        runs=len(crossings),
        early=sum(run.state == "early" for run in crossings),
        late=sum(run.state == "late" for run in crossings),
    )


def judge_depth_laws(crossings: Sequence[Crossing], up_to: int) -> Judgement:
    """Fit both laws to nets of at most `up_to` layers, and see which predicts the deeper ones.

    Over a factor of three in depth a power fits as well as an exponential; beyond, they part. The prediction of the
    mean over m seeds at x is Student's, with the variance s^2 / m + (1, x) Cov(a, b) (1, x)'.

    Raises:
        StudyError: too few runs to fit (`fit_depth_law`), or none deeper.
    """
    fitted = [run for run in crossings if run.depth <= up_to]
    depths = sorted({run.depth for run in crossings if run.depth > up_to})
    if not depths:
        raise StudyError(f"no net is deeper than {up_to} layers: none is left to predict")
    lines = {law: _fit(fitted, law) for law in LAWS}
    rows = [
        _predict(lines[law], law, [run for run in crossings if run.depth == depth]) for law in LAWS for depth in depths
    ]
    likely = {law: sum(row.log_density for row in rows if row.law == law) for law in LAWS}
    excluded = tuple(law for law in LAWS if min(row.p for row in rows if row.law == law) * len(depths) < 1 - LEVEL)
    return Judgement(up_to, tuple(rows), likely["exponential"] - likely["power"], excluded)


def _predict(line: _Line, law: Law, runs: Sequence[Crossing]) -> Prediction:
    """Compare what the line says of one depth with its runs."""
    at = np.array([1.0, _x(runs[0].depth, law)])
    expected = float(at @ line.beta)
    seen = float(np.mean([math.log(run.step) for run in runs]))
    scale = math.sqrt(line.spread**2 / len(runs) + float(at @ line.covariance @ at))
    t = stats.t(line.free, expected, scale)
    above, below = float(t.sf(seen)), float(t.cdf(seen))
    bound = bound_of({run.state for run in runs})
    density, p = {
        "exact": (float(t.logpdf(seen)), 2 * min(above, below)),
        "least": (float(t.logsf(seen)), above),
        "most": (float(t.logcdf(seen)), below),
        "open": (0.0, 1.0),
    }[bound]
    times = math.exp(expected), math.exp(seen)
    return Prediction(law, runs[0].depth, *times, bound, math.exp(seen - expected), density, p)


def bound_of(states: Collection[str]) -> Bound:
    """Return what the mean over runs in these states is."""
    states = set(states)
    if states == {"crossed"}:
        return "exact"
    return "open" if states >= {"early", "late"} else "most" if "early" in states else "least"


def _doubling(slope: float, law: Law) -> float:
    if law == "power":
        return math.nan
    return math.log(2) / slope if slope > 0 else math.inf


def _x(depth: int, law: Law) -> float:
    return float(depth) if law == "exponential" else math.log(depth)


def _fit(crossings: Sequence[Crossing], law: Law) -> _Line:
    seen, early = (np.array([run.state == state for run in crossings], dtype=bool) for state in ("crossed", "early"))
    if seen.sum() < 3 or len({run.depth for run in crossings if run.state == "crossed"}) < 2:
        raise StudyError(
            "no law of depth can be fitted: it takes three runs seen to cross the threshold, at two depths"
        )
    x = np.array([[1.0, _x(run.depth, law)] for run in crossings])  # (n, 2)
    y = np.log([run.step for run in crossings])
    inverse = np.linalg.inv(x[seen].T @ x[seen])
    beta = inverse @ x[seen].T @ y[seen]
    n = int(seen.sum())
    variance = max(float(((y - x @ beta)[seen] ** 2).mean()), LEAST_SPREAD**2)  # of the likelihood's maximum
    free = n - 2
    if seen.all():
        most = -n / 2 * (math.log(2 * math.pi * variance) + 1)
        spread = math.sqrt(variance * n / free)
        return _Line(beta, inverse * spread**2, spread, free, most)
    start = np.array([*beta, math.sqrt(variance)])
    beta, covariance, sigma, most = _censored(x, y, seen, np.where(early, -1.0, 1.0), start)
    return _Line(beta, covariance * n / free, sigma * math.sqrt(n / free), free, most)


def _censored(
    x: Array, y: Array, seen: NDArray[np.bool_], side: Array, start: Array
) -> tuple[Array, Array, float, float]:
    """Maximise the likelihood of runs of which some are censored: beta, its covariance, sigma, log-likelihood.

    With theta = 1 / sigma and gamma = beta / sigma, r = theta y - x gamma, it is the sum of log theta - r^2 / 2 over
    runs that were seen to cross and of log P(side Z > side r) over the others, where `side` is 1 for a run that took
    longer than y and -1 for one that took less: concave, so that Newton's steps end at its maximum. `LEAST_SPREAD` is
    added to the squares r^2.
    """
    z = np.column_stack([-x, y])  # r = z (gamma, theta)
    middle = x[:, 1].mean()
    z[:, 1] += middle  # about the mean depth, for the sake of rounding
    known = int(seen.sum())

    def value(phi: Array) -> float:
        if phi[2] <= 0:
            return -math.inf
        r = z @ phi
        squares = r[seen] ** 2 + (LEAST_SPREAD * phi[2]) ** 2
        crossed = math.log(phi[2]) - math.log(2 * math.pi) / 2 - squares / 2
        return float(crossed.sum() + stats.norm.logsf((side * r)[~seen]).sum())

    a, b, sigma = start
    phi = np.array([a + b * middle, b, 1.0]) / max(sigma, 1e-3)
    for _ in range(100):
        slope, bend = _newton(z, seen, side, phi, known)
        step = np.linalg.solve(bend, slope)
        while value(phi + step) < value(phi) and np.abs(step).max() > 1e-12:
            step = step / 2
        phi = phi + step
        if np.abs(step).max() <= 1e-9 * np.abs(phi).max():
            break
    inverse = np.linalg.inv(_newton(z, seen, side, phi, known)[1])
    theta = float(phi[2])
    # beta = gamma / theta, and the intercept at depth 0, by the delta method
    jacobian: Any = np.array([[1, -middle, -(phi[0] - phi[1] * middle) / theta], [0, 1, -phi[1] / theta]]) / theta
    beta = np.array([phi[0] - phi[1] * middle, phi[1]]) / theta
    return beta, jacobian @ inverse @ jacobian.T, 1 / theta, value(phi)


def _newton(z: Array, seen: NDArray[np.bool_], side: Array, phi: Array, known: int) -> tuple[Array, Array]:
    """Return gradient and negative Hessian of the log-likelihood."""
    r = z @ phi
    beyond = side * r
    hazard = math.sqrt(2 / math.pi) / special.erfcx(beyond / math.sqrt(2))  # density over P(Z > beyond)
    pull = np.where(seen, r, side * hazard)
    weight = np.where(seen, 1.0, np.clip(hazard * (hazard - beyond), 0, 1))
    slope = -z.T @ pull + np.array([0, 0, known * (1 / phi[2] - LEAST_SPREAD**2 * phi[2])])
    bend = (z.T * weight) @ z
    bend[2, 2] += known * (1 / phi[2] ** 2 + LEAST_SPREAD**2)
    return slope, bend
