"""Residual blocks that train without batch norm by their initialisation: Zhang et al. 2019 (arXiv 1901.09321).

Legend: N batch, C channels, H height, W width, L blocks of the net, m convolutions of a branch.
"""

from typing import cast

import torch
from torch import Tensor, nn

from study.nets.blocks import PAPER_BLOCKS, Block, BlockSettings, Shortcut, conv1x1, conv3x3, projection


class FixupBlock(Block):
    """ReLU(branch(x) + shortcut(x)): a scalar bias before each convolution and ReLU, a scalar factor at the end.

    Section 4, rules 1 to 3: the last convolution of a branch begins at 0, so that each block begins as its shortcut;
    the other convolutions are He's times L^(-1 / (2m - 2)).
    """

    def __init__(
        self, channels_in: int, width: int, stride: int, shortcut: Shortcut, settings: BlockSettings = PAPER_BLOCKS
    ) -> None:
        channels_out = width * self.expansion
        super().__init__(channels_in, channels_out, stride, shortcut, settings)
        self.blocks = settings.blocks
        self.convs = nn.ModuleList(self.build(channels_in, width, stride))
        self.before = _scalars(len(self.convs))
        """Bias before each convolution."""
        self.after = _scalars(len(self.convs))
        """Bias after each convolution; the last one's comes after the factor."""
        self.factor = nn.Parameter(torch.ones(()))
        self.downsample = projection(channels_in, channels_out, stride, shortcut, settings.design)

    def build(self, channels_in: int, width: int, stride: int) -> list[nn.Conv2d]:
        """Return the branch's convolutions, without biases."""
        raise RuntimeError(f"{type(self).__name__} has no convolutions")

    def set_first_values(self) -> None:
        """Scale the drawn weights, and set the scalars."""
        convs = [cast(nn.Conv2d, conv) for conv in self.convs]
        with torch.no_grad():
            for conv in convs[:-1]:
                conv.weight *= self.blocks ** (-1 / (2 * len(convs) - 2))
        nn.init.zeros_(convs[-1].weight)
        for bias in (*self.before, *self.after):
            nn.init.zeros_(bias)
        nn.init.ones_(self.factor)

    def branch(self, x: Tensor) -> Tensor:
        out = x
        last = len(self.convs) - 1
        for i, (conv, before, after) in enumerate(zip(self.convs, self.before, self.after, strict=True)):
            out = conv(out + before)
            out = out * self.factor + after if i == last else self.relu(out + after)
        return out


class FixupBasic(FixupBlock):
    """3x3, ReLU, 3x3, + shortcut, ReLU."""

    expansion = 1

    def build(self, channels_in: int, width: int, stride: int) -> list[nn.Conv2d]:
        """Return both 3x3 convolutions."""
        return [conv3x3(channels_in, width, stride), conv3x3(width, width)]


class FixupBottleneck(FixupBlock):
    """1x1, ReLU, 3x3, ReLU, 1x1, + shortcut, ReLU."""

    expansion = 4

    def build(self, channels_in: int, width: int, stride: int) -> list[nn.Conv2d]:
        """Return the three convolutions."""
        return [conv1x1(channels_in, width), conv3x3(width, width, stride), conv1x1(width, 4 * width)]


def _scalars(count: int) -> nn.ParameterList:
    return nn.ParameterList([nn.Parameter(torch.zeros(())) for _ in range(count)])
