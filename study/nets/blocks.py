"""Building blocks of plain and residual nets: shortcuts, and basic and bottleneck blocks in three orders of layers.

Legend: N batch, C channels, H height, W width. He et al. 2015 (arXiv 1512.03385), section 3 and Figure 5.
"""

from typing import Literal, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from study.nets.activations import build_activation
from study.nets.design import PAPER, Design

Shortcut = Literal["none", "A", "B", "C"]
"""`none` is the plain net; A pads with zeros, B projects where dimensions grow, C projects everywhere."""


class BlockSettings(NamedTuple):
    """Settings that all blocks of a net share; by default those of the paper's plain net."""

    shortcut: Shortcut = "none"
    design: Design = PAPER
    depth: int = 2
    """Weighted layers of the whole net."""
    blocks: int = 1
    """Blocks of the whole net."""

    def activation(self) -> nn.Module:
        """Return an activation for one block; with pre-activation, a shortcut carries the block's input."""
        return build_activation(self.design.activation, self.depth, in_place=not self.design.preactivation)


PAPER_BLOCKS = BlockSettings()


def conv3x3(channels_in: int, channels_out: int, stride: int = 1, *, bias: bool = False) -> nn.Conv2d:
    """Return a 3x3 convolution, padded by 1, by default without bias, since a batch norm follows."""
    return nn.Conv2d(channels_in, channels_out, 3, stride=stride, padding=1, bias=bias)


def conv1x1(channels_in: int, channels_out: int, stride: int = 1, *, bias: bool = False) -> nn.Conv2d:
    """Return a 1x1 convolution, by default without bias."""
    return nn.Conv2d(channels_in, channels_out, 1, stride=stride, bias=bias)


def norm(channels: int, design: Design) -> nn.Module:
    """Return batch norm, or an identity in a net without batch norm."""
    return nn.BatchNorm2d(channels) if design.normalised else nn.Identity()


def projection(channels_in: int, channels_out: int, stride: int, settings: BlockSettings) -> nn.Sequential | None:
    """Return the 1x1 projection (with batch norm) that options B and C put on a shortcut, or None."""
    changes = stride != 1 or channels_in != channels_out
    if settings.shortcut == "C" or (settings.shortcut == "B" and changes):
        conv = conv1x1(channels_in, channels_out, stride, bias=not settings.design.normalised)
        return nn.Sequential(conv, norm(channels_out, settings.design))
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

    expansion = 1
    """Output channels of a branch, as a multiple of its width."""
    downsample: nn.Sequential | None

    def __init__(self, channels_in: int, width: int, stride: int, settings: BlockSettings = PAPER_BLOCKS) -> None:
        super().__init__()
        self.shortcut = settings.shortcut
        self.scale = settings.design.shortcut_scale
        self.stride = stride
        self.channels_out = width * self.expansion
        self.changes = stride != 1 or channels_in != self.channels_out
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
        raise NotImplementedError

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

    def __init__(self, channels_in: int, width: int, stride: int, settings: BlockSettings = PAPER_BLOCKS) -> None:
        super().__init__(channels_in, width, stride, settings)
        design = settings.design
        self.conv1 = conv3x3(channels_in, width, stride, bias=design.biased)
        self.bn1 = norm(width, design)
        self.conv2 = conv3x3(width, width, bias=design.biased)
        self.bn2 = norm(width, design)
        self.downsample = projection(channels_in, width, stride, settings)

    def branch(self, x: Tensor) -> Tensor:
        out: Tensor = self.relu(self.bn1(self.conv1(x)))  # (N, width, H/stride, W/stride)
        out = self.bn2(self.conv2(out))
        return out


class Bottleneck(Block):
    """Bottleneck block: 1x1, BN, ReLU, 3x3, BN, ReLU, 1x1 (4 x width), BN, + shortcut, ReLU (Figure 5 right).

    The stride is in the 3x3 convolution, as in torchvision ("v1.5"); the paper put it in the first 1x1.
    """

    expansion = 4

    def __init__(self, channels_in: int, width: int, stride: int, settings: BlockSettings = PAPER_BLOCKS) -> None:
        super().__init__(channels_in, width, stride, settings)
        design = settings.design
        self.conv1 = conv1x1(channels_in, width, bias=design.biased)
        self.bn1 = norm(width, design)
        self.conv2 = conv3x3(width, width, stride, bias=design.biased)
        self.bn2 = norm(width, design)
        self.conv3 = conv1x1(width, self.channels_out, bias=design.biased)
        self.bn3 = norm(self.channels_out, design)
        self.downsample = projection(channels_in, self.channels_out, stride, settings)

    def branch(self, x: Tensor) -> Tensor:
        out: Tensor = self.relu(self.bn1(self.conv1(x)))  # (N, width, H, W)
        out = self.relu(self.bn2(self.conv2(out)))  # (N, width, H/stride, W/stride)
        out = self.bn3(self.conv3(out))  # (N, 4 width, H/stride, W/stride)
        return out


