"""Parameters and multiply-adds of a net, counted from the net itself, without images."""

import copy
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from study.nets.initialise import allocate


class Complexity(NamedTuple):
    """Size of a net: weighted layers (the paper's depth), parameters, multiply-adds of one image's forward pass."""

    layers: int
    parameters: int
    multiply_adds: int


def count(net: nn.Module, image_shape: tuple[int, int, int]) -> Complexity:
    """Count a net for images of `image_shape` (C, H, W).

    Multiply-adds are those of convolutions and linear layers (the paper's "FLOPs", Table 1); batch norm, additions
    and pooling are left out. Layers are convolutions and linear layers off the shortcuts. The net may be on the meta
    device: ``with torch.device("meta"): net = build_net(...)``. An empty batch goes through a copy on the CPU with
    uninitialised weights; on meta, operations would load PyTorch's compiler, which takes long.
    """
    multiply_adds = 0

    def add(module: nn.Module, _inputs: Any, output: Tensor) -> None:
        nonlocal multiply_adds
        if isinstance(module, nn.Conv2d):
            kernel = module.weight[0].numel()  # C_in / groups * k_h * k_w
            multiply_adds += kernel * output.shape[1:].numel()
        elif isinstance(module, nn.Linear):
            multiply_adds += module.in_features * output.shape[1:].numel()

    net_copy = copy.deepcopy(net).eval()
    allocate(net_copy, torch.device("cpu"))
    weighted = {name: module for name, module in net_copy.named_modules() if isinstance(module, nn.Conv2d | nn.Linear)}
    for module in weighted.values():
        module.register_forward_hook(add)
    with torch.no_grad():
        net_copy(torch.empty(0, *image_shape, device="cpu"))  # (0, C, H, W)
    layers = sum("downsample" not in name.split(".") for name in weighted)
    parameters = sum(parameter.numel() for parameter in net_copy.parameters())
    return Complexity(layers, parameters, multiply_adds)
