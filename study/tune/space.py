"""The search space: the rate and other fields of the recipe, each on its scale, and points that all cells share."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from study.config import RunSpec, Tune
from study.config.tune import PAPER_RATE

Point = Mapping[str, float]
"""A value for each searched field of the recipe."""
SPACING = 0.2
"""Decades between neighbouring shared rates, as long as the bounds hold so many."""
FINEST = 1e-4
"""Decades below which rates of four digits can't be told apart."""


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

    @property
    def decades(self) -> float:
        """Decades between its bounds; 0 on a linear scale."""
        if self.scale == "whole":
            return 0.0
        low, high = sorted((self.to_storage(self.low), self.to_storage(self.high)))
        return math.log10(high / low)

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
    """Return the points that every cell tries, the same for all; a longer search keeps those of a shorter one.

    Rates are those of `shared_rates`; other fields begin in their middle and go on with a scrambled Halton sequence.
    """
    searched, rates = axes(tune), shared_rates(tune)
    points = [{axis.field: axis.at(0.5) for axis in searched} | {"lr": rate} for rate in rates]
    others = searched[1:]
    if others:
        from scipy.stats import qmc  # takes half a second, and few searches need it

        places = qmc.Halton(d=len(others), scramble=True, rng=tune.seed).random(len(points))
        for point, row in zip(points[1:], places, strict=False):
            point.update({axis.field: axis.at(place) for axis, place in zip(others, row, strict=True)})
    return points


def shared_rates(tune: Tune) -> list[float]:
    """Return the rates of the shared points: distinct, and spread evenly however many they are.

    The first is the paper's (the middle where the bounds don't span that). The others lie in steps of a fifth of a
    decade from it; each next one is that farthest from those before and, doubled, from the bounds. Where all such rates
    are taken, it goes on in half such steps.
    """
    axis = axes(tune)[0]
    first = PAPER_RATE if axis.low <= PAPER_RATE <= axis.high else axis.at(0.5)
    origin, places = axis.place(first), {first: axis.place(first)}
    step = SPACING / axis.decades
    while len(places) < tune.shared_trials and step * axis.decades > FINEST:
        steps = range(math.ceil(-origin / step - 1e-9), math.floor((1 - origin) / step + 1e-9) + 1)
        free = [origin + number * step for number in steps if axis.at(origin + number * step) not in places]
        room = {
            place: min(2 * place, 2 - 2 * place, *(abs(place - other) for other in places.values())) for place in free
        }
        while room and len(places) < tune.shared_trials:
            farthest = max(room, key=lambda place: round(room[place], 9))
            places[axis.at(farthest)] = farthest
            room = {place: min(most, abs(place - farthest)) for place, most in room.items() if place != farthest}
        step /= 2
    return list(places)


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
