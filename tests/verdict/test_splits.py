"""Runs of several splits of the images: the split is what an interval, a test and a sentence are about."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from study.report import join
from study.statistics.interval import mean_interval
from study.statistics.welch import difference
from study.verdict import judge
from study.verdict import selection as c
from tests.report.conftest import DIGITS
from tests.report.frames import Study, diverge, make_study
from tests.report.studies import loaded, make_protocol

DRAWS = 400
METRIC = "final_train_error"


def on_splits(runs: pd.DataFrame, seeds: int) -> pd.DataFrame:
    """Return runs with so many seeds a split, their own seeds dealt out in turn."""
    return runs.assign(split_seed=runs["seed"] // seeds, seed=runs["seed"] % seeds)


@pytest.fixture(scope="module")
def six() -> Study:
    return make_study(replace(DIGITS, seeds=6))


def drawn(*, common: bool) -> np.ndarray:
    """Return errors (draws, nets, splits, seeds) of two nets, the deeper one two points worse.

    A split adds 1.5 points of its own (one standard deviation) to each net, the same to both if `common`.
    """
    random = np.random.default_rng(5)
    of_split = random.normal(0, 1.5, (DRAWS, 1 if common else 2, 5, 1))
    return 20 + np.array([0.0, 2.0])[:, None, None] + of_split + random.normal(0, 0.5, (DRAWS, 2, 5, 3))


def frame(errors: np.ndarray) -> pd.DataFrame:
    """Return the runs of one study, errors (nets, splits, seeds)."""
    nets, splits, seeds = np.indices(errors.shape).reshape(3, -1)
    return pd.DataFrame(
        {"architecture": "plain", "depth": np.array([8, 20])[nets], "variant": "", "split_seed": splits, "seed": seeds}
        | {METRIC: errors.ravel()}
    )


def coverage(errors: np.ndarray, *, pooled: bool) -> tuple[float, float]:
    """Return how often the interval of the deeper net's mean holds it, and that of the difference of both."""
    held = []
    for study in errors:
        runs = frame(study)
        if pooled:
            runs = runs.drop(columns="split_seed")
        shallow, deep = (c.values(runs, depth, METRIC) for depth in (8, 20))
        mean, rise = mean_interval(deep), difference(deep, shallow, 0.01)
        held.append((mean.low <= 22 <= mean.high, rise.low <= 2 <= rise.high))
    return tuple(np.mean(held, axis=0))


def test_intervals_over_splits_cover_and_those_over_pooled_runs_do_not() -> None:
    margin = 4 * math.sqrt(0.95 * 0.05 / DRAWS)
    errors = drawn(common=False)
    assert coverage(errors, pooled=False) == (pytest.approx(0.95, abs=margin), pytest.approx(0.95, abs=margin))
    assert max(coverage(errors, pooled=True)) < 0.85


def test_splits_that_nets_share_make_the_interval_of_a_difference_no_narrower() -> None:
    mean, rise = coverage(drawn(common=True), pooled=False)
    assert mean == pytest.approx(0.95, abs=4 * math.sqrt(0.95 * 0.05 / DRAWS))
    assert rise > 0.99  # unpaired, so on the safe side


def test_a_net_has_the_mean_of_each_split(six: Study) -> None:
    runs = on_splits(six.runs, 2)
    (verdict,) = judge(runs)
    plain = verdict.plain
    assert plain is not None
    assert plain.headline is not None
    deep = runs[runs["net"] == "plain-56"].groupby("split_seed")[METRIC].mean()
    shallow = runs[runs["net"] == "plain-8"].groupby("split_seed")[METRIC].mean()
    expected = difference(deep, shallow, c.resolution(runs, METRIC))
    assert plain.headline.difference[:4] == pytest.approx(expected[:4])
    assert plain.headline.difference.n == (3, 3)
    assert plain.trend.n == 3
    assert plain.unit == "split"
    assert plain.headline.record()["difference"].record()["unit"] == "split of 2 seeds"
    assert ", 3 splits of 2 seeds each)" in verdict.line
    assert verdict.remedy is not None
    assert verdict.remedy.contrast.n == (3, 3, 3, 3)
    assert "seeds each" not in judge(six.runs)[0].line.replace("6 seeds each", "")


def test_one_seed_a_split_has_the_numbers_of_as_many_seeds(six: Study) -> None:
    (seeds,), (splits,) = judge(six.runs), judge(six.runs.assign(split_seed=six.runs["seed"]))
    assert splits.plain is not None
    assert seeds.plain is not None
    assert splits.line.replace("6 splits of 1 seed each", "6 seeds each") == seeds.line
    assert [pair.difference[:5] for pair in splits.plain.train] == [pair.difference[:5] for pair in seeds.plain.train]


def test_a_split_alone_is_none(six: Study) -> None:
    assert judge(six.runs.assign(split_seed=4)) == judge(six.runs)


def test_seeds_of_other_splits_are_other_runs(six: Study) -> None:
    runs = on_splits(six.runs, 2)
    assert len(c.counted(runs)) == len(runs)
    assert c.excluded(runs) == []
    repeated = pd.concat([runs, runs.iloc[:1].assign(run_id="again")], ignore_index=True)
    assert [run.reason for run in c.excluded(repeated)] == ["repeated: a later run has this seed"]


def test_failures_are_counted_by_run(six: Study) -> None:
    (verdict,) = judge(on_splits(diverge(six, "plain-56 seed 1").runs, 2))
    assert verdict.plain is not None
    assert (verdict.plain.failures[56].failed, verdict.plain.failures[56].seeds) == (1, 6)


def test_a_net_of_one_split_beside_others_has_no_interval(six: Study) -> None:
    runs = on_splits(six.runs, 2)
    runs = runs[(runs["net"] != "plain-8") | (runs["split_seed"] == 0)]
    (verdict,) = judge(runs[runs["depth"].isin([8, 56])])
    assert verdict.plain is not None
    assert (verdict.plain.status, verdict.plain.reason) == ("inconclusive", "one seed")
    assert "plain-8 has one split" in verdict.line
    assert verdict.next_step == "Add splits: three for each net give intervals, five give narrow ones."
    assert verdict.no_remedy == "plain and residual nets have fewer than two depths in common with two splits each"


def test_inconclusive_splits_ask_for_splits() -> None:
    study = make_study(replace(DIGITS, train={("plain", 8): (1, 0.5), ("plain", 20): (1.6, 0.8)}, seeds=6))
    (verdict,) = judge(on_splits(study.runs, 2))
    assert verdict.next_step.startswith("Add splits: if the difference and the spread stay as they are, about ")


def test_a_split_that_was_added_after_results_is_exploratory(six: Study) -> None:
    runs = on_splits(six.runs, 2)
    first = runs[runs["split_seed"] < 2]
    protocols = [make_protocol(first), make_protocol(runs, hour=3, results=32)]
    (reason,) = judge(runs, protocols=protocols)[0].exploratory
    assert reason.startswith("16 runs (plain-8, ")
    assert reason.endswith("were added on 2026-11-27, after 32 results")
    assert judge(first, protocols=protocols[:1])[0].exploratory == ()


def test_studies_of_one_split_each_stay_apart() -> None:
    """On a page of several studies each has its seeds, whatever the others' split."""
    pages = [loaded("a", split_seed=0), loaded("b", seed=1, split_seed=1)]
    verdicts = judge(join(pages, "study report").runs)
    assert len(verdicts) == 2
    assert all("seeds each" in verdict.line and "split" not in verdict.line for verdict in verdicts)
