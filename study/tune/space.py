"""The search space: the rate and other fields of the recipe, each on its scale, and points that all cells share."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from study.config import RunSpec, Tune
from study.config.tune import PAPER_RATE

Point = Mapping[str, float]
"""A value for each searched field of the recipe."""


@dataclass(frozen=True)
class Axis:
    """A searched field on the scale where equal steps matter equally: logarithmic, of the value or of 1 - value."""

    field: str
    low: float
    high: float
    scale: str
    """`log`, `log complement` or `whole`."""

    @property
    def parameter(self) -> str:
        """Name in Optuna's storage, which holds a field on the scale that samplers should see."""
        return f"1 - {self.field}" if self.scale == "log complement" else self.field

    def to_storage(self, value: float) -> float:
        """Return the number that Optuna's storage holds for a value: 1 - value on the scale `log complement`."""
        return round(1 - value, 12) if self.scale == "log complement" else value

    def from_storage(self, stored: float) -> float:
        """Return the value of a number in Optuna's storage: whole, or rounded to four digits."""
        return float(round(stored)) if self.scale == "whole" else self.to_storage(rounded(stored))

    def at(self, place: float) -> float:
        """Return the value at `place` (0 the lower bound, 1 the upper; beyond them too), rounded to four digits."""
        if self.scale == "whole":
            return float(round(self.low + place * (self.high - self.low)))
        if self.scale == "log":
            return rounded(self.low * (self.high / self.low) ** place)
        low, high = 1 - self.high, 1 - self.low
        return self.to_storage(rounded(high * (low / high) ** place))

    def place(self, value: float) -> float:
        """Return the place of a value: the inverse of `at`."""
        if self.scale == "whole":
            return (value - self.low) / (self.high - self.low)
        if self.scale == "log":
            return math.log(value / self.low) / math.log(self.high / self.low)
        low, high = 1 - self.high, 1 - self.low
        return math.log((1 - value) / high) / math.log(low / high)


def axes(tune: Tune) -> tuple[Axis, ...]:
    """Return the searched fields, the rate first."""
    searched = [Axis("lr", tune.low, tune.high, "log")]
    for field, scale in (("weight_decay", "log"), ("momentum", "log complement"), ("warmup", "whole")):
        bounds = getattr(tune, field)
        if bounds is not None:
            searched.append(Axis(field, float(bounds[0]), float(bounds[1]), scale))
    return tuple(searched)


def rounded(value: float) -> float:
    """Return a value with four digits, as it is written and compared everywhere."""
    return float(f"{value:.4g}")


def shared_points(tune: Tune) -> list[dict[str, float]]:
    """Return the points that every cell tries, the same for all.

    First the paper's rate where the bounds span it (with the middle of the other fields), then a scrambled Halton
    sequence: any beginning of it is spread evenly, so that a longer search keeps the points of a shorter one.
    """
    searched = axes(tune)
    paper = tune.low <= PAPER_RATE <= tune.high
    points = [{axis.field: axis.at(0.5) for axis in searched} | {"lr": PAPER_RATE}] if paper else []
    from scipy.stats import qmc  # takes half a second, and few users of this package need it

    places = qmc.Halton(d=len(searched), scramble=True, rng=tune.seed).random(tune.shared_trials)
    points += [{axis.field: axis.at(place) for axis, place in zip(searched, row, strict=True)} for row in places]
    return points[: tune.shared_trials]


def to_storage(point: Point, tune: Tune) -> dict[str, float]:
    """Return a point as Optuna's storage holds it."""
    return {axis.parameter: axis.to_storage(point[axis.field]) for axis in axes(tune)}


def from_storage(parameters: Point, tune: Tune) -> dict[str, float]:
    """Return the point that Optuna's storage holds."""
    return {axis.field: axis.from_storage(parameters[axis.parameter]) for axis in axes(tune)}


def with_point(spec: RunSpec, point: Point) -> RunSpec:
    """Return a run with the searched fields of its recipe set."""
    return spec.with_recipe(**{field: int(value) if field == "warmup" else value for field, value in point.items()})


def named(point: Point) -> str:
    """Return a point in words: `rate 0.1, weight decay 0.0001`."""
    words = {"lr": "rate", "weight_decay": "weight decay"}
    return ", ".join(f"{words.get(field, field)} {value:g}" for field, value in point.items())
