"""The CIFAR and ImageNet families of He et al. 2015, plain or residual, of the design's blocks.

CIFAR (section 4.2): 6n+2 weighted layers.

| depth | n | parameters |
| --- | --- | --- |
| 20 | 3 | 0.27M |
| 32 | 5 | 0.46M |
| 44 | 7 | 0.66M |
| 56 | 9 | 0.85M |
| 110 | 18 | 1.7M |
| 1202 | 200 | 19.4M |

ImageNet (Table 1). Parameter names and shapes are torchvision's: its weights load with `strict=True` (option B).

| depth | block | blocks a stage | parameters (option B, 1000 classes) |
| --- | --- | --- | --- |
| 18 | basic | 2, 2, 2, 2 | 11,689,512 |
| 34 | basic | 3, 4, 6, 3 | 21,797,672 |
| 50 | bottleneck | 3, 4, 6, 3 | 25,557,032 |
| 101 | bottleneck | 3, 4, 23, 3 | 44,549,160 |
| 152 | bottleneck | 3, 8, 36, 3 | 60,192,808 |

Legend: N batch, C channels of the images, H and W height and width, K classes, w width multiplier, e block expansion.
"""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from study.nets.blocks import (
    BasicBlock,
    Block,
    BlockSettings,
    Bottleneck,
    FixupBasic,
    FixupBottleneck,
    PreactivationBasic,
    PreactivationBottleneck,
    Shortcut,
    conv3x3,
    global_average,
    norm,
)
from study.nets.design import PAPER, Design

Kind = Literal["basic", "bottleneck"]
BLOCKS: dict[Kind, tuple[type[Block], type[Block], type[Block]]] = {
    "basic": (BasicBlock, PreactivationBasic, FixupBasic),
    "bottleneck": (Bottleneck, PreactivationBottleneck, FixupBottleneck),
}
"""Blocks in the paper's order of layers, in that of He et al. 2016, and without batch norm by Fixup."""
STAGES: dict[int, tuple[Kind, tuple[int, int, int, int]]] = {
    18: ("basic", (2, 2, 2, 2)),
    34: ("basic", (3, 4, 6, 3)),
    50: ("bottleneck", (3, 4, 6, 3)),
    101: ("bottleneck", (3, 4, 23, 3)),
    152: ("bottleneck", (3, 8, 36, 3)),
}
"""Blocks of the ImageNet family's stages by depth."""


def make_stages(
    kind: Kind, channels_in: int, widths: Sequence[int], counts: Sequence[int], settings: BlockSettings
) -> list[nn.Sequential]:
    """Return stages of `counts` blocks each; the first block of a stage takes its stride, 1 in the first stage, else 2.

    Args:
        kind: of the blocks.
        channels_in: of the first stage's input.
        widths: channels of each stage, before a bottleneck's expansion.
        counts: blocks of each stage.
        settings: the shortcut, the order of layers, and other modifications of the paper's.
    """
    basic, preactivation, fixup = BLOCKS[kind]
    design = settings.design
    block = fixup if design.scaling == "fixup" else preactivation if design.preactivation else basic
    stages = []
    for i, (width, count) in enumerate(zip(widths, counts, strict=True)):
        row: list[nn.Module] = []
        for j in range(count):
            stride = 2 if i > 0 and j == 0 else 1
            row.append(block(channels_in, width, stride, settings))
            channels_in = width * block.expansion
        stages.append(nn.Sequential(*row))
    return stages


