import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from study.config import Recipe, load_grid

TOTAL = 64_000


def paper(depth: int) -> Recipe:
    return next(spec.recipe for spec in load_grid("cifar10-paper").runs() if spec.depth == depth)


# He et al. 2015, section 4.2: public reproductions get the warm-up of 110 layers and the drops after it wrong
@pytest.mark.parametrize(
    ("step", "rate_110", "rate_20"),
    [
        (0, 0.01, 0.1),
        (399, 0.01, 0.1),
        (400, 0.1, 0.1),
        (31_999, 0.1, 0.1),
        (32_000, 0.01, 0.01),
        (47_999, 0.01, 0.01),
        (48_000, 0.001, 0.001),
        (63_999, 0.001, 0.001),
    ],
)
def test_paper_trace(step: int, rate_110: float, rate_20: float) -> None:
    assert paper(110).lr_at(step, TOTAL) == pytest.approx(rate_110)
    assert paper(20).lr_at(step, TOTAL) == pytest.approx(rate_20)


@given(
    total=st.integers(1, 10_000),
    fractions=st.lists(st.floats(0.01, 0.99), max_size=4),
    gamma=st.floats(0.01, 1.0),
    share=st.floats(0, 0.999),
)
def test_step_schedule_drops_once_a_milestone(total: int, fractions: list[float], gamma: float, share: float) -> None:
    recipe = Recipe(iterations=total, lr=1.0, milestones=tuple(fractions), gamma=gamma)
    step = int(share * total)
    passed = sum(step >= round(fraction * total) for fraction in fractions)
    assert recipe.lr_at(step, total) == pytest.approx(gamma**passed)


def test_milestones_in_iterations_and_fractions_agree() -> None:
    fractions = Recipe(iterations=100, lr=0.1, milestones=(0.5, 0.75))
    iterations = Recipe(iterations=100, lr=0.1, milestones=(50, 75))
    assert [fractions.lr_at(s, 100) for s in range(100)] == [iterations.lr_at(s, 100) for s in range(100)]


def test_linear_warmup_rises_from_the_factor_to_the_rate() -> None:
    recipe = Recipe(iterations=100, lr=1.0, schedule="constant", warmup=10, warmup_factor=0.2, warmup_shape="linear")
    rates = [recipe.lr_at(step, 100) for step in range(12)]
    assert rates[0] == pytest.approx(0.2)
    assert rates[5] == pytest.approx(0.6)
    assert rates[10:] == [1.0, 1.0]


def test_cosine_goes_from_the_rate_to_zero() -> None:
    recipe = Recipe(iterations=100, lr=0.4, schedule="cosine")
    assert recipe.lr_at(0, 100) == pytest.approx(0.4)
    assert recipe.lr_at(50, 100) == pytest.approx(0.2)
    assert recipe.lr_at(99, 100) == pytest.approx(0.2 * (1 + math.cos(0.99 * math.pi)))


def test_a_rate_still_to_be_tuned_is_refused() -> None:
    with pytest.raises(ValueError, match="still to be tuned"):
        Recipe(iterations=10, lr="tune").lr_at(0, 10)
