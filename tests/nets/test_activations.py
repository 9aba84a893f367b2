"""Tailored activations: the conditions that define them, and the numbers that their authors' code is tested with."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import integrate, optimize

from study.nets.activations import (
    ETA,
    ZETA,
    CMap,
    ShapedSoftplus,
    TailoredReLU,
    build_activation,
    leaky_c_map,
    plain_net_at_zero,
    shape_softplus,
    tailored_slope,
)


def authors_net(x: float, layer: CMap, shortcut: float = 0.6) -> float:
    """The net of the tests of google-deepmind/dks: a ResNet-101 with weighted shortcuts, and the same maximum."""
    branch = layer(layer(layer(x)))
    for blocks in (3, 4, 23, 3):
        for block in range(blocks):
            carried = layer(x) if block == 0 else x
            x = shortcut**2 * carried + (1 - shortcut**2) * layer(layer(layer(x)))
    return max(layer(x), branch)


def test_the_slope_is_that_of_the_authors_code() -> None:
    slope = tailored_slope(lambda layer: authors_net(0.0, layer), eta=0.75)
    assert slope == pytest.approx(0.6291800290346146, abs=1e-7)
    assert TailoredReLU(slope).gain == pytest.approx(1.196996549778802, abs=1e-7)


def test_the_softplus_is_that_of_the_authors_code() -> None:
    slope = optimize.brentq(lambda s: authors_net(1.0, lambda x: s * x) - 1.2, 1.0, 2.0, xtol=1e-14)
    assert shape_softplus(slope) == pytest.approx(
        (0.18761008168267976, 0.40688063442262007, 8.878672543665223, -0.9213466151411376), rel=1e-6
    )


@pytest.mark.parametrize("layers", [19, 55, 109])
def test_a_tailored_net_takes_orthogonal_inputs_to_the_cosine_asked_for(layers: int) -> None:
    slope = tailored_slope(plain_net_at_zero(layers))
    c = 0.0
    for _ in range(layers):
        c = leaky_c_map(c, slope)
    assert c == pytest.approx(ETA, abs=1e-9)


def test_deeper_nets_are_nearer_to_linear_and_shallow_ones_have_relu() -> None:
    slopes = [tailored_slope(plain_net_at_zero(layers)) for layers in (7, 19, 55, 109)]
    assert slopes[0] == 0.0
    assert slopes == sorted(slopes)
    assert slopes[-1] < 1


def mean(f: Callable[[float], float]) -> float:
    """Return the mean of f over a standard normal number, by another quadrature."""
    value, _ = integrate.quad(lambda z: f(z) * math.exp(-z * z / 2) / math.sqrt(2 * math.pi), -12, 12, points=[0.0])
    return float(value)


@pytest.mark.parametrize("slope", [0.0, 0.3, 0.9])
def test_the_c_map_is_that_of_wide_random_layers(slope: float) -> None:
    leaky = TailoredReLU(slope)
    assert mean(lambda z: float(leaky(torch.tensor(z, dtype=torch.float64))) ** 2) == pytest.approx(1)
    for c in (-0.5, 0.0, 0.7):
        z = torch.randn(2, 2_000_000, generator=torch.Generator().manual_seed(0))
        other = c * z[0] + math.sqrt(1 - c * c) * z[1]
        assert float((leaky(z[0]) * leaky(other)).mean()) == pytest.approx(leaky_c_map(c, slope), abs=5e-3)


@pytest.mark.parametrize("layers", [7, 55])
def test_a_shaped_softplus_meets_its_four_conditions(layers: int) -> None:
    alpha, beta, gamma, delta = shape_softplus(ZETA ** (1 / layers))

    def f(z: float) -> float:
        return gamma * (np.logaddexp(0, alpha * z + beta) + delta)

    def slope(z: float) -> float:
        return gamma * alpha / (1 + math.exp(-(alpha * z + beta)))

    assert mean(f) == pytest.approx(0, abs=1e-8)
    assert mean(lambda z: f(z) ** 2) == pytest.approx(1)
    assert mean(lambda z: f(z) * slope(z) * z) == pytest.approx(1)
    assert mean(lambda z: slope(z) ** 2) ** layers == pytest.approx(ZETA)
    x = torch.linspace(-2, 2, 9, dtype=torch.float64)
    shaped = ShapedSoftplus(alpha, beta, gamma, delta)(x)
    assert torch.allclose(shaped, torch.tensor([f(float(v)) for v in x], dtype=torch.float64))


def test_a_shaped_softplus_is_exact_in_half_precision() -> None:
    """It enlarges a small difference: in 8 bits, a hundredth would be lost."""
    shaped = ShapedSoftplus(*shape_softplus(ZETA ** (1 / 109)))
    x = torch.linspace(-2, 2, 65).bfloat16()
    assert torch.equal(shaped(x), shaped(x.float()).bfloat16())


def test_what_a_net_of_a_depth_has() -> None:
    tat, dks = build_activation("tat", 56), build_activation("dks", 56)
    assert isinstance(tat, TailoredReLU)
    assert tat.slope == tailored_slope(plain_net_at_zero(55))  # the last of 56 layers has no activation
    assert isinstance(dks, ShapedSoftplus)
    assert isinstance(build_activation("relu", 56), torch.nn.ReLU)
    assert isinstance(build_activation("tanh", 56), torch.nn.Tanh)
