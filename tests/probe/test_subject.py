import pytest
import torch

from study.probe.subject import copy_net, recalibrated


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
