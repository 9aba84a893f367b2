import pytest
import torch

from study.errors import StudyError
from study.nets import build_net
from study.probe.subject import copy_net, find_layers, recalibrated


def test_a_copy_shares_nothing_with_its_net(digit_net, untouched):
    net = digit_net("plain-8")
    with untouched(net):
        own = copy_net(net, training=True)
        own(torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))).sum().backward()
        with torch.no_grad():
            for value in own.state_dict().values():
                value.zero_()
    assert own.training


@pytest.mark.parametrize("name", ["plain-14", "resnet-14"])
def test_recalibrated_running_statistics_are_those_of_the_batch(digit_net, batches, untouched, name):
    net = digit_net(name)
    images = batches[0][0]
    with untouched(net):
        own = recalibrated(net, batches[:1])
    assert not own.training
    # With one batch, evaluation mode does what training mode does to it, but for n / (n - 1) in the variance.
    with torch.no_grad():
        torch.testing.assert_close(own(images), copy_net(net, training=True)(images), atol=0.05, rtol=0.01)
        assert (own(images) - copy_net(net, training=False)(images)).abs().max() > 0.5  # mean 0, variance 1 are far off
    assert own.bn1.momentum == net.bn1.momentum


def test_recalibration_averages_over_batches(digit_net, batches):
    net = digit_net("plain-8")
    means = [recalibrated(net, [batch]).bn1.running_mean for batch in batches]
    torch.testing.assert_close(recalibrated(net, batches).bn1.running_mean, torch.stack(means).mean(0))


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
