from collections.abc import Iterator

import pytest

from .frames import Study, Truth, make_study
from .sketches import sketches

DIGITS = Truth(
    {
        ("plain", 8): (0.0, 0.02),
        ("plain", 20): (0.0, 0.03),
        ("plain", 32): (0.3, 0.15),
        ("plain", 56): (32.0, 1.5),
        ("residual", 8): (0.0, 0.02),
        ("residual", 20): (0.0, 0.02),
        ("residual", 32): (0.0, 0.02),
        ("residual", 56): (0.0, 0.03),
    }
)

PAPER = Truth(
    {
        ("plain", 20): (1.31, 0.1),
        ("plain", 32): (1.46, 0.1),
        ("plain", 44): (2.63, 0.15),
        ("plain", 56): (5.78, 0.2),
        ("residual", 20): (0.64, 0.05),
        ("residual", 32): (0.30, 0.04),
        ("residual", 44): (0.21, 0.03),
        ("residual", 56): (0.12, 0.03),
        ("residual", 110): (0.06, 0.02),
    },
    overfit=7.5,
    iterations=64_000,
    evaluations=64,
    seeds=5,
    train_images=45_000,
    test_images=10_000,
    start={
        ("plain", 20): 10.4,
        ("plain", 32): 12.3,
        ("plain", 44): 15.8,
        ("plain", 56): 17.4,
        ("residual", 20): 8.1,
        ("residual", 32): 6.3,
        ("residual", 44): 6.2,
        ("residual", 56): 5.4,
        ("residual", 110): 5.2,
    },
)


@pytest.fixture(scope="session")
def digits() -> Study:
    """Degradation at 56 layers, none with shortcuts."""
    return make_study(DIGITS)


@pytest.fixture(scope="session")
def paper() -> Study:
    """The range of the paper's Figure 6."""
    return make_study(PAPER)


@pytest.fixture
def sketched() -> Iterator[None]:
    """Figures are sketches in this test."""
    with sketches():
        yield


@pytest.fixture(scope="module")
def all_sketched() -> Iterator[None]:
    """Figures are sketches in all tests of this file."""
    with sketches():
        yield
