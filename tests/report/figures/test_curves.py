import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from study.report import figures
from study.report.figures.curves import (
    curve_data,
    draw_all,
    draw_two_depths,
    ends,
    only,
    paper_lines,
    split_very_deep,
)
from study.report.figures.style import PAPER_COLOURS, new_figure, pale

from ..frames import Truth, diverge, make_study, unfinish

NETS = [(name, depth) for name in ("plain", "residual") for depth in (8, 20, 32, 44, 56, 110)]


def line(data, architecture, depth, split):
    lines = data.study.set_index(["architecture", "depth", "split"])
    return lines.loc[[(architecture, depth, split)]].reset_index()


def nets(data):
    return set(zip(data.study["architecture"], data.study["depth"], strict=True))


def test_curves_are_means_over_seeds(digits):
    data = curve_data(digits.curves, digits.runs)
    found = line(data, "plain", 56, "test")
    mine = digits.curves[digits.curves["net"] == "plain-56"].groupby("step")["test_error"]
    assert found["error"].to_numpy() == pytest.approx(mine.mean().to_numpy())
    assert found["lowest"].to_numpy() == pytest.approx(mine.min().to_numpy())
    assert found["highest"].to_numpy() == pytest.approx(mine.max().to_numpy())
    assert (set(found["seeds"]), set(found["ended"])) == ({3}, {True})
    assert data.panels == ("plain", "residual")
    assert data.last == 220
    assert data.power == 0


def test_without_runs_every_curve_counts(digits):
    bare = curve_data(digits.curves)
    full = curve_data(digits.curves, digits.runs)
    pd.testing.assert_frame_equal(bare.lines, full.lines)


def test_the_axis_is_cut_above_every_final_point(digits, paper):
    for study in (digits, paper, diverge(digits, "plain-56 seed 1")):
        data = curve_data(study.curves, study.runs)
        assert (data.ends["highest"] < data.top).all()
    assert curve_data(paper.curves, paper.runs).top < 40
    assert curve_data(paper.curves, paper.runs).power == 4


def test_the_papers_axis_ends_at_20_unless_a_line_ends_above(digits, paper):
    data = curve_data(paper.curves, paper.runs, style="paper")
    assert (data.top, data.cut) == (20, True)
    assert data.ends["highest"].max() < 20
    adapted = curve_data(digits.curves, digits.runs, style="paper")
    assert adapted.top == 60
    assert (adapted.ends["highest"] < adapted.top).all()
    diverged = diverge(digits, "plain-56 seed 1")
    assert curve_data(diverged.curves, diverged.runs, style="paper").top == 100


def test_a_diverged_run_stays_at_the_error_of_guessing(digits):
    study = diverge(digits, "plain-56 seed 1")
    found = line(curve_data(study.curves, study.runs), "plain", 56, "train")
    others = study.curves[(study.curves["net"] == "plain-56") & (study.curves["step"] == 220)]
    assert len(others) == 2
    last = found.iloc[-1]
    assert last["error"] == pytest.approx((90 + others["train_error"].sum()) / 3)
    assert (last["highest"], last["diverged"]) == (90, 1)


def test_unfinished_runs_are_drawn_only_where_there_is_nothing_else(digits):
    study = unfinish(digits, "plain-56 seed 0", "interrupted")
    assert set(line(curve_data(study.curves, study.runs), "plain", 56, "train")["seeds"]) == {2}
    for seed in (1, 2):
        study = unfinish(study, f"plain-56 seed {seed}", "running")
    found = line(curve_data(study.curves, study.runs), "plain", 56, "train")
    assert (set(found["seeds"]), set(found["ended"])) == ({3}, {False})


def test_seeds_evaluated_at_other_steps_do_not_make_the_mean_jump():
    curves = pd.DataFrame(
        {
            "run_id": ["a", "a", "a", "b", "b"],
            "architecture": "plain",
            "depth": 8,
            "step": [0, 10, 20, 0, 20],
            "train_error": [40.0, 30.0, 20.0, 80.0, 40.0],
            "test_error": [np.nan] * 5,
        }
    )
    runs = make_study(Truth({("plain", 8): (20, 1)}, seeds=2)).runs.assign(run_id=["a", "b"])
    data = curve_data(curves, runs)
    assert list(data.lines["error"]) == pytest.approx([60, (30 + 60) / 2, 30])  # no test error at all: no line
    assert data.splits == ("train",)


