"""Sums over the channels of a layer's output, of which means and variances are made."""

import torch
from torch import Tensor


def channel_sums(y: Tensor) -> Tensor:
    """(N, C, H, W) -> counts, sums and sums of squares of the channels (3, C), in double precision."""
    wide = y.detach().double()
    total = wide.sum((0, 2, 3))
    return torch.stack([torch.full_like(total, y.numel() // y.shape[1]), total, wide.square().sum((0, 2, 3))])
