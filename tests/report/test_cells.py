import numpy as np
import pytest

from study.report import cells

from .frames import unfinish


def test_order_is_plain_first_then_depth_and_seed(digits):
    shuffled = digits.runs.sample(frac=1, random_state=0)
    assert list(cells.ordered(shuffled)["name"]) == list(digits.runs["name"])


def test_resolution_is_one_image(digits):
    assert cells.resolution(digits.runs, "final_train_error") == pytest.approx(100 / 1293)
    assert cells.resolution(digits.runs, "final_test_error") == pytest.approx(100 / 360)
    both = np.hypot(100 / 1293, 100 / 360)
    assert cells.resolution(digits.runs, "generalisation_gap") == pytest.approx(both)


def test_unknown_size_is_coarse(digits):
    assert cells.resolution(digits.runs.assign(train_images=np.nan), "final_train_error") == 1


def test_every_run_is_counted_or_excluded_once(digits):
    runs = unfinish(unfinish(digits, "plain-8 seed 0", "failed"), "resnet-8 seed 0", "running").runs
    runs.loc[runs["name"] == "plain-20 seed 0", "final_train_error"] = np.nan
    left = {run.name: run.reason for run in cells.excluded(runs)}
    assert left == {
        "plain-8 seed 0": "failed", "resnet-8 seed 0": "still running", "plain-20 seed 0": "no final training error",
    }  # fmt: skip
    assert len(cells.counted(runs)) + len(left) == len(runs)
