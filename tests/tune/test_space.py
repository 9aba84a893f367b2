import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from study.config import DatasetSpec, Recipe, RunSpec, Tune
from study.tune import named, shared_points, with_point
from study.tune.space import Axis, axes, from_storage, to_storage

ALL = {"weight_decay": (1e-5, 1e-2), "momentum": (0.5, 0.99), "warmup": (0, 400)}
EXTRA = [ALL, {}, {"weight_decay": ALL["weight_decay"]}, {"momentum": ALL["momentum"], "warmup": ALL["warmup"]}]
BOUNDS = {
    "log": st.tuples(st.floats(1e-6, 1e-2), st.floats(1.5, 1e5)).map(lambda pair: (pair[0], pair[0] * pair[1])),
    "log complement": st.tuples(st.floats(0.01, 0.5), st.floats(0.6, 0.999)),
    "whole": st.tuples(st.integers(0, 100), st.integers(101, 60_000)).map(
        lambda pair: (float(pair[0]), float(pair[1]))
    ),
}


@st.composite
def some_axis(draw: st.DrawFn) -> Axis:
    scale = draw(st.sampled_from(sorted(BOUNDS)))
    low, high = draw(BOUNDS[scale])
    return Axis("x", low, high, scale)


@given(some_axis(), st.floats(-1, 2))
def test_a_value_lies_where_it_was_put(axis: Axis, place: float) -> None:
    """But for rounding: four digits, or a whole number."""
    value = axis.at(place)
    if axis.scale == "whole":
        assert abs(axis.place(value) - place) * (axis.high - axis.low) <= 0.5 + 1e-6
    else:
        ratio = axis.high / axis.low if axis.scale == "log" else (1 - axis.low) / (1 - axis.high)
        assert abs(axis.place(value) - place) * math.log(ratio) <= 1e-3
    assert axis.at(axis.place(value)) == value


@given(some_axis())
def test_the_bounds_are_where_the_scale_begins_and_ends(axis: Axis) -> None:
    def figure(value: float) -> float:
        return 1 - value if axis.scale == "log complement" else value  # what is rounded to four digits

    assert figure(axis.at(0)) == pytest.approx(figure(axis.low), rel=1e-3)
    assert figure(axis.at(1)) == pytest.approx(figure(axis.high), rel=1e-3)
    assert axis.at(0) <= axis.at(0.5) <= axis.at(1)
    assert axis.at(0) < axis.at(1)


@given(some_axis(), st.floats(0, 1))
def test_storage_gives_back_what_was_put_in(axis: Axis, place: float) -> None:
    value = axis.at(place)
    assert axis.from_storage(axis.to_storage(value)) == value


def test_scales_are_those_that_are_promised() -> None:
    rate, decay, momentum, warmup = axes(Tune(low=0.001, high=0.1, **ALL))  # type: ignore[arg-type]
    assert rate.at(0.5) == 0.01
    assert decay.at(1 / 3) == 1e-4
    assert momentum.at(0.5) == pytest.approx(1 - math.sqrt(0.5 * 0.01), rel=1e-4)  # 1 - momentum from 0.5 to 0.01
    assert warmup.at(0.2501) == 100


def test_samplers_see_momentum_on_the_scale_of_its_complement() -> None:
    tune = Tune(**ALL)  # type: ignore[arg-type]
    point = {"lr": 0.1, "weight_decay": 1e-4, "momentum": 0.98765, "warmup": 12_345.0}
    stored = to_storage(point, tune)
    assert stored == {"lr": 0.1, "weight_decay": 1e-4, "1 - momentum": 0.01235, "warmup": 12_345.0}
    assert from_storage(stored, tune) == point
    assert from_storage(stored | {"warmup": 12}, tune)["warmup"] == 12.0


@pytest.mark.parametrize("extra", EXTRA)
@pytest.mark.parametrize("seed", [0, 1000])
def test_a_longer_search_keeps_the_points_of_a_shorter_one(extra: dict[str, object], seed: int) -> None:
    tune = Tune(trials=40, sampler="none", seed=seed, **extra)  # type: ignore[arg-type]
    points = shared_points(tune)
    for n in (1, 2, 7, 25):
        assert shared_points(tune.model_copy(update={"trials": n})) == points[:n]
    assert len({tuple(point.values()) for point in points}) == 40
    assert all(set(point) == set(tune.fields) for point in points)


BOUNDS_OF_RATES = st.tuples(st.floats(1e-6, 0.5), st.floats(1.05, 1e6))


