import copy
import math
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from study.errors import StudyError
from study.nets import build_net
from study.nets.initialise import initialise
from study.probe.layers import find_layers, measure_gradients, measure_responses, measure_turns
from study.statistics.growth import BATCH_NORM_GROWTH, fit_growth


@pytest.mark.parametrize("name", ["plain-8", "resnet-20", "plain-56"])
def test_a_cifar_net_has_its_stem_and_6n_layers(digit_net, name):
    layers = find_layers(digit_net(name))
    depth = int(name.split("-")[1])
    n = (depth - 2) // 6
    assert len(layers) == depth - 1  # all weighted layers but the last, linear one
    assert [layer.index for layer in layers] == list(range(depth - 1))
    assert [layer.stage for layer in layers] == [0] + [1] * 2 * n + [2] * 2 * n + [3] * 2 * n
    assert layers[0].name == "conv1"
    assert layers[1].name == "layer1.0.conv1"
    assert layers[-1].name == f"layer3.{n - 1}.conv2"


@pytest.mark.parametrize(
    ("name", "count"),
    [("plain-18", 16), ("resnet-18", 16), ("resnet-34", 32), ("resnet-50", 16), ("resnet-101", 33)],
)
def test_an_imagenet_net_has_those_of_its_blocks(name, count):
    with torch.device("meta"):
        net = build_net(name, 10, family="imagenet")
    layers = find_layers(net)
    assert len(layers) == count
    assert not any("downsample" in layer.name for layer in layers)
    assert {layer.stage for layer in layers} == {1, 2, 3, 4}


def test_order_and_pairs_are_those_of_the_forward_pass(digit_net):
    net = digit_net("resnet-14", shortcut="C")
    called: list[object] = []
    for module in net.modules():
        module.register_forward_hook(lambda module, _inputs, _output: called.append(module))
    net.eval()(torch.zeros(1, 1, 8, 8))
    for layer in find_layers(net):
        assert layer.conv.kernel_size == (3, 3)
        assert called[called.index(layer.conv) + 1] is layer.norm
    places = [called.index(layer.conv) for layer in find_layers(net)]
    assert places == sorted(places)


def test_a_net_without_batch_norm_is_refused():
    with torch.device("meta"):
        net = build_net("vgg-16", 10)
    with pytest.raises(StudyError, match="no 3x3 convolution with batch norm"):
        find_layers(net)


def by_hand(gamma: list[float], beta: list[float]) -> nn.Module:
    """Return one layer whose batch norm has these weights, before a ReLU that works in place."""
    norm = nn.BatchNorm2d(len(gamma))
    with torch.no_grad():
        norm.weight.copy_(torch.tensor(gamma))
        norm.bias.copy_(torch.tensor(beta))
    conv = nn.Conv2d(1, len(gamma), 3, padding=1, bias=False)
    nn.init.normal_(conv.weight, generator=torch.Generator().manual_seed(0))
    return nn.Sequential(conv, norm, nn.ReLU(inplace=True))


def test_with_batch_statistics_a_channel_deviates_by_its_gamma(batches):
    # Within channels the variance is gamma^2; between them it is that of the betas.
    gamma, beta = [0.5, -2.0, 1.0], [0.0, 3.0, -3.0]
    (found,) = measure_responses(by_hand(gamma, beta), batches, training=True)
    within = (0.25 + 4 + 1) / 3
    assert found.channel_std == pytest.approx(math.sqrt(within), rel=1e-4)
    assert found.std == pytest.approx(math.sqrt(within + 6), rel=1e-4)
    assert (found.layer, found.name, found.stage) == (0, "0", 0)


def test_with_running_statistics_it_is_the_data_that_deviate(batches):
    net = by_hand([1.0, 1.0], [0.0, 0.0])  # running mean 0 and variance 1: batch norm does nothing
    with torch.no_grad():
        outputs = torch.cat([net[0](images) for images, _ in batches])
    (found,) = measure_responses(net, batches)
    assert found.std == pytest.approx(float(outputs.std(correction=0)), rel=1e-3)


@pytest.mark.parametrize("name", ["plain-14", "resnet-14"])
def test_layers_of_a_trained_net_in_order(trained, batches, untouched, name):
    net = trained(name)
    with untouched(net):
        found = measure_responses(net, batches)
        same = measure_responses(net, batches[::-1])
    assert [row.layer for row in found] == list(range(13))
    assert [row.std for row in same] == pytest.approx([row.std for row in found])
    expected = []
    hooks = [
        module.register_forward_hook(lambda _module, _inputs, y: expected.append(float(y.std(correction=0))))
        for module in net.modules()
        if isinstance(module, nn.BatchNorm2d)
    ]
    with torch.no_grad():
        net(torch.cat([images for images, _ in batches]))
    for hook in hooks:
        hook.remove()
    assert [row.std for row in found] == pytest.approx(expected, rel=1e-4)
    assert all(row.channel_std <= row.std for row in found)


def test_gammas_scale_the_responses_of_their_layer_alone(digit_net, batches):
    net = digit_net("resnet-14")
    before = measure_responses(net, batches, training=True)
    with torch.no_grad():
        net.layer2[1].bn2.weight.mul_(3)
    after = measure_responses(net, batches, training=True)
    ratios = {row.name: row.std / was.std for row, was in zip(after, before, strict=True)}
    assert ratios.pop("layer2.1.conv2") == pytest.approx(3, rel=1e-4)
    assert all(ratio == pytest.approx(1, rel=1e-3) for ratio in ratios.values())  # batch norm undoes it downstream


def test_responses_of_an_imagenet_net(digit_net):
    net = digit_net("resnet-50", width=0.1, family="imagenet")
    images = torch.randn(4, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    found = measure_responses(net, [(images, torch.zeros(4, dtype=torch.int64))], training=True)
    assert len(found) == 16
    assert all(row.channel_std == pytest.approx(1, rel=0.01) for row in found)


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


def test_gradients_of_an_imagenet_net():
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
        angles = measure_turns(before, after)
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
        turned.append(measure_turns(before, net)[5])
    for near, far in pairwise(turned):
        assert near / far == pytest.approx(4, rel=0.02)
