import copy
import math
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from study.nets import build_net
from study.nets.initialise import initialise
from study.probe.gradients import measure_gradients, measure_turns
from study.statistics.growth import BATCH_NORM_GROWTH, fit_growth


def fully_connected(depth: int, width: int, seed: int) -> nn.Module:
    """Return layers of batch norm and ReLU: on a map of one pixel a 3x3 convolution is a full connection."""
    layers: list[nn.Module] = []
    for _ in range(depth):
        layers += [nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
    net = nn.Sequential(*layers, nn.Flatten(), nn.Linear(width, 10))
    initialise(net, torch.Generator().manual_seed(seed))
    return net


def test_the_growth_of_batch_norm_and_relu_is_that_of_theory():
    # Infinitely wide, for a large batch: sqrt(pi / (pi - 1)). A width of 256 leaves fluctuations of a percent or so.
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(256, 256, 1, 1, generator=generator)
    labels = torch.randint(0, 10, (256,), generator=generator)
    rates = []
    for seed in range(3):
        rows = measure_gradients(fully_connected(24, 256, seed), images, labels, lr=0.1)
        found = fit_growth([row.input_gradient for row in rows])
        assert found.layers == 23
        assert found.standard_error < 0.01
        rates.append(found.rate)
    assert BATCH_NORM_GROWTH == pytest.approx(1.2112, abs=1e-4)
    assert sum(rates) / 3 == pytest.approx(BATCH_NORM_GROWTH, rel=0.02)


def test_plain_nets_explode_toward_the_input_and_residual_ones_much_less(batches, digit_net, untouched):
    images, labels = batches[0]
    rates = {}
    for name in ("plain-20", "resnet-20", "plain-56", "resnet-56"):
        net = digit_net(name)
        with untouched(net):
            rows = measure_gradients(net, images, labels, lr=0.1)
            rates[name] = fit_growth([row.input_gradient for row in rows]).rate
    # Nets of 16 to 64 channels on small maps with borders: near the theory, not at it.
    assert 1.1 < rates["plain-56"] < 1.3
    assert 1.05 < rates["plain-20"] < 1.3
    assert 0.97 < rates["resnet-56"] < 1.06
    assert rates["resnet-20"] < rates["plain-20"]


@pytest.mark.parametrize("name", ["plain-8", "resnet-8"])
def test_gradients_are_those_of_autograd(digit_net, batches, name):
    net = digit_net(name)
    images, labels = batches[0]
    rows = measure_gradients(net, images, labels, lr=0.1)
    own = copy.deepcopy(net).train()
    x = own.relu(own.bn1(own.conv1(images)))
    x.retain_grad()
    logits = own.fc(own.layer3(own.layer2(own.layer1(x))).mean((2, 3)))
    F.cross_entropy(logits, labels).backward()
    assert rows[1].input_gradient == pytest.approx(float(x.grad.norm()), rel=1e-4)  # through the shortcut too
    assert rows[1].weight_gradient == pytest.approx(float(own.layer1[0].conv1.weight.grad.norm()), rel=1e-4)
    assert rows[6].weight_gradient == pytest.approx(float(own.layer3[0].conv2.weight.grad.norm()), rel=1e-4)
    assert rows[6].weight_norm == pytest.approx(float(own.layer3[0].conv2.weight.detach().norm()), rel=1e-5)
    assert rows[6].effective_lr == pytest.approx(0.1 / rows[6].weight_norm ** 2)


def test_an_imagenet_net_is_measured_too():
    net = build_net("resnet-18", 5, width=0.1, generator=torch.Generator().manual_seed(0))
    images = torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    assert len(measure_gradients(net, images, torch.tensor([0, 1, 2, 3]), lr=0.1)) == 16


def test_scaled_weights_have_smaller_gradients_and_a_smaller_effective_rate(digit_net, batches):
    net = digit_net("plain-8")
    before = measure_gradients(net, *batches[0], lr=0.1)
    with torch.no_grad():
        net.layer2[0].conv1.weight.mul_(4)
    after = measure_gradients(net, *batches[0], lr=0.1)
    assert after[3].weight_gradient == pytest.approx(before[3].weight_gradient / 4, rel=0.01)
    assert after[3].effective_lr == pytest.approx(before[3].effective_lr / 16)
    assert after[3].input_gradient == pytest.approx(before[3].input_gradient, rel=0.01)


def test_turns_are_angles_between_weights(digit_net, untouched):
    before = digit_net("plain-8")
    after = copy.deepcopy(before)
    with torch.no_grad():
        after.conv1.weight.mul_(-1)
        after.layer1[0].conv1.weight.mul_(5)  # only direction counts
        w = after.layer1[0].conv2.weight
        other = torch.randn(w.shape, generator=torch.Generator().manual_seed(1))
        other -= w * (w * other).sum() / w.square().sum()
        w += 1e-3 * other * w.norm() / other.norm()
    with untouched(before), untouched(after):
        angles = [turn.angle for turn in measure_turns(before, after)]
    assert angles[0] == pytest.approx(math.pi)
    assert angles[1] == pytest.approx(0, abs=1e-6)
    assert angles[2] == pytest.approx(1e-3, rel=1e-3)
    assert angles[3:] == [0] * 4


def test_the_smaller_the_norm_the_farther_a_step_turns(digit_net, batches):
    # What the effective rate stands for: equal steps of equal rate turn weights by rate / ||W||^2, to first order.
    images, labels = batches[0]
    turned = []
    for scale in (1.0, 2.0, 4.0):
        net = digit_net("plain-8").train()
        with torch.no_grad():
            net.layer3[0].conv1.weight.mul_(scale)
        before = copy.deepcopy(net)
        F.cross_entropy(net(images), labels).backward()
        torch.optim.SGD(net.parameters(), lr=1e-3).step()
        turned.append(measure_turns(before, net)[5].angle)
    for near, far in pairwise(turned):
        assert near / far == pytest.approx(4, rel=0.02)
