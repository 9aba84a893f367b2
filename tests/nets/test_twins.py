"""A plain net and its residual twin differ by the shortcut and by nothing else."""

import copy

import pytest
import torch
from torch import nn

from study.nets import build_net
from study.nets.blocks import Block

DEPTHS = [8, 20, 18, 50]


def twin(architecture: str, depth: int, shortcut: str | None = None) -> nn.Module:
    width = 1 / 16 if depth in (18, 50) else 1 / 4
    generator = torch.Generator().manual_seed(11)
    return build_net(f"{architecture}-{depth}", 10, shortcut=shortcut, width=width, generator=generator)


def images(depth: int) -> torch.Tensor:
    side = 64 if depth in (18, 50) else 8
    return torch.randn(4, 3, side, side, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("depth", DEPTHS)
def test_option_a_has_the_plain_nets_parameters_and_values(depth):
    plain, residual = twin("plain", depth).state_dict(), twin("resnet", depth, "A").state_dict()
    assert list(plain) == list(residual)
    for key, value in plain.items():
        assert value.shape == residual[key].shape, key
        assert torch.equal(value, residual[key]), key


@pytest.mark.parametrize("shortcut", ["B", "C"])
@pytest.mark.parametrize("depth", DEPTHS)
def test_options_b_and_c_share_the_plain_nets_values(depth, shortcut):
    plain, residual = twin("plain", depth).state_dict(), twin("resnet", depth, shortcut).state_dict()
    # Projections are drawn last, so that they move no other layer's weights.
    assert [key for key in residual if "downsample" not in key] == list(plain)
    assert len(residual) > len(plain)
    for key, value in plain.items():
        assert torch.equal(value, residual[key]), key


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("shortcut", ["A", "B", "C"])
@pytest.mark.parametrize("depth", DEPTHS)
def test_the_shortcut_is_the_only_difference(depth, shortcut, training, monkeypatch):
    plain, residual = twin("plain", depth).train(training), twin("resnet", depth, shortcut).train(training)
    x = images(depth)
    with torch.no_grad():
        # A copy, since a forward pass in training mode moves batch norm's averages.
        assert not torch.equal(copy.deepcopy(plain)(x), copy.deepcopy(residual)(x))
        skip = Block.skip
        monkeypatch.setattr(Block, "skip", lambda block, x: torch.zeros_like(skip(block, x)))
        assert torch.equal(plain(x), residual(x))
    after = residual.state_dict()
    for key, value in plain.state_dict().items():
        assert torch.equal(value, after[key]), key
