"""Building blocks of plain and residual nets: the shortcut, the basic block, the bottleneck block.

Legend: N batch, C channels, H height, W width. He et al. 2015 (arXiv 1512.03385), section 3 and Figure 5.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from study.nets.design import PAPER, Design

Activate = Callable[[], nn.Module]
"""Makes a net's activation, one for each block."""
Shortcut = Literal["none", "A", "B", "C"]
"""`none` is the plain net; A pads with zeros, B projects where dimensions grow, C projects everywhere."""


def relu() -> nn.Module:
    """Return the paper's activation."""
    return nn.ReLU(inplace=True)


class BlockSettings(NamedTuple):
    """Settings that all blocks of a net share; the defaults are the paper's."""

    design: Design = PAPER
    activation: Activate = relu
    blocks: int = 1
    """Number of blocks of the whole net."""


PAPER_BLOCKS = BlockSettings()


def conv3x3(channels_in: int, channels_out: int, stride: int = 1, *, bias: bool = False) -> nn.Conv2d:
    """Return a 3x3 convolution, padded by 1, by default without bias, since a batch norm follows."""
    return nn.Conv2d(channels_in, channels_out, 3, stride=stride, padding=1, bias=bias)


def conv1x1(channels_in: int, channels_out: int, stride: int = 1, *, bias: bool = False) -> nn.Conv2d:
    """Return a 1x1 convolution, by default without bias."""
    return nn.Conv2d(channels_in, channels_out, 1, stride=stride, bias=bias)


def norm(channels: int, design: Design = PAPER) -> nn.Module:
    """Return batch norm, or an identity in a net without batch norm."""
    return nn.BatchNorm2d(channels) if design.normalised else nn.Identity()


def projection(
    channels_in: int, channels_out: int, stride: int, shortcut: Shortcut, design: Design = PAPER
) -> nn.Sequential | None:
    """Return the 1x1 projection (with batch norm) that options B and C put on a shortcut, or None."""
    changes = stride != 1 or channels_in != channels_out
    if shortcut == "C" or (shortcut == "B" and changes):
        conv = conv1x1(channels_in, channels_out, stride, bias=not design.normalised)
        return nn.Sequential(conv, norm(channels_out, design))
    return None


def pad_shortcut(x: Tensor, channels_out: int, stride: int, groups: int = 1) -> Tensor:
    """Option A: take every `stride`-th pixel, append channels of zeros. (N, C, H, W) -> (N, channels_out, H/s, W/s).

    With `groups`, the channels are those of several nets, with `channels_out` outputs each: (N, G C, H, W).
    """
    if stride != 1:
        x = x[:, :, ::stride, ::stride]
    missing = channels_out - x.shape[1] // groups
    if not missing:
        return x
    if groups == 1:
        return F.pad(x, (0, 0, 0, 0, 0, missing))
    n, _, h, w = x.shape
    by_net = x.permute(0, 2, 3, 1).reshape(n, h, w, groups, -1)  # (N, H, W, G, C)
    return F.pad(by_net, (0, missing)).flatten(-2).permute(0, 3, 1, 2)


