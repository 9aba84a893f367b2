"""Parameters and multiply-adds of a net, counted from the net itself, without images."""

import copy
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from study.nets.initialise import allocate

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
WEIGHTED = (*CONVOLUTIONS, nn.Linear, nn.MultiheadAttention)


class Complexity(NamedTuple):
    """Size of a net: weighted layers (the paper's depth), parameters, multiply-adds of one image's forward pass."""

    layers: int
    parameters: int
    multiply_adds: int


def count(net: nn.Module, image_shape: tuple[int, int, int]) -> Complexity:
    """Count a net of this program for images of `image_shape` (C, H, W).

    Multiply-adds are those of convolutions and linear layers (the paper's "FLOPs", Table 1); batch norm, additions
    and pooling are left out. Layers are convolutions and linear layers off the shortcuts. The net may be on the meta
    device: ``with torch.device("meta"): net = build_net(...)``. An empty batch goes through a copy on the CPU with
    uninitialised weights; on meta, operations would load PyTorch's compiler, which takes long.
    """
    net_copy = copy.deepcopy(net)
    allocate(net_copy, torch.device("cpu"))
    return _count(net_copy, torch.empty(0, *image_shape, device="cpu"), lambda output: output.shape[1:].numel())


def count_any(net: nn.Module, image_shape: tuple[int, int, int]) -> Complexity:
    """Count any net on the CPU likewise, with one image, since few nets take an empty batch.

    Of attention, the projections of `nn.MultiheadAttention` count as linear layers. What a net computes by functions
    and not by modules isn't counted, products of queries with keys among it.
    """
    return _count(copy.deepcopy(net), torch.zeros(1, *image_shape), Tensor.numel)


def _count(net: nn.Module, images: Tensor, numbers: Callable[[Tensor], int]) -> Complexity:
    """Count a net in the pass of a batch; `numbers` counts those of a module's output for one image."""
    multiply_adds = 0

    def add(module: nn.Module, inputs: Any, output: Any) -> None:
        nonlocal multiply_adds
        if isinstance(module, nn.MultiheadAttention):  # its projections of queries, keys and values, and the last one
            multiply_adds += module.embed_dim * sum(map(numbers, (*inputs[:3], output[0])))
        elif isinstance(module, nn.Linear):
            multiply_adds += module.in_features * numbers(output)
        elif isinstance(module, CONVOLUTIONS):
            multiply_adds += module.weight[0].numel() * numbers(output)  # C_in / groups * k_h * k_w

    weighted = {name: module for name, module in net.named_modules() if isinstance(module, WEIGHTED)}
    for module in weighted.values():
        module.register_forward_hook(add)
    with torch.no_grad():
        net.eval()(images)  # (N, C, H, W)
    layers = sum("downsample" not in name.split(".") for name in weighted)
    parameters = sum(parameter.numel() for parameter in net.parameters())
    return Complexity(layers, parameters, multiply_adds)