class PreactivationBlock(Block):
    """branch(x) + shortcut(x), with batch norm and ReLU before each convolution, and nothing after the addition.

    He et al. 2016, "Identity Mappings in Deep Residual Networks" (arXiv 1603.05027), Figure 4e: the values of a
    shortcut pass through the whole net unchanged. Where a block changes the shape, its first batch norm and ReLU come
    before the shortcut too, as in the authors' code. The net's last batch norm and ReLU come before its average.
    """

    def __init__(self, channels_in: int, width: int, stride: int, settings: BlockSettings = PAPER_BLOCKS) -> None:
        super().__init__(channels_in, width, stride, settings)
        self.bn1 = norm(channels_in, settings.design)
        self.downsample = projection(channels_in, self.channels_out, stride, settings)

    def without_branch(self, x: Tensor) -> Tensor:
        return self.scaled_skip(self.relu(self.bn1(x)) if self.changes else x)

    def forward(self, x: Tensor) -> Tensor:
        active: Tensor = self.relu(self.bn1(x))
        return self.add(self.branch(active), active if self.changes else x)


class PreactivationBasic(PreactivationBlock):
    """BN, ReLU, 3x3, BN, ReLU, 3x3, + shortcut."""

    def __init__(self, channels_in: int, width: int, stride: int, settings: BlockSettings = PAPER_BLOCKS) -> None:
        super().__init__(channels_in, width, stride, settings)
        design = settings.design
        self.conv1 = conv3x3(channels_in, width, stride, bias=design.biased)
        self.bn2 = norm(width, design)
        self.conv2 = conv3x3(width, width, bias=design.biased)

    def branch(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv1(x)  # (N, width, H/stride, W/stride)
        out = self.conv2(self.relu(self.bn2(out)))
        return out


class PreactivationBottleneck(PreactivationBlock):
    """BN, ReLU, 1x1, BN, ReLU, 3x3, BN, ReLU, 1x1 (4 x width), + shortcut."""

    expansion = 4

    def __init__(self, channels_in: int, width: int, stride: int, settings: BlockSettings = PAPER_BLOCKS) -> None:
        super().__init__(channels_in, width, stride, settings)
        design = settings.design
        self.conv1 = conv1x1(channels_in, width, bias=design.biased)
        self.bn2 = norm(width, design)
        self.conv2 = conv3x3(width, width, stride, bias=design.biased)
        self.bn3 = norm(width, design)
        self.conv3 = conv1x1(width, self.channels_out, bias=design.biased)

    def branch(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv1(x)  # (N, width, H, W)
        out = self.conv2(self.relu(self.bn2(out)))  # (N, width, H/stride, W/stride)
        out = self.conv3(self.relu(self.bn3(out)))  # (N, 4 width, H/stride, W/stride)
        return out


class FixupBlock(Block):
    """ReLU(branch(x) + shortcut(x)): a scalar bias before each convolution and ReLU, a scalar factor at the end.

    It trains without batch norm by its initialisation, Zhang et al. 2019 (arXiv 1901.09321), section 4, rules 1 to 3:
    the last convolution of a branch begins at 0, so that each block begins as its shortcut; the other convolutions are
    He's times L^(-1 / (2m - 2)), with L blocks of the net and m convolutions of a branch.
    """

    def __init__(self, channels_in: int, width: int, stride: int, settings: BlockSettings = PAPER_BLOCKS) -> None:
        super().__init__(channels_in, width, stride, settings)
        self.blocks = settings.blocks
        self.convs = nn.ModuleList(self.build(channels_in, width, stride))
        self.before = _scalars(len(self.convs))
        """Bias before each convolution."""
        self.after = _scalars(len(self.convs))
        """Bias after each convolution; the last one's comes after the factor."""
        self.factor = nn.Parameter(torch.ones(()))
        self.downsample = projection(channels_in, self.channels_out, stride, settings)

    def build(self, channels_in: int, width: int, stride: int) -> list[nn.Conv2d]:
        """Return the branch's convolutions, without biases."""
        raise NotImplementedError

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

    def build(self, channels_in: int, width: int, stride: int) -> list[nn.Conv2d]:
        """Return both 3x3 convolutions."""
        return [conv3x3(channels_in, width, stride), conv3x3(width, width)]


class FixupBottleneck(FixupBlock):
    """1x1, ReLU, 3x3, ReLU, 1x1, + shortcut, ReLU."""

    expansion = 4

    def build(self, channels_in: int, width: int, stride: int) -> list[nn.Conv2d]:
        """Return the three convolutions."""
        return [conv1x1(channels_in, width), conv3x3(width, width, stride), conv1x1(width, 4 * width)]


def global_average(x: Tensor) -> Tensor:
    """Average over the map: (N, C, H, W) -> (N, C). A mean, since adaptive pooling has no deterministic backward."""
    return torch.mean(x, dim=(2, 3))


def _scalars(count: int) -> nn.ParameterList:
    return nn.ParameterList([nn.Parameter(torch.zeros(())) for _ in range(count)])
