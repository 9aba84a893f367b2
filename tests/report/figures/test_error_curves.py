import numpy as np
import pandas as pd
import pytest

from study.report.figures.error_curves import curve_data, ends, only, split_very_deep

from ..frames import Truth, diverge, make_study, unfinish


def line(data, architecture, depth, split):
    (found,) = [x for x in data.lines if (x.architecture, x.depth, x.split) == (architecture, depth, split)]
    return found


def test_curves_are_means_over_seeds(digits):
    data = curve_data(digits.curves, digits.runs)
    found = line(data, "plain", 56, "test")
    mine = digits.curves[digits.curves["net"] == "plain-56"].groupby("step")["test_error"]
    assert found.mean == pytest.approx(mine.mean().to_numpy())
    assert found.low == pytest.approx(mine.min().to_numpy())
    assert found.high == pytest.approx(mine.max().to_numpy())
    assert (found.seeds, found.label) == (3, "56-layer")
    assert data.panels == ("plain", "residual")
    assert data.last == 220
    assert data.power == 0


def test_without_runs_every_curve_counts(digits):
    bare = curve_data(digits.curves)
    full = curve_data(digits.curves, digits.runs)
    assert len(bare.lines) == len(full.lines)
    for a, b in zip(bare.lines, full.lines, strict=True):
        assert (a.architecture, a.depth, a.split, a.seeds, a.ended) == (*b[:3], b.seeds, True)
        assert a.mean == pytest.approx(b.mean)


def test_the_axis_is_cut_above_every_final_point(digits, paper):
    for study in (digits, paper, diverge(digits, "plain-56 seed 1")):
        data = curve_data(study.curves, study.runs)
        assert all(one.high[-1] < data.top for one in data.lines)
    assert curve_data(paper.curves, paper.runs).top < 40
    assert curve_data(paper.curves, paper.runs).power == 4


def test_the_papers_axis_ends_at_20_unless_a_line_ends_above(digits, paper):
    data = curve_data(paper.curves, paper.runs, style="paper")
    assert (data.top, data.cut) == (20, True)
    assert max(one.high[-1] for one in data.lines) < 20
    adapted = curve_data(digits.curves, digits.runs, style="paper")
    assert adapted.top == 60
    assert all(one.high[-1] < adapted.top for one in adapted.lines)
    diverged = diverge(digits, "plain-56 seed 1")
    assert curve_data(diverged.curves, diverged.runs, style="paper").top == 100


def test_a_diverged_run_stays_at_the_error_of_guessing(digits):
    study = diverge(digits, "plain-56 seed 1")
    found = line(curve_data(study.curves, study.runs), "plain", 56, "train")
    others = study.curves[(study.curves["net"] == "plain-56") & (study.curves["step"] == 220)]
    assert len(others) == 2
    assert found.mean[-1] == pytest.approx((90 + others["train_error"].sum()) / 3)
    assert (found.high[-1], found.diverged) == (90, 1)


def test_unfinished_runs_are_drawn_only_where_there_is_nothing_else(digits):
    study = unfinish(digits, "plain-56 seed 0", "interrupted")
    assert line(curve_data(study.curves, study.runs), "plain", 56, "train").seeds == 2
    for seed in (1, 2):
        study = unfinish(study, f"plain-56 seed {seed}", "running")
    found = line(curve_data(study.curves, study.runs), "plain", 56, "train")
    assert (found.seeds, found.label) == (3, "56-layer, unfinished")


def test_seeds_evaluated_at_other_steps_do_not_make_the_mean_jump():
    curves = pd.DataFrame({
        "run_id": ["a", "a", "a", "b", "b"], "architecture": "plain", "depth": 8, "step": [0, 10, 20, 0, 20],
        "train_error": [40.0, 30.0, 20.0, 80.0, 40.0], "test_error": [np.nan] * 5,
    })  # fmt: skip
    runs = make_study(Truth({("plain", 8): (20, 1)}, seeds=2)).runs.assign(run_id=["a", "b"])
    data = curve_data(curves, runs)
    (found,) = data.lines  # no test error at all: no line
    assert found.mean == pytest.approx([60, (30 + 60) / 2, 30])
    assert data.splits == ("train",)


def test_several_variants_have_no_common_mean(digits):
    both = pd.concat([digits.curves, digits.curves.assign(variant="width=2")])
    with pytest.raises(ValueError, match=r"2 variants.*frame\['variant'\] == 'width=2'"):
        curve_data(both)


def test_the_shallowest_and_the_deepest(digits):
    data = curve_data(digits.curves, digits.runs)
    two = ends(data)
    assert {(one.architecture, one.depth) for one in two.lines} == {("plain", 8), ("plain", 56)}
    assert two.panels == ("plain",)
    assert two.colours == data.colours
    assert ends(only(data, {("plain", 8)})) is None
    assert ends(data, "vgg") is None


def test_very_deep_nets_have_a_panel_of_their_own():
    nets = {("residual", depth): (1, 0.1) for depth in (20, 110, 1202)} | {
        ("plain", 20): (1, 1),
        ("plain", 110): (60, 1),
    }
    study = make_study(Truth(nets))
    others, deep = split_very_deep(curve_data(study.curves, study.runs))
    assert {(one.architecture, one.depth) for one in deep.lines} == {("residual", 110), ("residual", 1202)}
    assert {(one.architecture, one.depth) for one in others.lines} == set(nets) - {("residual", 1202)}
    assert deep.top < others.top  # plain-110 doesn't squeeze it
    for kept in ((20, 32, 110), (110, 1202)):
        study = make_study(Truth({("residual", depth): (1, 0.1) for depth in kept}))
        data = curve_data(study.curves, study.runs)
        assert split_very_deep(data) == (data, None)


def test_the_data_has_a_row_a_line_and_step(paper):
    data = curve_data(paper.curves, paper.runs.assign(dataset="cifar10"))
    frame = data.frame()
    ours, theirs = frame[frame["source"] == "study"], frame[frame["source"] == "paper"]
    assert len(ours) == 9 * 2 * 64
    row = ours[(ours["architecture"] == "plain") & (ours["depth"] == 56) & (ours["split"] == "test")].iloc[-1]
    assert (row["step"], row["error"]) == (64_000, line(data, "plain", 56, "test").mean[-1])
    assert row["lowest"] < row["error"] < row["highest"]
    assert row["seeds"] == 5
    assert set(zip(theirs["architecture"], theirs["depth"], strict=True)) == {
        (name, depth) for name in ("plain", "residual") for depth in (20, 32, 44, 56)
    }
    assert theirs["lowest"].isna().all()