class Block(nn.Module):
    """Base of basic and bottleneck blocks: ReLU(branch(x) + shortcut(x)), or ReLU(branch(x)) in a plain net.

    A `Design` may replace ReLU, multiply the shortcut by a factor, and multiply the branch by a learned number that is
    0 at first: with batch norm this is ReZero (Bachlechner et al. 2020, arXiv 2003.04887, equation 1), without it
    SkipInit (De and Smith 2020, arXiv 2002.10444, section 4).
    """

    expansion: int
    downsample: nn.Sequential | None

    def __init__(
        self, channels_in: int, channels: int, stride: int, shortcut: Shortcut, settings: BlockSettings = PAPER_BLOCKS
    ) -> None:
        super().__init__()
        self.shortcut = shortcut
        self.scale = settings.design.shortcut_scale
        self.stride = stride
        self.channels_out = channels
        self.changes = stride != 1 or channels_in != channels
        """Whether the output has another shape than the input."""
        self.groups = 1
        """Number of joined nets whose channels are in the input."""
        self.relu = settings.activation()
        self.alpha = nn.Parameter(torch.zeros(())) if settings.design.gated else None

    def set_first_values(self) -> None:
        """Set the block's scalar parameters to their first values, after convolutions are drawn."""
        if self.alpha is not None:
            nn.init.zeros_(self.alpha)

    def branch(self, x: Tensor) -> Tensor:
        """Return F(x), before the addition and the last ReLU."""
        raise RuntimeError(f"{type(self).__name__} defines no branch")

    def skip(self, x: Tensor) -> Tensor:
        """Return the shortcut's output before scaling."""
        if self.downsample is not None:
            projected: Tensor = self.downsample(x)
            return projected
        return pad_shortcut(x, self.channels_out, self.stride, self.groups)

    def add(self, out: Tensor, x: Tensor) -> Tensor:
        """Add the shortcut's output for x to a branch's output; in a plain net, return the branch's output alone."""
        if self.shortcut == "none":
            return out
        if self.alpha is not None:
            out = out * self.alpha
        return out + self.scaled_skip(x)

    def scaled_skip(self, x: Tensor) -> Tensor:
        """Return the shortcut's output, times its factor."""
        return self.skip(x) if self.scale == 1 else self.skip(x) * self.scale

    def without_branch(self, x: Tensor) -> Tensor:
        """Return the output of a residual block without its branch."""
        activated: Tensor = self.relu(self.scaled_skip(x))
        return activated

    def forward(self, x: Tensor) -> Tensor:
        activated: Tensor = self.relu(self.add(self.branch(x), x))
        return activated


class BasicBlock(Block):
    """Basic block: 3x3, BN, ReLU, 3x3, BN, + shortcut, ReLU (Figure 5 left)."""

    expansion = 1

    def __init__(
        self, channels_in: int, width: int, stride: int, shortcut: Shortcut, settings: BlockSettings = PAPER_BLOCKS
    ) -> None:
        super().__init__(channels_in, width, stride, shortcut, settings)
        bias = not settings.design.normalised
        self.conv1 = conv3x3(channels_in, width, stride, bias=bias)
        self.bn1 = norm(width, settings.design)
        self.conv2 = conv3x3(width, width, bias=bias)
        self.bn2 = norm(width, settings.design)
        self.downsample = projection(channels_in, width, stride, shortcut, settings.design)

    def branch(self, x: Tensor) -> Tensor:
        out: Tensor = self.relu(self.bn1(self.conv1(x)))  # (N, width, H/stride, W/stride)
        out = self.bn2(self.conv2(out))
        return out


class Bottleneck(Block):
    """Bottleneck block: 1x1, BN, ReLU, 3x3, BN, ReLU, 1x1 (4 x width), BN, + shortcut, ReLU (Figure 5 right).

    The stride is in the 3x3 convolution, as in torchvision ("v1.5"); the paper put it in the first 1x1.
    """

    expansion = 4

    def __init__(
        self, channels_in: int, width: int, stride: int, shortcut: Shortcut, settings: BlockSettings = PAPER_BLOCKS
    ) -> None:
        channels_out = width * self.expansion
        super().__init__(channels_in, channels_out, stride, shortcut, settings)
        bias = not settings.design.normalised
        self.conv1 = conv1x1(channels_in, width, bias=bias)
        self.bn1 = norm(width, settings.design)
        self.conv2 = conv3x3(width, width, stride, bias=bias)
        self.bn2 = norm(width, settings.design)
        self.conv3 = conv1x1(width, channels_out, bias=bias)
        self.bn3 = norm(channels_out, settings.design)
        self.downsample = projection(channels_in, channels_out, stride, shortcut, settings.design)

    def branch(self, x: Tensor) -> Tensor:
        out: Tensor = self.relu(self.bn1(self.conv1(x)))  # (N, width, H, W)
        out = self.relu(self.bn2(self.conv2(out)))  # (N, width, H/stride, W/stride)
        out = self.bn3(self.conv3(out))  # (N, 4 width, H/stride, W/stride)
        return out


def global_average(x: Tensor) -> Tensor:
    """Average over the map: (N, C, H, W) -> (N, C). A mean, since adaptive pooling has no deterministic backward."""
    return torch.mean(x, dim=(2, 3))
