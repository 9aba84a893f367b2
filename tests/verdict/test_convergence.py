import math

import numpy as np
import pandas as pd
import pytest

from study.verdict.convergence import fall_at_end, trainings_needed


def frames(ends, points=20, outcome="finished"):
    """Curves that are level and then fall by so many points over the last fifth."""
    runs, curves = [], []
    for seed, end in enumerate(ends):
        runs.append({"run_id": f"r{seed}", "architecture": "plain", "depth": 56, "outcome": outcome,
                     "total_iterations": 1000})  # fmt: skip
        for step in np.linspace(0, 1000, points + 1)[1:]:
            error = 30 - end * max(0.0, (step - 800) / 200)
            curves.append({"run_id": f"r{seed}", "step": step, "train_error": error})
    return pd.DataFrame(curves), pd.DataFrame(runs)


def test_the_fall_is_the_slope_of_the_last_fifth():
    found = fall_at_end(*frames([2.0, 3.0, 4.0]), "plain", 56)
    assert found.estimate == pytest.approx(3.0)
    assert found.seeds == 3
    assert found.low < 3 < found.high
    rising = fall_at_end(*frames([-1.0, -1.0]), "plain", 56)
    assert rising.estimate == pytest.approx(-1.0)


def test_one_run_has_no_interval():
    found = fall_at_end(*frames([2.0]), "plain", 56)
    assert found.estimate == pytest.approx(2.0)
    assert math.isnan(found.low)


def test_too_few_points_and_diverged_runs_are_left_out():
    assert fall_at_end(*frames([2.0, 3.0], points=10), "plain", 56) is None
    assert fall_at_end(*frames([2.0, 3.0], outcome="diverged"), "plain", 56) is None
    assert fall_at_end(*frames([2.0]), "plain", 20) is None
    curves, runs = frames([2.0, 3.0])
    lost = curves.assign(train_error=curves["train_error"].where(curves["run_id"] == "r0"))
    fall = fall_at_end(lost, runs, "plain", 56)
    assert fall.estimate == pytest.approx(2.0)
    assert math.isnan(fall.low)
    assert fall.seeds == 1


def test_how_long_a_difference_would_take():
    assert trainings_needed(30.0, 3.0) == pytest.approx(2.0)  # 15 points a training
    assert trainings_needed(30.0, 0.0) == trainings_needed(30.0, -1.0) == math.inf
