import pytest
from matplotlib.colors import to_hex

from study.report import figures
from study.report.figures import curve_panels
from study.report.figures.error_curves import curve_data, ends
from study.report.figures.style import PAPER_COLOURS, new_figure, pale

from ..frames import Truth, make_study


def draw(study, style="house", draw_all=curve_panels.draw_all):
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
    many = make_study(Truth({(name, depth): (depth / (2 if name == "plain" else 60), 0.3)
                             for name in ("plain", "residual") for depth in depths}))  # fmt: skip
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
            "Training error (%), paper", "Test error (%), paper"
        ]  # fmt: skip


def test_two_depths_in_two_panels(digits):
    data = ends(curve_data(digits.curves, digits.runs))
    with new_figure(2, sharey=True) as (figure, axes):
        curve_panels.draw_two_depths(data, figure, axes)
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
