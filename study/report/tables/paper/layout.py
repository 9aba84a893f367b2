"""What a net is made of, from its name: the blocks, channels and output size of each stage, as in Table 1."""

import math
from typing import Any, NamedTuple

import pandas as pd

from study.errors import StudyError
from study.names import NetName, parse_net
from study.report.paper import load_paper

SIDES = {"digits": 8, "cifar10": 32, "cifar100": 32, "fashion-mnist": 28, "dogs-vs-cats": 64, "image-folder": 32}
"""Side of the images of a data set in pixels, where a grid gives none."""
BLOCKS = {"basic": "3x3, 3x3", "bottleneck": "1x1, 3x3, 1x1"}
VGG_CONVOLUTIONS = {16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}


class Layout(NamedTuple):
    """The stages of a net: how many blocks each has, of how many channels, and the side of its maps in pixels."""

    block: str
    blocks: tuple[int, ...]
    channels: tuple[int, ...]
    sides: tuple[int, ...]


def side_of(run: "pd.Series[Any]") -> int | None:
    """Return the side in pixels of what a run's net is shown, None where the data set isn't known.

    Crops of `augment: imagenet` are 224 of 256 pixels (section 3.4).
    """
    given = str(run.get("image_size", ""))
    side = int(given) if given.isdecimal() else SIDES.get(str(run["dataset"]))
    return round(side * 224 / 256) if side and run.get("augment") == "imagenet" else side


def layout_of(run: "pd.Series[Any]") -> Layout | None:
    """Return the stages of a run's net, None where its name or its images aren't known."""
    side = side_of(run)
    family = str(run.get("family", "auto"))
    try:
        net = parse_net(
            str(run["net"]), "imagenet" if family == "imagenet" else "cifar" if family == "cifar" else "auto"
        )
    except StudyError:
        return None
    return layout(net, side, float(str(run.get("width", 1.0)))) if side else None


def layout(net: NetName, side: int, width: float = 1.0) -> Layout:
    """Return the stages of a net on images of a side in pixels; `width` multiplies its channels."""
    if net.family == "vgg":
        sides = tuple(side // 2**stage for stage in range(5))
        return Layout("3x3", VGG_CONVOLUTIONS[net.depth], (64, 128, 256, 512, 512), sides)
    if net.family == "cifar":
        return Layout(BLOCKS["basic"], ((net.depth - 2) // 6,) * 3, _wide((16, 32, 64), width), _sides(side, 3))
    column = next(one for one in load_paper().stages if one.depth == net.depth)
    channels = _wide((64, 128, 256, 512), width)
    if column.block == "bottleneck":
        channels = tuple(4 * number for number in channels)
    return Layout(BLOCKS[column.block], column.blocks, channels, _sides(_halved(_halved(side)), 4))


def _wide(channels: tuple[int, ...], width: float) -> tuple[int, ...]:
    return tuple(max(1, round(number * width)) for number in channels)


def _sides(first: int, stages: int) -> tuple[int, ...]:
    """Return the side of each stage, half of the one before it."""
    sides = [first]
    while len(sides) < stages:
        sides.append(_halved(sides[-1]))
    return tuple(sides)


def _halved(side: int) -> int:
    """Return the side after a convolution or pool of stride 2."""
    return math.ceil(side / 2)
