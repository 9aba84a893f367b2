import math

import pytest
import torch
from torch import nn

from study.probe.responses import measure_responses


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


def test_an_imagenet_net_is_measured_too(digit_net):
    net = digit_net("resnet-50", width=0.1, family="imagenet")
    images = torch.randn(4, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    found = measure_responses(net, [(images, torch.zeros(4, dtype=torch.int64))], training=True)
    assert len(found) == 16
    assert all(row.channel_std == pytest.approx(1, rel=0.01) for row in found)