class StagedNet(nn.Module):
    """Base of both families: a first convolution, batch norm, an activation, stages of blocks, and a linear layer."""

    channels: tuple[int, ...]
    """Of each stage, before a bottleneck's expansion."""
    layer1: nn.Module
    layer2: nn.Module
    layer3: nn.Module

    def __init__(
        self,
        depth: int,
        num_classes: int,
        *,
        in_channels: int = 3,
        shortcut: Shortcut = "none",
        width: float = 1.0,
        design: Design = PAPER,
    ) -> None:
        """Build the net.

        Raises:
            ValueError: the family has no such depth.
        """
        super().__init__()
        self.design = design
        self.fixup = design.scaling == "fixup"
        if self.fixup:  # a scalar after the first convolution, and one before the linear layer
            self.first_bias = nn.Parameter(torch.zeros(()))
            self.last_bias = nn.Parameter(torch.zeros(()))
        kind, counts = self.stages(depth)
        widths = [max(1, round(channels * width)) for channels in self.channels]
        last = widths[-1] * BLOCKS[kind][0].expansion
        settings = BlockSettings(shortcut, design, depth, sum(counts))
        self.conv1 = self.first_convolution(in_channels, widths[0])
        self.bn1 = norm(last if design.preactivation else widths[0], design)
        self.relu = settings.activation()
        for i, stage in enumerate(make_stages(kind, widths[0], widths, counts, settings), 1):
            self.add_module(f"layer{i}", stage)
        self.fc = nn.Linear(last, num_classes)

    @staticmethod
    def stages(depth: int) -> tuple[Kind, Sequence[int]]:
        """Return the kind of blocks and their number in each stage."""
        raise NotImplementedError

    def first_convolution(self, channels_in: int, channels_out: int) -> nn.Conv2d:
        """Return the first convolution."""
        raise NotImplementedError

    def set_first_values(self) -> None:
        """Set Fixup's own parameters to their first values: the linear layer begins at 0 (its rule 1)."""
        if self.fixup:
            for parameter in (self.first_bias, self.last_bias, self.fc.weight):
                nn.init.zeros_(parameter)

    def begin(self, x: Tensor) -> Tensor:
        """Return the first block's input, from the first convolution's output."""
        if self.design.preactivation:
            return x
        active: Tensor = self.relu(x + self.first_bias if self.fixup else self.bn1(x))
        return active

    def end(self, x: Tensor) -> Tensor:
        """Return logits (N, K) from the last block's output (N, C, H, W)."""
        if self.design.preactivation:
            x = self.relu(self.bn1(x))
        x = global_average(x)  # (N, C)
        logits: Tensor = self.fc(x + self.last_bias if self.fixup else x)
        return logits


class CifarNet(StagedNet):
    """3x3 convolution (16), three stages of n basic blocks (16, 32, 64 channels), global average, linear layer."""

    channels = (16, 32, 64)

    @staticmethod
    def stages(depth: int) -> tuple[Kind, Sequence[int]]:
        n, rest = divmod(depth - 2, 6)
        if n < 1 or rest:
            raise ValueError(f"depth {depth} isn't 6n+2")
        return "basic", (n, n, n)

    def first_convolution(self, channels_in: int, channels_out: int) -> nn.Conv2d:
        return conv3x3(channels_in, channels_out, bias=self.design.biased)

    def forward(self, x: Tensor) -> Tensor:
        x = self.begin(self.conv1(x))  # (N, 16w, H, W)
        x = self.layer1(x)  # (N, 16w, H, W)
        x = self.layer2(x)  # (N, 32w, H/2, W/2)
        x = self.layer3(x)  # (N, 64w, H/4, W/4)
        return self.end(x)  # (N, K)


class ImageNetNet(StagedNet):
    """7x7 convolution /2, 3x3 max pool /2, four stages (64, 128, 256, 512 channels), global average, linear layer."""

    channels = (64, 128, 256, 512)
    layer4: nn.Module

    @staticmethod
    def stages(depth: int) -> tuple[Kind, Sequence[int]]:
        if depth not in STAGES:
            raise ValueError(f"depth {depth} isn't one of {', '.join(map(str, STAGES))}")
        return STAGES[depth]

    def first_convolution(self, channels_in: int, channels_out: int) -> nn.Conv2d:
        return nn.Conv2d(channels_in, channels_out, 7, stride=2, padding=3, bias=self.design.biased)

    def forward(self, x: Tensor) -> Tensor:
        x = self.begin(self.conv1(x))  # (N, 64w, H/2, W/2)
        x = F.max_pool2d(x, 3, stride=2, padding=1)  # (N, 64w, H/4, W/4)
        x = self.layer1(x)  # (N, 64we, H/4, W/4)
        x = self.layer2(x)  # (N, 128we, H/8, W/8)
        x = self.layer3(x)  # (N, 256we, H/16, W/16)
        x = self.layer4(x)  # (N, 512we, H/32, W/32)
        return self.end(x)  # (N, K)


FAMILIES: dict[str, type[StagedNet]] = {"cifar": CifarNet, "imagenet": ImageNetNet}