def test_curves_of_longer_trainings_are_left_out(digits):
    curves, runs = (pd.concat([frame, frame.assign(variant="budget=3")]) for frame in (digits.curves, digits.runs))
    pd.testing.assert_frame_equal(curve_data(curves, runs).lines, curve_data(digits.curves, digits.runs).lines)


def test_several_variants_have_no_common_mean(digits):
    both = pd.concat([digits.curves, digits.curves.assign(variant="width=2")])
    with pytest.raises(ValueError, match=r"2 variants.*frame\['variant'\] == 'width=2'"):
        curve_data(both)


def test_the_shallowest_and_the_deepest(digits):
    data = curve_data(digits.curves, digits.runs)
    two = ends(data)
    assert nets(two) == {("plain", 8), ("plain", 56)}
    assert two.panels == ("plain",)
    assert two.colours == data.colours
    assert ends(only(data, {("plain", 8)})) is None
    assert ends(data, "vgg") is None


def test_very_deep_nets_have_a_panel_of_their_own():
    truth = {("residual", depth): (1, 0.1) for depth in (20, 110, 1202)} | {
        ("plain", 20): (1, 1),
        ("plain", 110): (60, 1),
    }
    study = make_study(Truth(truth))
    others, deep = split_very_deep(curve_data(study.curves, study.runs))
    assert nets(deep) == {("residual", 110), ("residual", 1202)}
    assert nets(others) == set(truth) - {("residual", 1202)}
    assert deep.top < others.top  # plain-110 doesn't squeeze it
    for kept in ((20, 32, 110), (110, 1202)):
        study = make_study(Truth({("residual", depth): (1, 0.1) for depth in kept}))
        data = curve_data(study.curves, study.runs)
        others, deep = split_very_deep(data)
        assert others is data
        assert deep is None


def test_the_data_has_a_row_a_line_and_step(paper):
    data = curve_data(paper.curves, paper.runs.assign(dataset="cifar10"))
    ours, theirs = data.study, data.paper
    assert len(ours) == 9 * 2 * 64
    row = ours[(ours["architecture"] == "plain") & (ours["depth"] == 56) & (ours["split"] == "test")].iloc[-1]
    assert (row["step"], row["error"]) == (64_000, line(data, "plain", 56, "test")["error"].iloc[-1])
    assert row["lowest"] < row["error"] < row["highest"]
    assert row["seeds"] == 5
    assert set(zip(theirs["architecture"], theirs["depth"], strict=True)) == {
        (name, depth) for name in ("plain", "residual") for depth in (20, 32, 44, 56)
    }
    assert theirs["lowest"].isna().all()


def draw(study, style="house"):
    data = curve_data(study.curves, study.runs, style=style)
    with new_figure(len(data.panels), height=2.9, sharey=True, style=style) as (figure, axes):
        draw_all(data, figure, axes)
        figure.draw_without_rendering()
        yield figure, axes[0]


def bold(ax):
    return [line for line in ax.lines if line.get_linewidth() > 1.5]


@pytest.mark.parametrize("style", ["house", "paper"])
@pytest.mark.parametrize("count", [4, 12])
def test_drawn_labels_do_not_overlap(paper, style, count):
    depths = [8 + 6 * i for i in range(12)]
    many = make_study(
        Truth(
            {
                (name, depth): (depth / (2 if name == "plain" else 60), 0.3)
                for name in ("plain", "residual")
                for depth in depths
            }
        )
    )
    for figure, axes in draw(paper if count == 4 else many, style):
        for ax in axes:
            boxes = [text.get_window_extent() for text in ax.texts]
            assert len(boxes) >= count
            assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
            assert all(figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1 for box in boxes)
            assert all(text.get_fontsize() >= 7 for text in ax.texts)


def test_training_is_thin_and_dashed_and_test_bold(digits):
    for _, axes in draw(digits):
        dashed = [line for line in axes[0].lines if line.is_dashed() and len(line.get_xdata()) > 2]
        assert len(dashed) == len(bold(axes[0])) == 4
        assert all(line.get_linewidth() < 1 for line in dashed)
        assert len(axes[0].collections) == 8  # a band a line


def test_panels_have_the_same_axes(digits):
    for _, (plain, residual) in draw(digits):
        assert plain.get_ylim() == residual.get_ylim()
        assert plain.get_xlim() == residual.get_xlim()
        assert {to_hex(line.get_color()) for line in bold(plain)} == {to_hex(x.get_color()) for x in bold(residual)}


