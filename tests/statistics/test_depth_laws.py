import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from study.errors import StudyError
from study.statistics.depth_laws import Crossing, find_crossing, fit_depth_law, judge_depth_laws

# Iterations to 20% training error, read from Figure 6 of the paper.
PLAIN = {20: 3800, 32: 7100, 44: 15300, 56: 19400}
RESIDUAL = {20: 2100, 32: 2900, 44: 2300, 56: 2800}


def runs(times: dict[int, float]) -> list[Crossing]:
    return [Crossing(depth, 0, step, True) for depth, step in times.items()]


def drawn(law: str, depths: list[int], *, seeds: int = 3, watched: float = math.inf) -> list[Crossing]:
    """Draw runs of a law that doubles every 14.7 layers, or of a power of 2, with 5% of noise."""
    generator = np.random.default_rng(0)
    found = []
    for depth in depths:
        for seed in range(seeds):
            at = 3000 * (2 ** ((depth - 20) / 14.7) if law == "exponential" else (depth / 20) ** 2)
            step = at * math.exp(0.05 * generator.standard_normal())
            found.append(Crossing(depth, seed, min(step, watched), step <= watched))
    return found


def test_the_papers_plain_nets_double_every_15_layers_and_its_residual_nets_have_no_trend():
    plain = fit_depth_law(runs(PLAIN), "exponential")
    assert plain.doubling == pytest.approx(14.7, abs=0.05)
    assert (plain.doubling_low, plain.doubling_high) == pytest.approx((9.2, 35.9), abs=0.1)
    assert plain.slope_low > 0
    line = stats.linregress(list(PLAIN), np.log(list(PLAIN.values())))
    assert (plain.slope, plain.intercept) == (pytest.approx(line.slope), pytest.approx(line.intercept))
    assert plain.slope_high - plain.slope == pytest.approx(stats.t.ppf(0.975, 2) * line.stderr)
    residual = fit_depth_law(runs(RESIDUAL), "exponential")
    assert residual.slope_low < 0 < residual.slope_high
    assert residual.doubling > 50
    assert residual.doubling_high == math.inf


def test_four_depths_cant_tell_the_laws_apart():
    exponential, power = (fit_depth_law(runs(PLAIN), law) for law in ("exponential", "power"))
    assert power.slope == pytest.approx(1.65, abs=0.1)
    assert abs(exponential.log_likelihood - power.log_likelihood) < 2
    assert math.isnan(power.doubling)


def test_the_likelihood_is_the_normals():
    found = fit_depth_law(drawn("exponential", [20, 32, 44]), "exponential")
    rest = [
        math.log(one.step) - found.intercept - found.slope * one.depth for one in drawn("exponential", [20, 32, 44])
    ]
    sigma = math.sqrt(sum(r * r for r in rest) / 9)
    assert found.log_likelihood == pytest.approx(stats.norm.logpdf(rest, scale=sigma).sum())
    assert found.spread == pytest.approx(sigma * math.sqrt(9 / 7))


def test_runs_that_dont_cross_count_as_longer():
    censored = drawn("exponential", [20, 32, 44, 56], watched=14_000)
    assert sum(not one.crossed for one in censored) == 3
    found = fit_depth_law(censored, "exponential")
    assert (found.runs, found.early, found.late) == (12, 0, 3)
    # The same maximum by a general method.
    depth, y = np.array([one.depth for one in censored]), np.log([one.step for one in censored])
    seen = np.array([one.crossed for one in censored])

    def loss(p):
        r = (y - p[0] - p[1] * (depth - 38)) / math.exp(p[2])
        return -(stats.norm.logpdf(r) - p[2])[seen].sum() - stats.norm.logsf(r[~seen]).sum()

    best = optimize.minimize(loss, [9.0, 0.04, -2.0], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12})
    assert found.slope == pytest.approx(best.x[1], rel=1e-4)
    assert found.intercept == pytest.approx(best.x[0] - 38 * best.x[1], rel=1e-4)
    assert found.spread == pytest.approx(math.exp(best.x[2]) * math.sqrt(9 / 7), rel=1e-3)
    assert found.log_likelihood == pytest.approx(-best.fun)
    # Taking the last step of the runs that didn't cross for a crossing would flatten the law.
    naive = fit_depth_law([Crossing(one.depth, one.seed, one.step, True) for one in censored], "exponential")
    assert naive.slope < found.slope
    assert found.slope_low < math.log(2) / 14.7 < found.slope_high