@given(BOUNDS_OF_RATES, st.integers(1, 60), st.integers(0, 60))
def test_shared_rates_are_distinct_and_apart(bounds: tuple[float, float], n: int, more: int) -> None:
    """A fifth of a decade, as far as the bounds hold so many; a longer search has those of a shorter one first."""
    tune = Tune(trials=n + more, low=bounds[0], high=bounds[0] * bounds[1], sampler="none")
    rates = [point["lr"] for point in shared_points(tune)]
    first = math.log10(rates[0])
    assert rates[0] == 0.1 or not tune.low <= 0.1 <= tune.high
    assert len(set(rates)) == len(rates) == n + more or bounds[1] < 1.2  # of four digits there are no more
    assert all(tune.low * 0.999 <= rate <= tune.high * 1.001 for rate in rates)
    assert [point["lr"] for point in shared_points(tune.model_copy(update={"trials": n}))] == rates[:n]
    room = [(first - math.log10(tune.low)) / 0.2, (math.log10(tune.high) - first) / 0.2]
    held = 1 + sum(math.floor(side + 1e-6) for side in room)
    logs = sorted(math.log10(rate) for rate in rates[:held])
    assert all(above - below > 0.199 for below, above in itertools.pairwise(logs))


@given(st.integers(2, 16), st.floats(-6, 0), st.floats(2, 6))
def test_no_gap_between_shared_rates_is_wide(n: int, low: float, decades: float) -> None:
    """None is wider than twice what it would be if they were spread evenly, and a step."""
    tune = Tune(trials=n, low=10**low, high=10 ** (low + decades), sampler="none")
    logs = sorted(math.log10(point["lr"]) for point in shared_points(tune))
    assert max(above - below for below, above in itertools.pairwise(logs)) <= 2 * decades / n + 0.4
    assert logs[0] - low <= decades / n + 0.8
    assert low + decades - logs[-1] <= decades / n + 0.8


@given(st.integers(1, 40), st.floats(1e-5, 1e-2), st.floats(1.5, 1e4), st.integers(0, 100), st.sampled_from(EXTRA))
def test_shared_points_lie_in_the_bounds(n: int, low: float, ratio: float, seed: int, extra: dict[str, object]) -> None:
    tune = Tune(trials=n, low=low, high=low * ratio, sampler="none", seed=seed, **extra)  # type: ignore[arg-type]
    points = shared_points(tune)
    assert len(points) == n
    for axis in axes(tune):
        assert all(axis.low * 0.999 <= point[axis.field] <= axis.high * 1.001 for point in points)  # four digits


@pytest.mark.parametrize(("low", "high", "first"), [(0.001, 1.0, True), (0.1, 1.0, True), (0.001, 0.09, False)])
def test_the_papers_rate_comes_first_where_the_bounds_span_it(low: float, high: float, first: bool) -> None:
    points = shared_points(Tune(trials=8, low=low, high=high, **ALL))  # type: ignore[arg-type]
    assert (points[0]["lr"] == 0.1) is first
    assert all(point["lr"] != 0.1 for point in points[1:])
    if first:  # with the middle of the others
        assert points[0] == {"lr": 0.1, "weight_decay": 0.0003162, "momentum": 0.92929, "warmup": 200.0}


@pytest.mark.parametrize("extra", EXTRA)
def test_shared_points_are_spread_evenly(extra: dict[str, object]) -> None:
    """Any of the searched fields has a point in each quarter of its range, which random ones often lack."""
    for seed in range(20):
        tune = Tune(trials=16, low=0.2, high=20.0, sampler="none", seed=seed, **extra)  # type: ignore[arg-type]
        points = shared_points(tune)
        for axis in axes(tune):
            quarters = {min(3, int(4 * axis.place(point[axis.field]))) for point in points}
            assert quarters == {0, 1, 2, 3}, (seed, axis)


def test_another_seed_gives_other_points() -> None:
    """In what is searched besides the rate."""
    first, second = (shared_points(Tune(seed=seed, momentum=(0.5, 0.99))) for seed in (1, 2))
    assert first[1:] != second[1:]
    assert [point["lr"] for point in first] == [point["lr"] for point in second]


def test_a_point_in_a_recipe_and_in_words() -> None:
    spec = RunSpec(
        dataset=DatasetSpec(name="digits"),
        architecture="plain",
        depth=8,
        recipe=Recipe(iterations=100, lr="tune", batch_size=64),
        seed=3,
    )
    point = {"lr": 0.05, "weight_decay": 1e-4, "momentum": 0.95, "warmup": 20.0}
    recipe = with_point(spec, point).recipe
    assert (recipe.lr, recipe.weight_decay, recipe.momentum, recipe.batch_size) == (0.05, 1e-4, 0.95, 64)
    assert recipe.warmup == 20
    assert isinstance(recipe.warmup, int)  # part of the run's key: 20.0 would be another run
    assert named(point) == "rate 0.05, weight decay 0.0001, momentum 0.95, warmup 20"
    assert Recipe.model_validate(recipe.model_dump()) == recipe
