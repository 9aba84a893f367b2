"""Multilayer perceptrons, plain and residual: `family: mlp.py:build`.

A linear layer, blocks of two linear layers with batch norm, and a linear layer of logits: 2n+2 layers. A residual net
adds a block's input to its output, before the ReLU.

Legend: N images, C channels, H height, W width, K classes.
"""

import math

import torch
from torch import Tensor, nn

WIDTH = 64


class Block(nn.Module):
    """Linear, batch norm, ReLU, linear, batch norm, + the block's input, ReLU."""

    def __init__(self, residual: bool) -> None:
        super().__init__()
        self.residual = residual
        self.linear1, self.norm1 = nn.Linear(WIDTH, WIDTH, bias=False), nn.BatchNorm1d(WIDTH)
        self.linear2, self.norm2 = nn.Linear(WIDTH, WIDTH, bias=False), nn.BatchNorm1d(WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm2(self.linear2(self.norm1(self.linear1(x)).relu()))
        return (x + y if self.residual else y).relu()


def build(*, depth: int, residual: bool, num_classes: int, in_channels: int, generator: torch.Generator) -> nn.Module:
    """Return a net of `depth` linear layers with He's first weights; images are flattened, whatever their size."""
    n, rest = divmod(depth - 2, 2)
    if n < 1 or rest:
        raise ValueError(f"depth {depth} isn't 2n+2")
    net = nn.Sequential(
        nn.AdaptiveAvgPool2d(8),  # (N, C, 8, 8): as it is for the digits
        nn.Flatten(),  # (N, 64 C)
        nn.Linear(64 * in_channels, WIDTH, bias=False),
        nn.BatchNorm1d(WIDTH),
        nn.ReLU(),
        *(Block(residual) for _ in range(n)),
        nn.Linear(WIDTH, num_classes),  # (N, K)
    )
    for module in net.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, 0, math.sqrt(2 / module.in_features), generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return net
