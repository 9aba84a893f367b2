"""Join several nets of one architecture: their channels are in one tensor, a group of channels per net.

Each net keeps its own parameters, gradients and running statistics. A layer of a narrow net has too little work to fill
a processor; the same layer of several nets has more work in the same number of calls.
Legend: R nets, N images of a batch, C channels, H height, W width, K classes.
"""

import copy
from collections.abc import Sequence
from typing import Generic, TypeVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from study.nets.blocks import Block
from study.nets.families import StagedNet

Layer = TypeVar("Layer", bound=nn.Module)
PARTS = (nn.Conv2d, nn.BatchNorm2d, nn.Linear, nn.ReLU, nn.Sequential, Block)


def can_join(net: nn.Module) -> bool:
    """Whether nets of this kind can be joined: all but VGG nets, whose dropout draws random numbers."""
    if not isinstance(net, StagedNet) or not net.design.is_common:
        return False
    return all(isinstance(module, PARTS) for module in net.modules() if module is not net)


def join(nets: Sequence[nn.Module]) -> nn.Module:
    """Return the training forward pass of nets: (N, R C, H, W) -> (R, N, K), equal to each net's alone, to rounding.

    The nets share the storage of their running statistics until `unjoin` is called. They must be of one architecture,
    or the same module of such nets.
    """
    first = nets[0]
    if isinstance(first, nn.Conv2d):
        return _Conv(cast(Sequence[nn.Conv2d], nets))
    if isinstance(first, nn.BatchNorm2d):
        return _Norm(cast(Sequence[nn.BatchNorm2d], nets))
    if isinstance(first, nn.Linear):
        return _Linear(cast(Sequence[nn.Linear], nets))
    whole = copy.copy(first)
    whole._modules = {
        name: None if child is None else join([cast(nn.Module, net._modules[name]) for net in nets])
        for name, child in first._modules.items()
    }
    if isinstance(whole, Block):
        whole.groups = len(nets)
    return whole


def unjoin(nets: Sequence[nn.Module]) -> None:
    """Separate the running statistics of the nets again."""
    for net in nets:
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean = cast(Tensor, module.running_mean).clone()
                module.running_var = cast(Tensor, module.running_var).clone()


class _Joined(nn.Module, Generic[Layer]):
    """The same layer of several nets."""

    def __init__(self, parts: Sequence[Layer]) -> None:
        super().__init__()
        self._parts = tuple(parts)  # a tuple, so that PyTorch doesn't register their parameters here too


class _Conv(_Joined[nn.Conv2d]):
    def forward(self, x: Tensor) -> Tensor:
        first = self._parts[0]
        weight = torch.cat([conv.weight for conv in self._parts])  # (R C_out, C_in, k, k)
        return F.conv2d(x, weight, None, first.stride, first.padding, first.dilation, len(self._parts))


class _Norm(_Joined[nn.BatchNorm2d]):
    """Batch norm of joined nets: statistics are by channel, so each net has its own."""

    def __init__(self, parts: Sequence[nn.BatchNorm2d]) -> None:
        super().__init__(parts)
        self._mean = torch.cat([cast(Tensor, norm.running_mean) for norm in parts])  # (R C)
        self._var = torch.cat([cast(Tensor, norm.running_var) for norm in parts])
        width = parts[0].num_features
        for i, norm in enumerate(parts):
            channels = slice(i * width, (i + 1) * width)
            norm.running_mean, norm.running_var = self._mean[channels], self._var[channels]

    def forward(self, x: Tensor) -> Tensor:
        first = self._parts[0]
        weight, bias = (torch.cat(values) for values in zip(*((n.weight, n.bias) for n in self._parts), strict=True))
        for norm in self._parts:
            cast(Tensor, norm.num_batches_tracked).add_(1)
        momentum = cast(float, first.momentum)
        return F.batch_norm(x, self._mean, self._var, weight, bias, True, momentum, first.eps)


class _Linear(_Joined[nn.Linear]):
    def forward(self, x: Tensor) -> Tensor:
        features = x.view(len(x), len(self._parts), -1).transpose(0, 1)  # (R, N, C)
        weight = torch.stack([linear.weight.T for linear in self._parts])  # (R, C, K)
        bias = torch.stack([linear.bias for linear in self._parts])[:, None]  # (R, 1, K)
        return torch.baddbmm(bias, features, weight)
