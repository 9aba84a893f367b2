"""Building blocks of plain and residual nets: the shortcut, the basic block, the bottleneck block.

Legend: N batch, C channels, H height, W width. He et al. 2015 (arXiv 1512.03385), section 3 and Figure 5.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Shortcut = Literal["none", "A", "B", "C"]
"""`none` is the plain net; A pads with zeros, B projects where dimensions grow, C projects everywhere."""


def conv3x3(channels_in: int, channels_out: int, stride: int = 1) -> nn.Conv2d:
    """Return a 3x3 convolution, padded by 1, without bias (the bias stands in the batch norm that follows)."""
    return nn.Conv2d(channels_in, channels_out, 3, stride=stride, padding=1, bias=False)


def conv1x1(channels_in: int, channels_out: int, stride: int = 1) -> nn.Conv2d:
    """Return a 1x1 convolution without bias."""
    return nn.Conv2d(channels_in, channels_out, 1, stride=stride, bias=False)


def projection(channels_in: int, channels_out: int, stride: int, shortcut: Shortcut) -> nn.Sequential | None:
    """Return the 1x1 projection (with batch norm) that options B and C put on a shortcut, or None."""
    changes = stride != 1 or channels_in != channels_out
    if shortcut == "C" or (shortcut == "B" and changes):
        return nn.Sequential(conv1x1(channels_in, channels_out, stride), nn.BatchNorm2d(channels_out))
    return None


def pad_shortcut(x: Tensor, channels_out: int, stride: int, groups: int = 1) -> Tensor:
    """Option A: take every `stride`-th pixel, append channels of zeros. (N, C, H, W) -> (N, channels_out, H/s, W/s).

    With `groups`, the channels are those of several nets, `channels_out` of each come out: (N, G C, H, W).
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
    """What basic and bottleneck blocks share: ReLU(branch(x) + shortcut(x)), or ReLU(branch(x)) in a plain net."""

    expansion: int
    downsample: nn.Sequential | None

    def __init__(self, channels_in: int, channels_out: int, stride: int, shortcut: Shortcut) -> None:
        super().__init__()
        self.shortcut = shortcut
        self.stride = stride
        self.channels_out = channels_out
        self.groups = 1
        """Nets whose channels come in, where several are joined."""
        self.relu = nn.ReLU(inplace=True)

    def branch(self, x: Tensor) -> Tensor:
        """Return F(x), before the addition and the last ReLU."""
        raise RuntimeError(f"{type(self).__name__} defines no branch")

    def skip(self, x: Tensor) -> Tensor:
        """Return what the shortcut carries past the branch."""
        if self.downsample is not None:
            projected: Tensor = self.downsample(x)
            return projected
        return pad_shortcut(x, self.channels_out, self.stride, self.groups)

    def forward(self, x: Tensor) -> Tensor:
        out = self.branch(x)
        if self.shortcut != "none":
            out = out + self.skip(x)
        activated: Tensor = self.relu(out)
        return activated


class BasicBlock(Block):
    """Basic block: 3x3, BN, ReLU, 3x3, BN, + shortcut, ReLU (Figure 5 left)."""

    expansion = 1

    def __init__(self, channels_in: int, width: int, stride: int, shortcut: Shortcut) -> None:
        super().__init__(channels_in, width, stride, shortcut)
        self.conv1 = conv3x3(channels_in, width, stride)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = conv3x3(width, width)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = projection(channels_in, width, stride, shortcut)

    def branch(self, x: Tensor) -> Tensor:
        out: Tensor = self.relu(self.bn1(self.conv1(x)))  # (N, width, H/stride, W/stride)
        out = self.bn2(self.conv2(out))
        return out


class Bottleneck(Block):
    """Bottleneck block: 1x1, BN, ReLU, 3x3, BN, ReLU, 1x1 (4 x width), BN, + shortcut, ReLU (Figure 5 right).

    The stride stands in the 3x3 convolution, as in torchvision ("v1.5"); the paper put it in the first 1x1.
    """

    expansion = 4

    def __init__(self, channels_in: int, width: int, stride: int, shortcut: Shortcut) -> None:
        channels_out = width * self.expansion
        super().__init__(channels_in, channels_out, stride, shortcut)
        self.conv1 = conv1x1(channels_in, width)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = conv3x3(width, width, stride)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = conv1x1(width, channels_out)
        self.bn3 = nn.BatchNorm2d(channels_out)
        self.downsample = projection(channels_in, channels_out, stride, shortcut)

    def branch(self, x: Tensor) -> Tensor:
        out: Tensor = self.relu(self.bn1(self.conv1(x)))  # (N, width, H, W)
        out = self.relu(self.bn2(self.conv2(out)))  # (N, width, H/stride, W/stride)
        out = self.bn3(self.conv3(out))  # (N, 4 width, H/stride, W/stride)
        return out


def make_stage(
    block: type[Block], channels_in: int, width: int, blocks: int, *, stride: int, shortcut: Shortcut
) -> nn.Sequential:
    """Return `blocks` blocks in a row; only the first changes the number of channels and takes the stride."""
    channels_out = width * block.expansion
    first = block(channels_in, width, stride, shortcut)
    rest = [block(channels_out, width, 1, shortcut) for _ in range(blocks - 1)]
    return nn.Sequential(first, *rest)


def global_average(x: Tensor) -> Tensor:
    """Average over the map: (N, C, H, W) -> (N, C). A mean, since adaptive pooling has no deterministic backward."""
    return torch.mean(x, dim=(2, 3))
