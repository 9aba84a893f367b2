"""The abstract of a page, and what its verdict rests on."""

from dataclasses import replace

import numpy as np
import pandas as pd

from study.report.summary import abstract, basis
from study.verdict import judge
from tests.report.conftest import DIGITS, PAPER
from tests.report.frames import Truth, make_study, with_budget
from tests.verdict.test_splits import on_splits


def test_what_was_trained_and_how_it_ended(digits):
    trained, ended = abstract(digits.runs)
    assert trained == (
        "Plain and residual nets of 8, 20, 32 and 56 layers, 3 seeds each, were trained on digits for 220 iterations "
        "on 1 January 2026."
    )
    assert ended.startswith("Final training error goes from 0.00% (5 nets) to ")
    assert ended.endswith("% (plain-56).")
    assert ", and test error goes from " in ended


def test_depths_that_differ_and_days():
    runs = make_study(replace(PAPER, seeds=2, trials=0)).runs
    runs.loc[runs["seed"] == 1, "start_time"] += pd.Timedelta(days=1)
    trained, _ = abstract(runs)
    assert trained.startswith(
        "Plain nets of 20, 32, 44 and 56 layers and residual nets of 20, 32, 44, 56 and 110 layers"
    )
    assert trained.endswith("for 64,000 iterations from 1 January 2026 to 2 January 2026.")


def test_splits_are_told():
    runs = on_splits(make_study(replace(DIGITS, seeds=6, trials=0)).runs, 2)
    assert ", 3 splits of 2 seeds each, were trained" in abstract(runs)[0]
    assert ", 10 classes, 3 splits. " in dict(basis(runs, judge(runs)))["Data"]


def test_what_is_not_known_is_left_out():
    """As of runs that another program trained."""
    runs = make_study(Truth({("plain", 8): (1, 0.1)}, seeds=1, trials=0)).runs.drop(columns="dataset")
    unknown = ["final_test_error", "total_iterations", "train_images", "test_images", "lr"]
    runs = runs.assign(start_time=pd.NaT, lr_tuned=False, **dict.fromkeys(unknown, np.nan))
    assert abstract(runs) == (
        "Plain nets of 8 layers, 1 seed each, were trained.",
        f"Final training error is {runs['final_train_error'].iloc[0]:.2f}% (plain-8).",
    )
    assert basis(runs, judge(runs)) == (
        ("Data", "a set without a name, 10 classes."),
        ("Learning rate", "How learning rates were chosen isn't known."),
        ("Length", "How long nets were trained isn't known."),
    )


def test_longer_trainings_are_told(digits):
    plain = make_study(replace(DIGITS, train=DIGITS.train | {("plain", 56): (32.0, 0.5)}))
    study = with_budget(plain, replace(DIGITS, train=DIGITS.train | {("plain", 56): (20.0, 0.5)}))
    rests = dict(basis(study.runs, judge(study.runs)))
    assert rests["Length"].startswith("Each net was trained for 220 iterations, and some for 660 too. With 3 times the")
    assert "so the deeper net is worse there too" in rests["Data"]
    assert dict(basis(digits.runs, judge(digits.runs)))["Length"].endswith(
        "220 iterations. Longer trainings were not tried."
    )
