import math

import pytest
import torch
from torch import nn

from study.probe.shattering import measure_shattering
from study.probe.subject import recalibrated


def test_a_linear_nets_gradient_is_constant_and_said_to_be(batches):
    images = batches[0][0]
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.Linear(32, 10))
    found = measure_shattering(net, images[:3], images[3:6], points=32)
    assert found.constant
    assert found.half_distance == math.inf
    assert [row.cosine for row in found.correlations] == pytest.approx([1] * 16, abs=1e-6)
    assert all(math.isnan(row.autocorrelation) for row in found.correlations)


class Quadratic(nn.Module):
    """Logit 0 is the sum of x^3 / 3, so its gradient is x^2: along a line from 0 to 1, t^2 in every pixel."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.pow(3).flatten(1).sum(1, keepdim=True) / 3


def test_correlations_are_those_of_the_definition():
    first, second = torch.zeros(2, 1, 2, 2), torch.ones(2, 1, 2, 2)
    found = measure_shattering(Quadratic(), first, second, points=40)
    g = torch.linspace(0, 1, 40, dtype=torch.float64).square()
    c = g - g.mean()
    for row in found.correlations:
        pairs = c[: 40 - row.lag] * c[row.lag :]
        assert row.autocorrelation == pytest.approx(float(pairs.mean() / c.square().mean()), abs=1e-5)
        plain = g[: 40 - row.lag] * g[row.lag :]
        assert row.cosine == pytest.approx(float(plain.mean() / g.square().mean()), abs=1e-5)
        assert row.distance == row.lag / 39
    at = next(row.lag for row in found.correlations if row.autocorrelation < 0.5)
    assert (at - 1) / 39 <= found.half_distance <= at / 39
    assert not found.constant


class Noise(nn.Module):
    """A logit whose gradient at a point is drawn anew: what white noise gives."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        draws = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
        return (x * draws).flatten(1).sum(1, keepdim=True)


def test_white_noise_has_the_autocorrelation_of_white_noise():
    first, second = torch.zeros(1, 1, 16, 16), torch.ones(1, 1, 16, 16)
    found = measure_shattering(Noise(), first, second, points=100)
    assert found.correlations[0].autocorrelation == pytest.approx(1)
    assert found.correlations[0].white == 1
    # 50 or more pairs of 256 numbers: a deviation of 1 / sqrt(12,800), 0.009, at each lag
    assert all(row.autocorrelation == pytest.approx(row.white, abs=0.05) for row in found.correlations[1:])
    mean = sum(row.autocorrelation for row in found.correlations[1:]) / 49
    assert mean == pytest.approx(-1 / 99, abs=0.005)
    assert found.half_distance == pytest.approx(0.5 / 99, rel=0.05)


def test_deep_plain_nets_shatter_and_residual_ones_less(digit_net, batches, untouched):
    images = batches[0][0]
    half = {}
    for name in ("plain-8", "plain-56", "resnet-56"):
        found = []
        for seed in range(2):
            net = recalibrated(digit_net(name, seed=seed), batches)
            with untouched(net):
                found.append(measure_shattering(net, images[:6], images[6:12], points=128).half_distance)
        half[name] = sum(found) / 2
    assert half["plain-56"] < half["plain-8"] / 2
    assert half["plain-56"] < half["resnet-56"]


def test_a_nets_mode_doesnt_count(trained, batches, untouched):
    images = batches[0][0]
    net = trained("resnet-14")
    evaluated = measure_shattering(net, images[:2], images[2:4], points=16, logit=3)
    net.train()
    try:
        with untouched(net):
            assert measure_shattering(net, images[:2], images[2:4], points=16, logit=3) == evaluated
    finally:
        net.eval()
    assert measure_shattering(net, images[:2], images[2:4], points=16, logit=4) != evaluated
