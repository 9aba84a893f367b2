import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu

from study.report import figures
from study.report.figures.probability import draw_matrices, probability_data, probability_worse, shape
from study.report.figures.style import WIDTH, new_figure

from ..frames import Truth, diverge, make_study

ERRORS = st.lists(st.integers(0, 5).map(float), min_size=1, max_size=8).map(np.array)


@given(ERRORS, ERRORS)
def test_it_is_mann_and_whitneys_u_over_the_pairs(deeper, shallower):
    expected = mannwhitneyu(deeper, shallower, method="asymptotic").statistic / (len(deeper) * len(shallower))
    found = probability_worse(deeper, shallower)
    assert found == pytest.approx(expected)
    assert found + probability_worse(shallower, deeper) == pytest.approx(1)


def test_every_pair_of_depths(digits):
    data = probability_data(digits.runs)
    pairs = data[data["architecture"] == "plain"].set_index(["deeper", "shallower"])
    assert set(pairs.index) == {(20, 8), (32, 8), (56, 8), (32, 20), (56, 20), (56, 32)}
    assert pairs.loc[(56, 8)].tolist() == ["final_train_error", "plain", 1.0, 3, 3]
    assert len(data) == 12


def test_the_estimate_may_be_another(digits):
    data = probability_data(digits.runs, estimate=lambda deeper, shallower: 0.25)
    assert set(data["probability"]) == {0.25}


def test_one_seed_says_nothing(digits):
    assert probability_data(digits.runs[digits.runs["seed"] == 0]).empty
    assert probability_data(digits.runs[digits.runs["depth"] == 56]).empty
    runs = digits.runs[(digits.runs["seed"] == 0) | (digits.runs["net"] == "plain-56")]
    pairs = probability_data(runs)
    assert set(zip(pairs["deeper"], pairs["shallower"], strict=True)) == {(56, 8), (56, 20), (56, 32)}
    assert set(pairs["architecture"]) == {"plain"}
    with pytest.raises(ValueError, match="no two nets that are 'plain'"):
        figures.probability(digits.runs[digits.runs["seed"] == 0])


def test_a_diverged_run_is_worse_than_all_that_ended(digits):
    data = probability_data(diverge(digits, "resnet-56 seed 0").runs)
    pair = data[(data["architecture"] == "residual") & (data["deeper"] == 56) & (data["shallower"] == 32)]
    assert pair["probability"].item() > 1 / 3


@pytest.mark.parametrize("depths", [(8, 20), (8, 20, 32, 56), tuple(range(8, 80, 6))])
def test_numbers_fit_their_cells(depths):
    study = make_study(Truth({(name, depth): (depth / 10, 1) for name in ("plain", "residual") for depth in depths}))
    data = probability_data(study.runs)
    width, height = shape(data)
    assert width <= WIDTH
    with new_figure(2, width=width, height=height, sharey=True) as (figure, axes):
        draw_matrices(data, figure, axes)
        figure.draw_without_rendering()
        for ax in axes[0]:
            cell = abs(np.diff(ax.transData.transform([(0, 0), (1, 1)])[:, 0]))[0]
            assert len(ax.texts) == len(depths) * (len(depths) - 1) / 2
            assert all(text.get_window_extent().width < cell for text in ax.texts)
        assert [label.get_text() for label in axes[0][0].get_yticklabels()] == [str(depth) for depth in depths[1:]]


def test_a_net_that_only_one_architecture_has_leaves_cells_empty(paper):
    data = probability_data(paper.runs)
    assert data["architecture"].value_counts().to_dict() == {"residual": 10, "plain": 6}
    with new_figure() as (_, axes):
        figures.probability(paper.runs, axes[0][0])
        assert len(axes[0][0].texts) == 6
