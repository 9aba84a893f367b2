"""What proposes the refining points."""

import itertools
import math
from pathlib import Path

import pytest

from study.config import Tune
from study.tune import shared_points
from study.tune.propose import bisect, even
from tests.tune.bowl import ask, finish, loss, open_search

SPACE = {"weight_decay": (1e-6, 1e-2), "momentum": (0.5, 0.99), "warmup": (0, 100)}


@pytest.mark.parametrize("bottom", [0.0031, 0.03, 0.4])
def test_bisect_finds_the_bottom_of_a_bowl(tmp_path: Path, bottom: float) -> None:
    """The gap beside the best halves, so that few trials come close."""
    tune = Tune(trials=16, shared=5, sampler="bisect", low=0.001, high=1.0)
    best = open_search(tmp_path, tune)
    finish(best, bottom)
    found = best.best()
    assert found is not None
    assert found[0]["lr"] == pytest.approx(bottom, rel=0.25)  # near rates are averaged


def test_bisect_halves_the_wider_gap() -> None:
    tune = Tune(low=0.001, high=10.0)
    tried = [{"lr": rate} for rate in (0.01, 0.1, 10.0)]
    assert bisect(tune, {"lr": 0.1}, tried) == {"lr": 1.0}
    assert bisect(tune, {"lr": 0.01}, tried) == {"lr": 0.03162}  # 0.001 is no farther than 0.1
    assert bisect(tune, {"lr": 10.0}, tried) == {"lr": 1.0}  # at the bound itself there is one gap
    assert bisect(tune, {"lr": 1000.0}, [*tried, {"lr": 1000.0}]) == {"lr": 100.0}  # found by widening
    assert bisect(tune, None, []) == {"lr": 0.1}


def test_bisect_in_several_dimensions(tmp_path: Path) -> None:
    tune = Tune(trials=24, shared=8, sampler="bisect", low=0.001, high=1.0, momentum=(0.5, 0.99), widen=0, confirm=0)
    search = open_search(tmp_path, tune)
    while not search.done:
        trial = ask(search)
        search.tell(trial, loss(trial.rate) + math.log10((1 - trial.point["momentum"]) / 0.1) ** 2)
    found = search.best()
    assert found is not None
    assert found[1] < 0.01
    assert found[0]["momentum"] == pytest.approx(0.9, abs=0.02)


@pytest.mark.parametrize("extra", [{}, SPACE])
def test_gp_refines_near_the_best(tmp_path: Path, extra: dict[str, object]) -> None:
    tune = Tune(trials=6, shared=4, sampler="gp", low=0.001, high=1.0, widen=0, confirm=0, **extra)  # type: ignore[arg-type]
    search = open_search(tmp_path, tune)
    trials = finish(search)
    assert [trial.point for trial in trials[:4]] == shared_points(tune)
    assert all(set(trial.point) == set(tune.fields) for trial in trials)
    if not extra:
        assert min(loss(trial.rate) for trial in trials[4:]) < min(loss(trial.rate) for trial in trials[:4])


def test_gp_proposes_the_same_when_it_is_opened_again(tmp_path: Path) -> None:
    tune = Tune(trials=5, shared=4, sampler="gp", low=0.001, high=1.0, widen=0, confirm=0)
    search = open_search(tmp_path, tune, name="whole")
    whole = finish(search)
    for _ in range(4):
        again = open_search(tmp_path, tune, name="broken")
        trial = ask(again)
        again.tell(trial, loss(trial.rate))
    assert ask(open_search(tmp_path, tune, name="broken")) == whole[4]


def test_tpe_searches_every_field_within_its_bounds(tmp_path: Path) -> None:
    tune = Tune(trials=20, shared=6, sampler="tpe", low=0.001, high=1.0, widen=0, confirm=0, **SPACE)  # type: ignore[arg-type]
    search = open_search(tmp_path, tune)
    trials = finish(search)
    assert len({tuple(trial.point.values()) for trial in trials}) == 20
    for field, (low, high) in {**SPACE, "lr": (0.001, 1.0)}.items():  # type: ignore[misc]
        values = [trial.point[field] for trial in trials]
        assert low * 0.999 <= min(values) < max(values) <= high * 1.001
    assert all(trial.point["warmup"] == int(trial.point["warmup"]) for trial in trials)
    stored = search._trials()[-1].params
    assert stored["1 - momentum"] == pytest.approx(1 - trials[-1].point["momentum"], rel=1e-3)


def test_tpe_draws_momentum_on_the_scale_of_its_complement(tmp_path: Path) -> None:
    """Most of a linear scale from 0.5 to 0.999 lies below 0.95; on this one, less than half does."""
    tune = Tune(trials=40, shared=1, sampler="tpe", momentum=(0.5, 0.999), widen=0, confirm=0, pruner="none")
    values = [trial.point["momentum"] for trial in finish(open_search(tmp_path, tune))]
    assert sum(value > 0.95 for value in values) > 15


def test_none_has_shared_points_only(tmp_path: Path) -> None:
    tune = Tune(trials=9, sampler="none", widen=0, confirm=0)
    assert [trial.point for trial in finish(open_search(tmp_path, tune))] == shared_points(tune)


@pytest.mark.parametrize("sampler", ["gp", "tpe", "bisect"])
def test_no_rate_is_tried_twice_whatever_becomes_of_trials(tmp_path: Path, sampler: str) -> None:
    """Left to itself, the Gaussian process proposes a pruned rate again."""
    tune = Tune(trials=9, shared=5, sampler=sampler, low=0.001, high=1.0, widen=0, confirm=0)  # type: ignore[arg-type]
    search = open_search(tmp_path, tune)
    trials = []
    for how in ("tell", "tell", "tell", "tell", "prune", "prune", "fail", "prune", "tell"):
        trials.append(ask(search))
        value = -math.log10(trials[-1].rate)  # the highest is best: all that refines lies near it
        if how == "tell":
            search.tell(trials[-1], value)
        elif how == "prune":
            search.prune(trials[-1], value)
        else:
            search.fail(trials[-1])
    logs = sorted(math.log10(trial.rate) for trial in trials)
    assert min(above - below for below, above in itertools.pairwise(logs)) > 0.01
    assert search.done


def test_bisect_never_runs_out_of_rates() -> None:
    tune = Tune(trials=100, low=0.1, high=0.12)
    tried = [{"lr": 0.11}]
    for _ in range(60):
        point = bisect(tune, {"lr": 0.11}, tried)
        assert point not in tried
        tried.append(point)


def test_near_rates_are_averaged_and_a_divergence_does_not_frighten() -> None:
    tune = Tune(low=0.001, high=1.0)
    lucky = [
        ({"lr": rate}, value) for rate, value in ((0.01, 2.0), (0.0126, 1.5), (0.016, 2.1), (0.1, 1.7), (0.12, 1.7))
    ]
    evened = dict(zip((point["lr"] for point, _ in lucky), even(tune, lucky), strict=True))
    assert evened[0.1] < evened[0.0126]  # the least value, between two bad ones
    assert evened[0.1] == pytest.approx(1.7, abs=0.05)
    wild = even(tune, [({"lr": 0.1}, 1.0), ({"lr": 0.15}, 23.0), ({"lr": 0.01}, 1.2), ({"lr": 0.02}, 1.3)])
    assert wild[0] < 2  # 23 counts as 2.5
    assert even(tune, [({"lr": rate}, 23.0) for rate in (0.01, 0.02, 0.1)]) == [23.0] * 3
    assert even(tune, []) == []
