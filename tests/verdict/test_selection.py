import numpy as np
import pandas as pd
import pytest

from study.verdict import selection as cells
from tests.report.frames import unfinish


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
        "plain-8 seed 0": "failed",
        "resnet-8 seed 0": "still running",
        "plain-20 seed 0": "no final training error",
    }
    assert len(cells.counted(runs)) + len(left) == len(runs)


def variant_rows(*cells: tuple[str, str, int]) -> pd.DataFrame:
    return pd.DataFrame([{"variant": v, "architecture": a, "depth": d} for v, a, d in cells])


BASE = [("", "plain", 8), ("", "plain", 20), ("", "residual", 8), ("", "residual", 20)]


def test_nets_with_a_remedy_stand_beside_those_that_are_judged() -> None:
    arm = "initialisation=dirac"
    beside = [(arm, "plain", 8), (arm, "plain", 20), ("shortcut_scale=0.5", "residual", 20)]
    assert cells.variants(variant_rows(*BASE, *beside)) == [""]
    own = [("preactivation=True", kind, depth) for _, kind, depth in BASE]
    assert cells.variants(variant_rows(*BASE, *own, *beside)) == ["", "preactivation=True"]
    assert cells.variants(variant_rows(*beside)) == [
        "initialisation=dirac",
        "shortcut_scale=0.5",
    ]  # nothing else is there
    assert cells.variants(variant_rows(*BASE, ("width=2", "plain", 8))) == ["", "width=2"]