def test_the_papers_axes(paper):
    for _, axes in draw(paper, "paper"):
        ax = axes[0]
        assert ax.get_ylim() == (0, 20)
        assert ax.get_xlim() == (0, 6.4)
        assert list(ax.get_yticks()) == [0, 5, 10, 20]
        assert (ax.get_xlabel(), ax.get_ylabel()) == ("iter. (1e4)", "error (%)")
        assert ax.spines["top"].get_visible()
        assert {to_hex(line.get_color()) for line in bold(ax)} == {PAPER_COLOURS[depth] for depth in (20, 32, 44, 56)}


def test_the_papers_curves_lie_beneath_in_pale(paper):
    study = type(paper)(paper.runs.assign(dataset="cifar10"), paper.curves, paper.trials)
    for figure, axes in draw(study):
        colours = curve_data(study.curves, study.runs).colours
        beneath = [line for line in axes[0].lines if to_hex(line.get_color()) == pale(colours[56])]
        assert len(beneath) == 2
        assert all(line.get_zorder() < min(x.get_zorder() for x in bold(axes[0])) for line in beneath)
        assert [text.get_text() for text in figure.legends[0].get_texts()][2:] == [
            "Training error (%), paper",
            "Test error (%), paper",
        ]


def test_two_depths_in_two_panels(digits):
    data = ends(curve_data(digits.curves, digits.runs))
    with new_figure(2, sharey=True) as (figure, axes):
        draw_two_depths(data, figure, axes)
        assert [ax.get_ylabel() for ax in axes[0]] == ["Training error (%)", "Test error (%)"]
        assert all([text.get_text() for text in ax.texts] == ["8-layer", "56-layer"] for ax in axes[0])
        assert all(len(bold(ax)) == 2 for ax in axes[0])


def test_a_user_draws_on_axes_of_their_own(digits):
    with new_figure(2) as (_, axes):
        left, right = axes[0]
        assert figures.curves(digits.curves, ax=left, architecture="residual") is left
        assert len(bold(left)) == 4
        assert figures.degradation(digits.curves, digits.runs, right, split="test", depths=(20, 56)) is right
        assert [text.get_text() for text in right.texts] == ["20-layer", "56-layer"]
        assert right.get_ylabel() == "Test error (%)"
        with pytest.raises(ValueError, match="'vgg': there are plain, residual"):
            figures.curves(digits.curves, ax=left, architecture="vgg")


def test_without_axes_a_new_figure_is_made(digits):
    import matplotlib.pyplot as plt

    ax = figures.curves(digits.curves)
    assert plt.get_fignums() == [ax.figure.number]
    plt.close(ax.figure)


def of(runs, **changes):
    return paper_lines(runs.assign(**({"dataset": "cifar10", "total_iterations": 64_000} | changes)), NETS)


def test_the_ends_are_those_of_the_papers_tables(paper):
    lines = {key: line for key, line in of(paper.runs).groupby(["architecture", "depth", "split"])}
    assert len(lines) == 16
    # Table 6 of the paper: test error of residual nets, to which the reading of the figure was checked.
    for depth, error in {20: 8.75, 32: 7.51, 44: 7.17, 56: 6.97}.items():
        late = lines["residual", depth, "test"]
        assert late.loc[late["step"] >= 55_000, "error"].mean() == pytest.approx(error, abs=0.15)
    assert lines["plain", 56, "test"]["error"][-5:].mean() > lines["plain", 20, "test"]["error"][-5:].mean() + 3
    steps = [line["step"].to_numpy() for line in lines.values()]
    assert all(step[0] == 34_000 and (np.diff(step) > 0).all() for step in steps)


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({}, True),
        ({"total_iterations": 70_000}, True),
        ({"total_iterations": 71_000}, False),
        ({"total_iterations": 57_000}, False),
        ({"dataset": "cifar100"}, False),
        ({"dataset": "image-folder"}, False),
        ({"total_iterations": np.nan}, False),
    ],
)
def test_only_under_studies_of_cifar10_that_are_as_long(paper, changes, shown):
    assert (len(of(paper.runs, **changes)) > 0) == shown


def test_one_run_of_another_length_is_enough_to_leave_them_out(paper):
    lengths = [64_000] * (len(paper.runs) - 1) + [900]
    assert of(paper.runs, total_iterations=lengths).empty
    assert paper_lines(paper.runs.drop(columns="dataset"), NETS).empty
    assert paper_lines(paper.runs.iloc[:0], NETS).empty


def test_only_depths_that_the_study_has(paper):
    runs = paper.runs.assign(dataset="cifar10")
    assert set(paper_lines(runs, [("plain", 20), ("residual", 110)])["depth"]) == {20}
