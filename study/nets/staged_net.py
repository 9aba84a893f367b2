"""Base of both families: a first convolution, stages of the design's blocks, and a linear layer.

Legend: N batch, C channels, H height, W width, K classes.
"""

from collections.abc import Sequence
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from study.nets.activations import build_activation
from study.nets.blocks import BasicBlock, Block, BlockSettings, Bottleneck, Shortcut
from study.nets.design import Design
from study.nets.fixup import FixupBasic, FixupBottleneck
from study.nets.preactivation import PreactivationBasic, PreactivationBottleneck

Kind = Literal["basic", "bottleneck"]
BLOCKS: dict[Kind, tuple[type[Block], type[Block], type[Block]]] = {
    "basic": (BasicBlock, PreactivationBasic, FixupBasic),
    "bottleneck": (Bottleneck, PreactivationBottleneck, FixupBottleneck),
}
"""Blocks in the paper's order of layers, in that of He et al. 2016, and without batch norm by Fixup."""


def block_settings(design: Design, depth: int) -> BlockSettings:
    """Return the settings of the blocks of a net of `depth` weighted layers."""
    in_place = not design.preactivation  # there, a shortcut carries the block's input
    return BlockSettings(design, partial(build_activation, design.activation, depth, in_place=in_place))


def make_stages(
    kind: Kind,
    channels_in: int,
    widths: Sequence[int],
    counts: Sequence[int],
    *,
    shortcut: Shortcut,
    settings: BlockSettings,
) -> list[nn.Sequential]:
    """Return stages of `counts` blocks each; the first block of a stage takes its stride, 1 in the first stage, else 2.

    Args:
        kind: class of the blocks.
        channels_in: of the first stage's input.
        widths: channels of each stage, before a bottleneck's expansion.
        counts: blocks of each stage.
        shortcut: option A, B or C, or `none`.
        settings: order of layers, and other modifications of the paper's.
    """
    basic, preactivation, fixup = BLOCKS[kind]
    block = fixup if settings.design.scaling == "fixup" else preactivation if settings.design.preactivation else basic
    settings = settings._replace(blocks=sum(counts))
    stages = []
    for i, (width, count) in enumerate(zip(widths, counts, strict=True)):
        row: list[nn.Module] = []
        for j in range(count):
            stride = 2 if i > 0 and j == 0 else 1
            row.append(block(channels_in, width, stride, shortcut, settings))
            channels_in = width * block.expansion
        stages.append(nn.Sequential(*row))
    return stages


class StagedNet(nn.Module):
    """A net with a first convolution, one batch norm besides those of its blocks, an activation and a linear layer."""

    bn1: nn.Module
    relu: nn.Module
    fc: nn.Linear

    def __init__(self, design: Design) -> None:
        super().__init__()
        self.design = design
        self.fixup = design.scaling == "fixup"
        if self.fixup:  # a scalar after the first convolution, and one before the linear layer
            self.first_bias = nn.Parameter(torch.zeros(()))
            self.last_bias = nn.Parameter(torch.zeros(()))

    @property
    def biased(self) -> bool:
        """Whether the first convolution has biases."""
        return not self.design.normalised and not self.fixup

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
        """Return the features to average (N, C, H, W), from the last block's output."""
        if not self.design.preactivation:
            return x
        active: Tensor = self.relu(self.bn1(x))
        return active

    def classify(self, x: Tensor) -> Tensor:
        """Return logits (N, K) from averaged features (N, C)."""
        logits: Tensor = self.fc(x + self.last_bias if self.fixup else x)
        return logits
