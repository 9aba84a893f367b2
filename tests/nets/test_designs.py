"""What nets may have otherwise than the paper's, against the formulas of those who proposed it."""

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from study.errors import StudyError
from study.nets import PAPER, Design, build_net, can_join, join
from study.nets.blocks import BasicBlock, Block, FixupBlock, PreactivationBlock, pad_shortcut
from study.nets.initialise import draw

SIDES = {"cifar": 8, "imagenet": 32}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def net_of(name: str, width: float = 1.0, **design: Any) -> nn.Module:
    return build_net(name, 10, in_channels=1, width=width, design=Design(**design), generator=generator())


def images(side: int = 8, count: int = 6) -> Tensor:
    return torch.randn(count, 1, side, side, generator=generator(1))


def blocks(net: nn.Module) -> list[Block]:
    return [module for module in net.modules() if isinstance(module, Block)]


def parameters(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


def test_a_shortcut_scaled_to_nothing_is_the_plain_net_and_a_whole_one_the_residual_net() -> None:
    x = images()
    for mode in (True, False):
        plain, residual = (
            build_net(f"{kind}-14", 10, in_channels=1, generator=generator()).train(mode)
            for kind in ("plain", "resnet")
        )
        none, half, whole = (net_of("resnet-14", shortcut_scale=scale).train(mode) for scale in (0.0, 0.5, 1.0))
        assert torch.equal(none(x), plain(x))
        assert torch.equal(whole(x), residual(x))
        assert not torch.allclose(half(x), residual(x))


def test_a_scaled_block_adds_that_part_of_what_comes_in() -> None:
    block = blocks(net_of("resnet-8", shortcut_scale=0.25).eval())[1]
    x = torch.randn(2, 16, 8, 8, generator=generator(2))
    expected = F.relu(block.branch(x) + 0.25 * pad_shortcut(x, 32, 2))
    assert torch.allclose(block(x), expected)


@pytest.mark.parametrize("name", ["plain-14", "resnet-14", "plain-18", "resnet-18", "resnet-50", "plain-50"])
@pytest.mark.parametrize(
    "design",
    [
        {"preactivation": True},
        {"normalised": False},
        {"activation": "tanh"},
        {"preactivation": True, "normalised": False},
    ],
    ids=str,
)
def test_every_family_has_every_order_of_layers(name: str, design: dict[str, Any]) -> None:
    net = net_of(name, 0.125, **design)
    assert net(images(32, 2)).shape == (2, 10)
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    assert bool(norms) is design.get("normalised", True)


def test_a_preactivated_block_is_that_of_the_paper() -> None:
    """BN, ReLU, conv, BN, ReLU, conv; an identity carries the input as it is, a change of shape what is activated."""
    first, second, third = blocks(net_of("resnet-14", preactivation=True).eval())[1:4]
    x = torch.randn(2, 16, 8, 8, generator=generator(2))
    for block, channels in ((first, 16), (second, 16)):
        assert isinstance(block, PreactivationBlock)
        active = F.relu(block.bn1(x))
        branch = block.conv2(F.relu(block.bn2(block.conv1(active))))
        carried = x if block is first else pad_shortcut(active, 32, 2)
        assert torch.allclose(block(x), branch + carried)
        assert block.conv1.in_channels == channels
    assert not third.changes


@pytest.mark.parametrize("name", ["resnet-14", "resnet-50"])
@torch.no_grad()
def test_without_batch_norm_a_preactivated_shortcut_carries_what_came_in(name: str) -> None:
    """No ReLU may change it on its way: there is no batch norm to make another tensor of it."""
    for block in blocks(net_of(name, 0.25, preactivation=True, normalised=False).eval()):
        if not block.changes:
            width = block.channels_out
            x = torch.randn(2, width, 4, 4, generator=generator(2))
            before = x.clone()
            y = block(x)
            assert torch.equal(x, before)
            assert torch.allclose(y, block.branch(F.relu(x)) + x)


def test_preactivation_moves_batch_norms_and_adds_none() -> None:
    # The stem's norm (16) goes to the end (64); in stages 2 and 3 one norm of each first block has fewer channels.
    moved = 2 * (64 - 16) + 2 * (16 - 32) + 2 * (32 - 64)
    assert parameters(net_of("resnet-20", preactivation=True)) == parameters(net_of("resnet-20")) + moved


@pytest.mark.parametrize("scaling", ["rezero", "skipinit", "fixup"])
@pytest.mark.parametrize("name", ["resnet-14", "resnet-50"])
def test_scaled_branches_add_nothing_at_first(scaling: str, name: str) -> None:
    net = net_of(name, 0.25, scaling=scaling, normalised=scaling == "rezero").eval()
    seen: list[tuple[Block, Tensor, Tensor]] = []
    for block in blocks(net):
        block.register_forward_hook(lambda module, x, y: seen.append((module, x[0].clone(), y.clone())))
    net(images(32, 2))
    assert seen
    for block, x, y in seen:
        assert torch.equal(y, F.relu(block.skip(x)))


def test_what_scaling_costs() -> None:
    assert parameters(net_of("resnet-20", scaling="rezero")) == parameters(net_of("resnet-20")) + 9
    norms = sum(2 * m.num_features for m in net_of("resnet-20").modules() if isinstance(m, nn.BatchNorm2d))
    assert parameters(net_of("resnet-20", scaling="skipinit", normalised=False)) == (
        parameters(net_of("resnet-20")) - norms // 2 + 9
    )  # a bias where there were a weight and a bias, and a number a block
    assert parameters(net_of("resnet-20", scaling="fixup", normalised=False)) == (
        parameters(net_of("resnet-20")) - norms + 9 * 5 + 2
    )  # four biases and a factor a block, and one bias at either end


def relative(weight: Tensor) -> float:
    """Return the deviation of a weight, as a part of He's."""
    return float(weight.detach().std()) / math.sqrt(2 / weight[0].numel())


def test_fixup_scales_the_first_convolution_of_each_branch_by_depth() -> None:
    net = net_of("resnet-56", scaling="fixup", normalised=False)
    assert net.fc.weight.abs().max() == 0
    for block in blocks(net):
        assert isinstance(block, FixupBlock)
        first, last = block.convs
        assert last.weight.abs().max() == 0
        he = math.sqrt(2 / first.weight[0].numel())
        assert float(first.weight.detach().std()) == pytest.approx(
            he * 27**-0.5, rel=0.1
        )  # 27 blocks of 2 convolutions
    conv = blocks(net_of("resnet-50", 0.25, scaling="fixup", normalised=False))[5].convs[1]
    assert float(conv.weight.detach().std()) == pytest.approx(
        math.sqrt(2 / conv.weight[0].numel()) * 16**-0.25, rel=0.1
    )


def test_a_plain_net_knows_nothing_of_branches() -> None:
    for design in ({"scaling": "rezero"}, {"scaling": "fixup"}, {"shortcut_scale": 0.5}, {"preactivation": True}):
        assert torch.equal(net_of("plain-14", **design).eval()(images()), net_of("plain-14").eval()(images()))


@pytest.mark.parametrize("shape", [(32, 16, 3, 3), (16, 32, 3, 3), (16, 16, 3, 3), (10, 64)])
def test_orthogonal_weights(shape: tuple[int, ...]) -> None:
    weight = torch.empty(shape)
    draw(weight, "orthogonal", 1.5, generator())
    rows = weight.flatten(1)
    assert torch.allclose(rows @ rows.T, 1.5**2 * torch.eye(len(rows)), atol=1e-5)


@pytest.mark.parametrize(("out", "into"), [(32, 16), (16, 16), (16, 32)])
def test_a_delta_orthogonal_convolution_keeps_the_mean_square(out: int, into: int) -> None:
    weight = torch.empty(out, into, 3, 3)
    draw(weight, "delta-orthogonal", 1.0, generator())
    assert (weight != 0).sum() == out * into  # but for the centres
    x = torch.randn(500, into, 5, 5, generator=generator(3))
    y = F.conv2d(x, weight, padding=1)
    if out >= into:  # exactly, wherever the kernel looks
        norms = y.square().mean(1) / x.square().mean(1)
        assert torch.allclose(norms, torch.ones_like(norms), rtol=1e-4)
    assert float(y.square().mean()) == pytest.approx(float(x.square().mean()), rel=0.05)


def test_dirac_weights_pass_their_input_on_with_a_tenth_of_noise() -> None:
    weight = torch.empty(32, 16, 3, 3)
    draw(weight, "dirac", math.sqrt(2), generator())
    rest = weight.clone()
    rest[:, :, 1, 1] -= torch.eye(32, 16)
    assert torch.allclose(rest.flatten(1).norm(dim=1), torch.full((32,), 0.1), atol=1e-6)


def test_only_layers_in_blocks_are_identities() -> None:
    net = net_of("resnet-14", initialisation="dirac")
    he = net_of("resnet-14")
    assert torch.equal(net.conv1.weight, he.conv1.weight)
    assert float(net.layer1[0].conv1.weight[:, :, 1, 1].detach().diagonal().mean()) == pytest.approx(1, abs=0.1)
    assert float(net.fc.weight.detach().std()) == pytest.approx(float(he.fc.weight.detach().std()), rel=0.1)


def test_xavier_and_he_have_their_deviations() -> None:
    for kind, gain, fan in (("he", 1.3, 16 * 9), ("xavier", 1.0, (16 + 64) / 2 * 9)):
        weight = torch.empty(64, 16, 3, 3)
        draw(weight, kind, 1.3, generator())  # type: ignore[arg-type]
        assert float(weight.std()) == pytest.approx(gain / math.sqrt(fan), rel=0.03)


@pytest.mark.parametrize("activation", ["tat", "dks"])
@torch.no_grad()
def test_a_tailored_plain_net_keeps_its_signal_to_the_end(activation: str) -> None:
    """110 layers without batch norm: what a ReLU net of orthogonal weights has lost there, these have kept."""
    x = torch.randn(8, 3, 32, 32, generator=generator(4))
    squares = {}
    for kind in ("relu", activation):
        design = Design(activation=kind, normalised=False, initialisation="delta-orthogonal")  # type: ignore[arg-type]
        net = build_net("plain-110", 10, design=design, generator=generator())
        squares[kind] = float(net.layer3(net.layer2(net.layer1(net.begin(net.conv1(x))))).square().mean())
    assert squares["relu"] < 1e-4
    assert squares[activation] > 0.1


JOINED: list[dict[str, Any]] = [{"shortcut_scale": 0.5}, {"preactivation": True}, {"initialisation": "orthogonal"}]
ALONE: list[dict[str, Any]] = [
    {"scaling": "rezero"},
    {"scaling": "fixup", "normalised": False},
    {"normalised": False},
    {"activation": "tanh"},
]


def test_nets_are_joined_only_where_every_part_is_known() -> None:
    assert all(can_join(net_of("resnet-8", **design)) for design in JOINED)
    assert not any(can_join(net_of("resnet-8", **design)) for design in ALONE)


@pytest.mark.parametrize("design", JOINED, ids=str)
def test_joined_nets_compute_what_each_does(design: dict[str, Any]) -> None:
    pair = [
        build_net("resnet-14", 10, in_channels=1, design=Design(**design), generator=generator(seed)) for seed in (1, 2)
    ]
    x = [images(), -images()]
    expected = [net(one) for net, one in zip(pair, x, strict=True)]
    assert torch.allclose(join(pair)(torch.cat(x, 1)), torch.stack(expected), atol=1e-4)  # (R, N, K)


def test_vgg_has_no_modifications() -> None:
    with pytest.raises(StudyError, match="as they were published"):
        build_net("vgg-16", 10, design=Design(preactivation=True))
    assert Design() == PAPER
    assert isinstance(blocks(net_of("resnet-8"))[0], BasicBlock)
