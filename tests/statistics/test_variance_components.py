"""Variance between groups and within them: a worked example, bias, and what can't be had."""

import math

import numpy as np
import pytest

from study.statistics.variance_components import variance_components


def test_the_mean_squares_of_equal_groups() -> None:
    """Groups of means 1, 4 and 7 with deviations of 1 to both sides: mean squares 18 and 2."""
    parts = variance_components([[0.0, 2.0], [3.0, 5.0], [6.0, 8.0]])
    assert parts.within**2 == pytest.approx(2)
    assert parts.between**2 == pytest.approx((18 - 2) / 2)
    assert parts.share == pytest.approx(8 / 10)


@pytest.mark.parametrize("sizes", [(3, 3, 3, 3), (2, 3, 5, 6)])
def test_unbiased_for_groups_of_any_sizes(sizes: tuple[int, ...]) -> None:
    random = np.random.default_rng(0)
    drawn = [variance_components([random.normal(random.normal(0, 3), 1, size) for size in sizes]) for _ in range(4000)]
    assert np.mean([parts.within**2 for parts in drawn]) == pytest.approx(1, rel=0.05)
    assert np.mean([parts.between**2 for parts in drawn]) == pytest.approx(9, rel=0.05)


def test_a_negative_variance_is_zero() -> None:
    parts = variance_components([[0.0, 2.0], [0.5, 1.5]])
    assert (parts.between, parts.share) == (0, 0)
    assert parts.within > 0


@pytest.mark.parametrize("groups", [[], [[1.0, 2.0]], [[1.0], [2.0]], [[1.0, math.nan], [2.0]]])
def test_too_few_values(groups: list[list[float]]) -> None:
    assert all(math.isnan(value) for value in variance_components(groups))


def test_nothing_that_varies_has_no_share() -> None:
    parts = variance_components([[1.0, 1.0], [1.0, 1.0]])
    assert (parts.between, parts.within) == (0, 0)
    assert math.isnan(parts.share)
