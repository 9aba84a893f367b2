"""Build nets by name: `build_net("resnet-56", num_classes=10)`, plain, residual and VGG."""

from dataclasses import replace
from typing import Literal

import torch
from torch import nn

from study.errors import StudyError
from study.names import default_shortcut, parse_net
from study.nets.blocks import Shortcut
from study.nets.design import PAPER, Design
from study.nets.families import FAMILIES
from study.nets.initialise import allocate, initialise


def build_net(
    name: str,
    num_classes: int,
    *,
    in_channels: int = 3,
    shortcut: Literal["A", "B", "C"] | None = None,
    width: float = 1.0,
    family: Literal["auto", "cifar", "imagenet"] = "auto",
    design: Design = PAPER,
    generator: torch.Generator | None = None,
) -> nn.Module:
    """Build a net by its name and draw its weights.

    Args:
        name: `plain-N`, `resnet-N` or `vgg-N`.
        num_classes: outputs of the last layer, K.
        in_channels: channels of the images, C.
        shortcut: option A, B or C (section 3.3); None takes the family's own. A plain net ignores it.
        width: multiplies the number of channels of every layer.
        family: chooses between the families for depths 50 and 152, which both have.
        design: other modifications of the paper's net. For a plain net, those of shortcuts and branches are ignored,
            and so is pre-activation, which without shortcuts gives the same layers in the same order.
        generator: draws the weights; a net and its plain twin get equal weights from equal generators.

    Raises:
        StudyError: unknown name or depth; a VGG net with a width or a design.
    """
    net_name = parse_net(name, family)
    if net_name.family == "vgg":
        if width != 1.0:
            raise StudyError("vgg nets have no width multiplier: leave width at 1")
        if design != PAPER:
            raise StudyError("vgg nets are built as they were published, without any remedy")
        with torch.device("meta"):  # no constructor draws weights, from PyTorch's own generator, that are replaced
            net: nn.Module = build_vgg(net_name.depth, num_classes, in_channels=in_channels)
    else:
        if net_name.architecture == "plain":
            design = replace(design, shortcut_scale=1.0, scaling="none", preactivation=False)
        used: Shortcut = "none" if net_name.architecture == "plain" else shortcut or default_shortcut(net_name.family)
        build = FAMILIES[net_name.family]
        with torch.device("meta"):
            net = build(net_name.depth, num_classes, in_channels=in_channels, shortcut=used, width=width, design=design)
    device = torch.get_default_device()
    if device.type != "meta":  # where there are no numbers
        allocate(net, device)
        initialise(net, generator, design)
    return net


def build_vgg(depth: int, num_classes: int, *, in_channels: int = 3) -> nn.Module:
    """Return torchvision's VGG-16 or VGG-19 without batch norm, the paper's yardstick for cost, with undrawn weights.

    Simonyan and Zisserman 2014 (arXiv 1409.1556).

    Raises:
        ValueError: `depth` isn't 16 or 19.
    """
    if depth not in (16, 19):
        raise ValueError(f"depth {depth} isn't 16 or 19")
    from torchvision.models import vgg16, vgg19  # takes a second and a half to import

    build = vgg16 if depth == 16 else vgg19
    net: nn.Module = build(weights=None, num_classes=num_classes, init_weights=False)
    if in_channels != 3:
        features: nn.Sequential = net.get_submodule("features")  # type: ignore[assignment]
        features[0] = nn.Conv2d(in_channels, 64, 3, padding=1)
    return net
