"""Small vision transformers, with and without residual connections: `family: vit.py:build`.

Patches of 2x2 pixels as tokens, blocks of attention and a perceptron (Dosovitskiy et al. 2020, arXiv 2010.11929), and a
linear layer on the mean token. The depth is the number of blocks. A plain net's block passes on what its halves
compute, a residual net's adds it to what they were given.

Legend: N images, C channels, T tokens, D features, K classes.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FEATURES, HEADS, HIDDEN = 32, 2, 64
SIDE, PATCH = 8, 2
TOKENS = (SIDE // PATCH) ** 2
SHARPNESS = 2.0
"""Factor of queries and keys in `build_orthogonal`: how clearly a token attends to itself at first."""


class Attention(nn.Module):
    """Attention of several heads (N, T, D) -> (N, T, D), without biases."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value, self.out = (nn.Linear(FEATURES, FEATURES, bias=False) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        heads = (part(x).unflatten(2, (HEADS, -1)).transpose(1, 2) for part in (self.query, self.key, self.value))
        y: Tensor = F.scaled_dot_product_attention(*heads)  # (N, heads, T, D / heads)
        return self.out(y.transpose(1, 2).flatten(2))


class Block(nn.Module):
    """Layer norm, attention, + the block's input; layer norm, linear, GELU, linear, + the first half's result."""

    def __init__(self, residual: bool) -> None:
        super().__init__()
        self.residual = residual
        self.norm1, self.attention = nn.LayerNorm(FEATURES), Attention()
        self.norm2, self.linear1, self.linear2 = (
            nn.LayerNorm(FEATURES),
            nn.Linear(FEATURES, HIDDEN),
            nn.Linear(HIDDEN, FEATURES),
        )

    def forward(self, x: Tensor) -> Tensor:
        y = self.attention(self.norm1(x))
        x = x + y if self.residual else y
        y = self.linear2(F.gelu(self.linear1(self.norm2(x))))
        return x + y if self.residual else y


class VisionTransformer(nn.Module):
    """Tokens of patches with positions, blocks, layer norm, mean over tokens, linear layer."""

    def __init__(self, depth: int, residual: bool, num_classes: int, in_channels: int) -> None:
        super().__init__()
        self.resize = nn.AdaptiveAvgPool2d(SIDE)  # as it is for the digits
        self.patches = nn.Conv2d(in_channels, FEATURES, PATCH, stride=PATCH)
        self.positions = nn.Parameter(torch.zeros(TOKENS, FEATURES))
        self.blocks = nn.Sequential(*(Block(residual) for _ in range(depth)))
        self.norm = nn.LayerNorm(FEATURES)
        self.head = nn.Linear(FEATURES, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        x = self.patches(self.resize(images)).flatten(2).transpose(1, 2)  # (N, T, D)
        x = self.blocks(x + self.positions)
        return self.head(self.norm(x).mean(1))  # (N, K)


def build(*, depth: int, residual: bool, num_classes: int, in_channels: int, generator: torch.Generator) -> nn.Module:
    """Return a net whose weights are N(0, 1 / fan_in) at first."""
    net = VisionTransformer(depth, residual, num_classes, in_channels)
    nn.init.normal_(net.positions, 0, 0.5, generator=generator)
    for module in net.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            fan_in = module.weight[0].numel()
            nn.init.normal_(module.weight, 0, 1 / math.sqrt(fan_in), generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return net


def build_orthogonal(
    *, depth: int, residual: bool, num_classes: int, in_channels: int, generator: torch.Generator
) -> nn.Module:
    """Return a net of well-conditioned blocks at first: orthogonal matrices, and tokens that attend to themselves.

    By first weights alone, Ji et al. 2025 (arXiv 2510.00345) train transformers without residual connections. This
    takes up the idea, that each block's Jacobian be well conditioned; it isn't their scheme.
    """
    net = build(depth=depth, residual=residual, num_classes=num_classes, in_channels=in_channels, generator=generator)
    for block in net.modules():
        if isinstance(block, Block):
            for linear in (
                block.attention.value,
                block.attention.out,
                block.linear1,
                block.linear2,
                block.attention.key,
            ):
                nn.init.orthogonal_(linear.weight, generator=generator)
            with torch.no_grad():
                block.attention.key.weight *= SHARPNESS
                block.attention.query.weight.copy_(block.attention.key.weight)  # so that a token is nearest to itself
    return net
