"""Batch normalisation over the images of a whole batch, where several processes share it.

Legend: R ranks, n images of each, C channels, H height, W width; m = R n H W values of a channel in all.
"""

from typing import Any, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn


def share_statistics(net: nn.Module, ranks: int) -> None:
    """Let every batch normalisation of a net take its statistics over all ranks; names and values don't change."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.__class__ = SharedBatchNorm2d
            module.ranks = ranks  # type: ignore[assignment]


def unshare_statistics(net: nn.Module) -> None:
    """Let every batch normalisation take its statistics from its own images again; names and values don't change."""
    for module in net.modules():
        if isinstance(module, SharedBatchNorm2d):
            module.__class__ = nn.BatchNorm2d  # type: ignore[assignment]


class SharedBatchNorm2d(nn.BatchNorm2d):
    """Gives what `nn.BatchNorm2d` gives for the whole batch, to rounding (Ioffe and Szegedy 2015, algorithm 1).

    mean = sum x / m, var = sum (x - mean)^2 / m, both sums over all ranks, one after the other: no difference of large
    squares is taken, which would lose digits (Chan, Golub and LeVeque 1983). Sums are of 32-bit floats at least. The
    gradient is that of the sum of all ranks' losses. `nn.SyncBatchNorm` does the same, but only on GPUs.
    """

    ranks: int

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        with torch.autocast(x.device.type, enabled=False):
            values = x if x.dtype == torch.float64 else x.float()  # (n, C, H, W)
            m = values.numel() // values.shape[1] * self.ranks
            mean = _total(values.sum((0, 2, 3))) / m  # (C,)
            centred = values - mean[:, None, None]
            var = _total(centred.square().sum((0, 2, 3))) / m  # (C,)
            self._track(mean.detach(), var.detach() * (m / (m - 1)))
            scale = self.weight * torch.rsqrt(var + self.eps)  # (C,)
            return (centred * scale[:, None, None] + self.bias[:, None, None]).to(x.dtype)

    def _track(self, mean: Tensor, var: Tensor) -> None:
        """Move the running statistics towards those of a batch; `var` is the unbiased variance, as in PyTorch."""
        momentum = cast(float, self.momentum)
        cast(Tensor, self.num_batches_tracked).add_(1)
        cast(Tensor, self.running_mean).lerp_(mean, momentum)
        cast(Tensor, self.running_var).lerp_(var, momentum)


class _Total(torch.autograd.Function):
    """The sum over ranks. A rank's term enters every rank's loss, so its gradient is the sum over ranks too."""

    @staticmethod
    def forward(_: Any, x: Tensor) -> Tensor:
        x = x.contiguous().clone()
        dist.all_reduce(x)
        return x

    @staticmethod
    def backward(_: Any, *gradients: Tensor) -> Tensor:
        return _Total.forward(None, gradients[0])


def _total(x: Tensor) -> Tensor:
    return cast(Tensor, _Total.apply(x))
