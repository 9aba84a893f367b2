"""How numbers, intervals and pairs of nets are written in a sentence."""

import math

from study.statistics.interval import Probability
from study.verdict.pairs import ALPHA, Pair
from study.verdict.rule import Finding


def points(value: float, *others: float) -> str:
    """Write a number of points with as many decimals as it and the numbers beside it need, and never ``-0.0``."""
    decimals = 1 if max(abs(v) for v in (value, *others) if not math.isnan(v)) >= 10 else 2
    return f"{round(value, decimals) + 0.0:.{decimals}f}"


def interval(estimate: float, low: float, high: float) -> str:
    """Write an interval with the estimate's decimals: ``28.0 to 36.2``."""
    return f"{points(low, estimate, high)} to {points(high, estimate, low)}"


def grounds(n: int, interval: str) -> str:
    """Write what an estimate rests on: ``95% interval 28.0 to 36.2, 3 seeds``, ``one seed, so no interval``."""
    seeds = "one seed" if n == 1 else f"{n} seeds"
    return f"95% interval {interval}, {seeds}" if interval else f"{seeds}, so no interval"


def p_value(p: float) -> str:
    """Write a p-value with two significant digits: ``p = 0.0042``."""
    if p < 0.0001:
        return "p < 0.0001"
    if p > 0.99:
        return "p > 0.99"
    return f"p = {p:.2f}" if p >= 0.1 else f"p = {float(f'{p:.2g}'):.6f}".rstrip("0")


def probability(one: Probability) -> str:
    """Write a probability with its interval: ``1.00 (95% interval 0.29 to 1.00)``."""
    bounds = "" if math.isnan(one.low) else f" (95% interval {one.low:.2f} to {one.high:.2f})"
    return f"{one.estimate:.2f}{bounds}"


def seeds(pair: Pair) -> str:
    """Write the seeds of a pair: ``3 seeds each``, ``3 and 2 seeds``."""
    deep, shallow = pair.difference.n_deep, pair.difference.n_shallow
    if deep == shallow:
        return f"{deep} seed{'s' * (deep != 1)} each"
    return f"{deep} and {shallow} seeds"


def minus(pair: Pair, metric: str = "training error", *, p: bool = True) -> str:
    """Write a difference: ``plain-56 minus plain-8 is 32.1 points of training error (95% interval ...)``."""
    d = pair.difference
    estimate = points(d.estimate, d.low, d.high)
    return f"{pair.deep_net} minus {pair.shallow_net} is {estimate} points of {metric} ({evidence(pair, p=p)})"


def evidence(pair: Pair, *, p: bool = True) -> str:
    """Write what a difference rests on: interval, p-value and seeds; what is refuted rests on the interval alone."""
    d = pair.difference
    if math.isnan(d.low):
        return seeds(pair)
    bounds = interval(d.estimate, d.low, d.high)
    return f"95% interval {bounds}, {f'{p_value(pair.p_holm)} after Holm, ' * p}{seeds(pair)}"


def shown_by(finding: Finding, pair: Pair) -> str:
    """Write the evidence for a rise that is shown: of the pair itself, or of the order of all depths."""
    if pair.p_holm < ALPHA:
        return evidence(pair)
    d, rise = pair.difference, finding.trend
    bounds = "" if math.isnan(d.low) else f"95% interval {interval(d.estimate, d.low, d.high)}, "
    return f"{bounds}{seeds(pair)}; {p_value(rise.p_holm)} after Holm for the rise over {rise.groups} depths"


def capital(text: str) -> str:
    """Return a sentence with its first letter as a capital."""
    return f"{text[0].upper()}{text[1:]}"
