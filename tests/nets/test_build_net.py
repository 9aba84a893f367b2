"""Every net by its name: shapes, gradients, initial weights, names of parameters, errors."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from study.errors import StudyError
from study.nets import build_net
from study.nets.families import CifarNet, ImageNetNet
from study.nets.registry import build_vgg

CIFAR_DEPTHS = [8, 20, 32, 44, 56]
IMAGENET_DEPTHS = [18, 34, 50, 101, 152]
NETS = [
    *itertools.product(["plain", "resnet"], CIFAR_DEPTHS + IMAGENET_DEPTHS, [None]),
    *itertools.product(["resnet"], [20, 18, 50], ["A", "B", "C"]),
]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def small(name: str, shortcut: str | None = None, seed: int = 0) -> nn.Module:
    """A net of full depth, thin enough for two cores: 4 channels in its first stage."""
    width = 1 / 16 if int(name.partition("-")[2]) in IMAGENET_DEPTHS else 1 / 4
    return build_net(name, 7, shortcut=shortcut, width=width, generator=seeded(seed))


def images(name: str) -> torch.Tensor:
    side = 64 if int(name.partition("-")[2]) in IMAGENET_DEPTHS else 8  # a 2x2 map at the end in both families
    return torch.randn(4, 3, side, side, generator=seeded(1))


@pytest.mark.parametrize(("architecture", "depth", "shortcut"), NETS)
def test_output_is_finite_and_every_parameter_gets_a_gradient(architecture, depth, shortcut):
    name = f"{architecture}-{depth}"
    net = small(name, shortcut)
    logits = net(images(name))
    assert logits.shape == (4, 7)
    assert logits.isfinite().all()
    F.cross_entropy(logits, torch.arange(4)).backward()
    for parameter_name, parameter in net.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.isfinite().all(), parameter_name
        assert parameter.grad.any(), parameter_name


@pytest.mark.parametrize("depth", [16, 19])
@pytest.mark.parametrize("channels", [1, 3])
def test_vgg_shape_and_gradients(depth, channels):
    # 138 million parameters: on a device that holds no numbers.
    with torch.device("meta"):
        net = build_net(f"vgg-{depth}", 7, in_channels=channels)
        logits = net(torch.empty(2, channels, 32, 32))
        logits.sum().backward()
    assert logits.shape == (2, 7)
    assert all(parameter.grad is not None for parameter in net.parameters())


def test_maps_of_the_cifar_family():
    net = build_net("resnet-8", 10, generator=seeded())
    assert stage_shapes(net, torch.zeros(2, 3, 32, 32)) == {
        "bn1": (2, 16, 32, 32),
        "layer1": (2, 16, 32, 32),
        "layer2": (2, 32, 16, 16),
        "layer3": (2, 64, 8, 8),
        "fc": (2, 10),
    }


@pytest.mark.parametrize(("depth", "expansion"), [(18, 1), (50, 4)])
def test_maps_of_the_imagenet_family(depth, expansion):
    with torch.device("meta"):
        net = build_net(f"resnet-{depth}", 1000)
        shapes = stage_shapes(net, torch.zeros(2, 3, 224, 224))
    assert shapes == {
        "bn1": (2, 64, 112, 112),
        "layer1": (2, 64 * expansion, 56, 56),
        "layer2": (2, 128 * expansion, 28, 28),
        "layer3": (2, 256 * expansion, 14, 14),
        "layer4": (2, 512 * expansion, 7, 7),
        "fc": (2, 1000),
    }


def stage_shapes(net: nn.Module, x: torch.Tensor) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    for name, module in net.named_children():
        if name in ("bn1", "fc") or name.startswith("layer"):
            module.register_forward_hook(lambda _m, _i, out, name=name: shapes.update({name: tuple(out.shape)}))
    net(x)
    return shapes


@pytest.mark.parametrize(("architecture", "depth", "shortcut"), NETS)
def test_initialisation_looks_at_no_arm(architecture, depth, shortcut):
    net = small(f"{architecture}-{depth}", shortcut)
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    assert len(norms) >= depth - 1
    for norm in norms:
        # No last batch norm of a block starts at 0: that would silence a plain net.
        assert torch.equal(norm.weight, torch.ones_like(norm.weight))
        assert not norm.bias.any()
        assert not norm.running_mean.any()
        assert torch.equal(norm.running_var, torch.ones_like(norm.running_var))
        assert norm.num_batches_tracked == 0
    assert all(module.bias is None for module in net.modules() if isinstance(module, nn.Conv2d))
    assert not net.fc.bias.any()


@pytest.mark.parametrize("name", ["plain-20", "resnet-20"])
def test_weights_are_he_normal(name):
    net = build_net(name, 10, generator=seeded())
    for module_name, module in net.named_modules():
        if isinstance(module, nn.Conv2d) and module.weight.numel() > 2000:
            fan_in = module.in_channels * 9
            n = module.weight.numel()
            # Four standard errors of a normal sample's mean and deviation.
            sigma = math.sqrt(2 / fan_in)
            assert abs(module.weight.mean().item()) < 4 * sigma / math.sqrt(n), module_name
            assert module.weight.std().item() == pytest.approx(sigma, rel=4 / math.sqrt(2 * n)), module_name


@pytest.mark.parametrize("name", ["plain-8", "resnet-18"])
def test_same_seed_same_weights_other_seed_other_weights(name):
    first, again, other = (small(name, seed=seed).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(first[key], again[key]) for key in first)
    drawn = [key for key in first if first[key].dim() > 1]
    assert not any(torch.equal(first[key], other[key]) for key in drawn)


@pytest.mark.parametrize("name", ["plain-8", "resnet-8", "resnet-18", "resnet-50"])
def test_a_generator_leaves_pytorchs_own_alone(name):
    before = torch.get_rng_state()
    small(name)
    assert torch.equal(torch.get_rng_state(), before)


def test_without_a_generator_pytorchs_own_decides():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        first = build_net("plain-8", 10).conv1.weight
        second = build_net("plain-8", 10).conv1.weight
        torch.manual_seed(5)
        again = build_net("plain-8", 10).conv1.weight
    assert torch.equal(first, again)
    assert not torch.equal(first, second)


@pytest.mark.parametrize(
    ("name", "children"),
    [
        ("plain-8", ["conv1", "bn1", "layer1", "layer2", "layer3", "fc"]),
        ("resnet-8", ["conv1", "bn1", "layer1", "layer2", "layer3", "fc"]),
        ("resnet-18", ["conv1", "bn1", "layer1", "layer2", "layer3", "layer4", "fc"]),
    ],
)
def test_names_of_the_parameters(name, children):
    keys = list(small(name).state_dict())
    assert list(dict.fromkeys(key.partition(".")[0] for key in keys)) == children
    assert "layer1.0.conv2.weight" in keys
    assert "layer3.0.bn1.running_var" in keys


@pytest.mark.parametrize(("name", "side"), [("plain-8", 8), ("resnet-8", 8), ("resnet-18", 64)])
def test_images_of_one_channel(name, side):
    net = build_net(name, 10, in_channels=1, width=0.25, generator=seeded())
    assert net.conv1.in_channels == 1
    assert net(torch.zeros(2, 1, side, side)).shape == (2, 10)


@pytest.mark.parametrize(
    ("name", "width", "channels"),
    [
        ("plain-8", 2.0, (32, 32, 64, 128)),
        ("resnet-8", 0.5, (8, 8, 16, 32)),
        ("resnet-8", 0.01, (1, 1, 1, 1)),
        ("resnet-18", 0.25, (16, 16, 32, 64)),
    ],
)
def test_width_multiplies_the_channels(name, width, channels):
    net = build_net(name, 10, width=width, generator=seeded())
    stages = (net.layer1, net.layer2, net.layer3)
    assert (net.conv1.out_channels, *(stage[-1].conv2.out_channels for stage in stages)) == channels


@pytest.mark.parametrize("name", ["plain-50", "resnet-50", "plain-152", "resnet-152"])
def test_depths_that_both_families_have(name):
    with torch.device("meta"):
        assert isinstance(build_net(name, 10), ImageNetNet)
        assert isinstance(build_net(name, 10, family="imagenet"), ImageNetNet)
        assert isinstance(build_net(name, 10, family="cifar"), CifarNet)


@pytest.mark.parametrize(
    ("name", "projections"), [("resnet-8", 0), ("resnet-18", 3), ("resnet-50", 4), ("plain-18", 0), ("plain-50", 0)]
)
def test_default_shortcut_is_a_for_cifar_and_b_for_imagenet(name, projections):
    with torch.device("meta"):
        net = build_net(name, 10)
    assert sum(key.endswith("downsample.0.weight") for key in net.state_dict()) == projections


@pytest.mark.parametrize("shortcut", ["A", "B", "C"])
def test_a_plain_net_ignores_the_option(shortcut):
    with torch.device("meta"):
        net = build_net("plain-20", 10, shortcut=shortcut)
    assert not any("downsample" in key for key in net.state_dict())


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("resent-20", {}, r"no net is called 'resent-20' \(did you mean 'resnet'\?\).*plain-N, resnet-N and vgg-N"),
        ("plain", {}, "no net is called 'plain'"),
        ("plain-21", {}, r"no net has depth 21: .*6n\+2 \(nearest 20 and 26\)"),
        ("resnet-20", {"family": "imagenet"}, "ImageNet family has no depth 20: it has 18, 34, 50, 101, 152"),
        ("resnet-18", {"family": "cifar"}, "nearest 14 and 20"),
        ("vgg-17", {}, "vgg has no depth 17: it has 16 and 19"),
        ("vgg-16", {"width": 2.0}, "vgg nets have no width multiplier"),
    ],
)
def test_names_that_no_net_has(name, arguments, message):
    with pytest.raises(StudyError, match=message):
        build_net(name, 10, **arguments)


@pytest.mark.parametrize(
    ("build", "depth", "message"),
    [
        (CifarNet, 2, r"depth 2 isn't 6n\+2"),
        (CifarNet, 21, r"depth 21 isn't 6n\+2"),
        (ImageNetNet, 20, "depth 20 isn't one of 18, 34, 50, 101, 152"),
        (build_vgg, 11, "depth 11 isn't 16 or 19"),
    ],
)
def test_classes_refuse_a_depth_of_another_family(build, depth, message):
    with pytest.raises(ValueError, match=message):
        build(depth, 10)
