"""Blocks with batch norm and ReLU before each convolution, and nothing after the addition: He et al. 2016.

"Identity Mappings in Deep Residual Networks" (arXiv 1603.05027), Figure 4e: the values of a shortcut pass through the
whole net unchanged. Where a block changes the shape, its first batch norm and ReLU come before the shortcut too, as in
the authors' code. The net's last batch norm and ReLU come before its average.
Legend: N batch, C channels, H height, W width.
"""

from torch import Tensor

from study.nets.blocks import PAPER_BLOCKS, Block, BlockSettings, Shortcut, conv1x1, conv3x3, norm, projection


class PreactivationBlock(Block):
    """Base of both kinds: branch(x) + shortcut(x), where the branch begins with batch norm and ReLU."""

    def __init__(
        self, channels_in: int, channels: int, stride: int, shortcut: Shortcut, settings: BlockSettings = PAPER_BLOCKS
    ) -> None:
        super().__init__(channels_in, channels, stride, shortcut, settings)
        self.bn1 = norm(channels_in, settings.design)
        self.downsample = projection(channels_in, channels, stride, shortcut, settings.design)

    def without_branch(self, x: Tensor) -> Tensor:
        return self.scaled_skip(self.relu(self.bn1(x)) if self.changes else x)

    def forward(self, x: Tensor) -> Tensor:
        active: Tensor = self.relu(self.bn1(x))
        return self.add(self.branch(active), active if self.changes else x)


class PreactivationBasic(PreactivationBlock):
    """BN, ReLU, 3x3, BN, ReLU, 3x3, + shortcut."""

    expansion = 1

    def __init__(
        self, channels_in: int, width: int, stride: int, shortcut: Shortcut, settings: BlockSettings = PAPER_BLOCKS
    ) -> None:
        super().__init__(channels_in, width, stride, shortcut, settings)
        bias = not settings.design.normalised
        self.conv1 = conv3x3(channels_in, width, stride, bias=bias)
        self.bn2 = norm(width, settings.design)
        self.conv2 = conv3x3(width, width, bias=bias)

    def branch(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv1(x)  # (N, width, H/stride, W/stride)
        out = self.conv2(self.relu(self.bn2(out)))
        return out


class PreactivationBottleneck(PreactivationBlock):
    """BN, ReLU, 1x1, BN, ReLU, 3x3, BN, ReLU, 1x1 (4 x width), + shortcut."""

    expansion = 4

    def __init__(
        self, channels_in: int, width: int, stride: int, shortcut: Shortcut, settings: BlockSettings = PAPER_BLOCKS
    ) -> None:
        super().__init__(channels_in, width * self.expansion, stride, shortcut, settings)
        bias = not settings.design.normalised
        self.conv1 = conv1x1(channels_in, width, bias=bias)
        self.bn2 = norm(width, settings.design)
        self.conv2 = conv3x3(width, width, stride, bias=bias)
        self.bn3 = norm(width, settings.design)
        self.conv3 = conv1x1(width, width * self.expansion, bias=bias)

    def branch(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv1(x)  # (N, width, H, W)
        out = self.conv2(self.relu(self.bn2(out)))  # (N, width, H/stride, W/stride)
        out = self.conv3(self.relu(self.bn3(out)))  # (N, 4 width, H/stride, W/stride)
        return out
