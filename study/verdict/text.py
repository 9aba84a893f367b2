"""How numbers, intervals and lists are written in a sentence, by functions and by templates."""

import math
from collections.abc import Callable, Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined

from study.statistics.interval import Interval


def points(value: float, *others: float) -> str:
    """Write a number of points with as many decimals as it and the numbers beside it need, and never ``-0.0``."""
    decimals = 1 if max(abs(v) for v in (value, *others) if not math.isnan(v)) >= 10 else 2
    return f"{round(value, decimals) + 0.0:.{decimals}f}"


def interval(estimate: float, low: float, high: float) -> str:
    """Write an interval with the estimate's decimals: ``28.0 to 36.2``."""
    return f"{points(low, estimate, high)} to {points(high, estimate, low)}"


def size(d: Interval) -> str:
    """Write an estimate in points: ``32.1``."""
    return points(d.estimate, d.low, d.high)


def bounds(d: Interval) -> str:
    """Write the interval of an estimate in points: ``28.0 to 36.2``."""
    return interval(*d[:3])


def grounds(d: Interval, write: Callable[[float], str] | None = None) -> str:
    """Write what an estimate rests on: ``95% interval 28.0 to 36.2, 3 seeds``, ``one seed, so no interval``.

    `write` is how a bound is written, where that isn't in points.
    """
    seeds = f"one {d.unit}" if d.seeds == 1 else units(d.seeds, d.unit)
    if math.isnan(d.low):
        return f"{seeds}, so no interval"
    return f"95% interval {f'{write(d.low)} to {write(d.high)}' if write else bounds(d)}, {seeds}"


def units(number: int, unit: str) -> str:
    """Write how many seeds or splits there are: ``5 seeds``, ``5 splits of 2 seeds``."""
    return f"{number} {unit if number == 1 else _plural(unit)}"


def units_each(d: Interval) -> str:
    """Write how many seeds or splits each of two nets has: ``5 splits of 2 seeds each``, ``3 and 5 seeds``."""
    first, second = d.n
    return f"{units(first, d.unit)} each" if first == second else f"{first} and {second} {_plural(d.unit)}"


def _plural(unit: str) -> str:
    noun, blank, rest = unit.partition(" ")
    return f"{noun}s{blank}{rest}"


def more_or_less(d: Interval) -> str:
    """Write a difference without a sign: ``3.1 points more``, ``0.20 points less``."""
    bound = 0.0 if math.isnan(d.low) else max(abs(d.low), abs(d.high))
    return f"{points(abs(d.estimate), bound)} points {'less' if d.estimate < 0 else 'more'}"


def p_value(p: float) -> str:
    """Write a p-value with two significant digits: ``p = 0.0042``."""
    if p < 0.0001:
        return "p < 0.0001"
    if p > 0.99:
        return "p > 0.99"
    return f"p = {p:.2f}" if p >= 0.1 else f"p = {float(f'{p:.2g}'):.6f}".rstrip("0")


def probability(d: Interval) -> str:
    """Write a probability with its interval: ``1.00 (95% interval 0.29 to 1.00)``."""
    ends = "" if math.isnan(d.low) else f" (95% interval {d.low:.2f} to {d.high:.2f})"
    return f"{d.estimate:.2f}{ends}"


def number(value: float, digits: int = 2) -> str:
    """Write a number with so many significant digits, never as a power of ten up to a million: ``0.0031``, ``420``."""
    if not math.isfinite(value) or value == 0:
        return f"{value:g}"
    text = f"{value:.{digits - 1}e}"
    if not 1e-6 <= abs(value) < 1e6:
        return text
    rounded = float(text)
    return f"{rounded:,.{max(0, digits - 1 - math.floor(math.log10(abs(rounded))))}f}"


def listed(words: Sequence[str]) -> str:
    """Join words as a list in a sentence: ``a, b and c``."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def capital(text: str) -> str:
    """Return a sentence with its first letter as a capital."""
    return f"{text[0].upper()}{text[1:]}"


def sentence_templates(package: str) -> Environment:
    """Return the environment of a package's templates of sentences: plain text, with these functions as filters."""
    environment = Environment(
        loader=PackageLoader(package), autoescape=False, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )  # the page escapes the text
    environment.filters |= {
        "points": points,
        "size": size,
        "bounds": bounds,
        "grounds": grounds,
        "units_each": units_each,
        "more_or_less": more_or_less,
        "p_value": p_value,
        "probability": probability,
        "number": number,
        "listed": listed,
        "capital": capital,
    }
    environment.tests |= {"nan": math.isnan, "infinite": math.isinf}
    return environment