def test_censoring_far_below_the_line_changes_nothing():
    crossed = drawn("exponential", [20, 32, 44, 56])
    early = [*crossed, Crossing(56, 9, 100.0, False)]  # watched for so short a time that it says nothing
    one, other = (fit_depth_law(some, "exponential") for some in (crossed, early))
    assert other.slope == pytest.approx(one.slope, rel=1e-6)
    assert other.slope_high == pytest.approx(one.slope_high, rel=1e-5)
    assert other.intercept == pytest.approx(one.intercept, rel=1e-6)


def test_runs_that_are_there_at_their_first_point_count_as_faster():
    times = drawn("exponential", [8, 14, 20, 32, 44, 56])
    censored = [Crossing(run.depth, run.seed, max(run.step, 2500), True, run.step < 2500) for run in times]
    censored = [Crossing(run.depth, run.seed, min(run.step, 14_000), run.step <= 14_000, run.early) for run in censored]
    assert [sum(run.state == state for run in censored) for state in ("early", "crossed", "late")] == [6, 9, 3]
    found = fit_depth_law(censored, "exponential")
    assert (found.runs, found.early, found.late) == (18, 6, 3)
    # The same maximum by a general method.
    depth, y = np.array([run.depth for run in censored]), np.log([run.step for run in censored])
    early, late = (np.array([run.state == state for run in censored]) for state in ("early", "late"))

    def loss(p):
        r = (y - p[0] - p[1] * (depth - 29)) / math.exp(p[2])
        beyond = stats.norm.logcdf(r[early]).sum() + stats.norm.logsf(r[late]).sum()
        return -(stats.norm.logpdf(r) - p[2])[~early & ~late].sum() - beyond

    best = optimize.minimize(loss, [9.0, 0.04, -2.0], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12})
    assert found.slope == pytest.approx(best.x[1], rel=1e-4)
    assert found.intercept == pytest.approx(best.x[0] - 29 * best.x[1], rel=1e-4)
    assert found.spread == pytest.approx(math.exp(best.x[2]) * math.sqrt(9 / 7), rel=1e-3)
    assert found.log_likelihood == pytest.approx(-best.fun)
    # Taking the first step of the runs that were there at once for a crossing flattens the law.
    naive = fit_depth_law([Crossing(run.depth, run.seed, run.step, run.crossed) for run in censored], "exponential")
    assert naive.slope < found.slope - 0.004
    assert found.slope == pytest.approx(math.log(2) / 14.7, abs=0.004)


def test_a_bound_is_held_against_the_side_that_it_excludes():
    fitted = drawn("exponential", [20, 32, 44])
    for early, late, bound in ((True, False, "most"), (False, True, "least"), (True, True, "open")):
        deep = [Crossing(110, 0, 900.0, True, early), Crossing(110, 1, 900.0, not late)]
        for row in judge_depth_laws([*fitted, *deep], up_to=44).predictions:
            assert row.bound == bound
            # At 110 layers both laws say far more than 900 iterations.
            assert (row.p < 0.01) == (bound == "most")
            assert row.log_density == pytest.approx(math.log(row.p), abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([8, 20, 32, 56, 110]), st.floats(1, 1e5), st.sampled_from(["early", "crossed", "late"])
        ),
        min_size=3,
        max_size=20,
    )
)
def test_whatever_is_censored_a_fit_is_finite_or_refused(some):
    crossings = [
        Crossing(depth, i, step, state != "late", state == "early") for i, (depth, step, state) in enumerate(some)
    ]
    for law in ("exponential", "power"):
        try:
            found = fit_depth_law(crossings, law)
        except StudyError as error:
            assert "three runs seen to cross" in str(error)  # noqa: PT017
            continue
        assert all(map(math.isfinite, (found.slope, found.slope_low, found.slope_high, found.spread, found.intercept)))
        assert found.slope_low <= found.slope <= found.slope_high


