"""torchvision's ResNets load into ours and give the same logits."""

import pytest
import torch
from torch import nn
from torchvision import models

from study.nets import build_net


def perturb(net: nn.Module, generator: torch.Generator) -> None:
    """Move batch norm away from its initial values, so that a mix-up of its parameters or averages shows."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.weight.data, module.running_var):
                tensor.uniform_(0.5, 1.5, generator=generator)
            for tensor in (module.bias.data, module.running_mean):
                tensor.normal_(std=0.1, generator=generator)


@pytest.mark.parametrize("depth", [18, 34, 50])
def test_same_logits(depth):
    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(depth)
        theirs = getattr(models, f"resnet{depth}")(weights=None)
    perturb(theirs, generator)
    ours = build_net(f"resnet-{depth}", 1000, generator=generator)
    x = torch.randn(2, 3, 64, 64, generator=generator)
    ours.eval()
    theirs.eval()
    with torch.no_grad():
        expected = theirs(x)
        assert not torch.allclose(ours(x), expected, atol=1e-2)
        ours.load_state_dict(theirs.state_dict(), strict=True)
        torch.testing.assert_close(ours(x), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("depth", [101, 152])
def test_same_keys_and_shapes(depth):
    with torch.device("meta"):
        theirs = getattr(models, f"resnet{depth}")(weights=None)
        ours = build_net(f"resnet-{depth}", 1000)
    expected = {key: value.shape for key, value in theirs.state_dict().items()}
    assert {key: value.shape for key, value in ours.state_dict().items()} == expected


@pytest.mark.parametrize("depth", [16, 19])
def test_vgg_keys_and_shapes(depth):
    with torch.device("meta"):
        theirs = getattr(models, f"vgg{depth}")(weights=None)
        ours = build_net(f"vgg-{depth}", 1000)
    expected = {key: value.shape for key, value in theirs.state_dict().items()}
    assert {key: value.shape for key, value in ours.state_dict().items()} == expected