@pytest.mark.parametrize(("law", "other"), [("exponential", "power"), ("power", "exponential")])
def test_deeper_nets_exclude_the_other_law(law, other):
    found = judge_depth_laws(drawn(law, [20, 32, 44, 56, 80, 110]), up_to=56)
    assert found.excluded == (other,)
    assert (found.log_likelihood_ratio > 0) == (law == "exponential")
    assert [(row.law, row.depth) for row in found.predictions] == [
        ("exponential", 80),
        ("exponential", 110),
        ("power", 80),
        ("power", 110),
    ]
    for row in found.predictions:
        assert row.ratio == pytest.approx(row.observed / row.predicted)
        assert (abs(math.log(row.ratio)) < 0.2) == (row.law == law)


def test_a_net_that_never_crosses_excludes_the_power_that_says_it_would():
    # By the exponential 110 layers take 200,000 iterations, by the power fitted to the others about 60,000.
    found = judge_depth_laws(drawn("exponential", [20, 32, 44, 56, 110], watched=150_000), up_to=56)
    assert found.excluded == ("power",)
    exponential, power = found.predictions
    assert power.bound == exponential.bound == "least"
    assert power.predicted < 100_000 < 150_000 < exponential.predicted
    assert exponential.p > 0.5
    assert exponential.log_density == pytest.approx(math.log(exponential.p))


def test_one_seed_and_four_depths_exclude_nothing_at_once():
    # The paper's plain-110 was above 60% after 64,000 iterations: two degrees of freedom say little.
    found = judge_depth_laws([*runs(PLAIN), Crossing(110, 0, 64_000, False)], up_to=56)
    assert found.excluded == ()
    assert found.log_likelihood_ratio > 0


def test_excluded_wrongly_at_most_as_often_as_said():
    wrong = 0
    for seed in range(200):
        generator = np.random.default_rng(seed)
        some = [
            Crossing(depth, i, 3000 * math.exp(0.047 * (depth - 20) + 0.1 * generator.standard_normal()), True)
            for depth in (20, 32, 44, 56, 80, 110)
            for i in range(2)
        ]
        wrong += "exponential" in judge_depth_laws(some, up_to=56).excluded
    assert wrong <= 19  # of a binomial of 200 and 5%, exceeded in 1% of cases


@pytest.mark.parametrize(
    ("errors", "until", "step", "state"),
    [
        ([90, 40, 10], math.inf, 200 + 200 / 3, "crossed"),
        ([90, 20, 10], math.inf, 200, "crossed"),
        ([15, 40, 10], math.inf, 100, "early"),  # when before that isn't known
        ([90, 10, 40], math.inf, 100 + 100 * 70 / 80, "crossed"),  # the first of several
        ([90, 40, 10], 250, 200, "late"),  # crossed after the rate dropped
        ([90, 40, 30], math.inf, 300, "late"),
        ([math.nan, 10, 10], math.inf, 200, "early"),
        ([90, math.nan, 10], math.inf, 300, "crossed"),
        ([90, math.nan, math.nan], math.inf, 300, "late"),
    ],
)
def test_a_crossing_is_interpolated(errors, until, step, state):
    found = find_crossing(20, 1, [100, 200, 300], errors, threshold=20, until=until)
    assert found == Crossing(20, 1, pytest.approx(step), state != "late", state == "early")
    assert found.state == state


def test_what_cant_be_fitted_is_refused():
    with pytest.raises(StudyError, match="no points up to iteration 50"):
        find_crossing(20, 0, [100], [30], threshold=20, until=50)
    with pytest.raises(StudyError, match="three runs seen to cross"):
        fit_depth_law([*runs({20: 100.0, 32: 200.0}), Crossing(44, 0, 300, False)], "power")
    with pytest.raises(StudyError, match="at two depths"):
        fit_depth_law([Crossing(20, seed, 100 + seed, True) for seed in range(3)], "power")
    with pytest.raises(StudyError, match="none is left to predict"):
        judge_depth_laws(runs(PLAIN), up_to=56)
