"""The growth of gradients with depth: per layer, with the effective learning rate.

Legend: N images, C channels, H height, W width.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from study.probe.subject import copy_net, find_layers


@dataclass(frozen=True)
class LayerGradient:
    """Gradients of the mean cross-entropy of one batch at one 3x3 layer; norms are root sums of squares."""

    layer: int
    """Position among the net's 3x3 layers, from 0."""
    name: str
    stage: int
    weight_gradient: float
    """||dL/dW||."""
    input_gradient: float
    """||dL/dx|| of the layer's input, over all images, channels and positions of the batch."""
    weight_norm: float
    """||W||."""
    effective_lr: float
    """Learning rate over ||W||^2."""


@dataclass(frozen=True)
class Turn:
    """The angle between the weights of a layer in two states of a net, in radians."""

    layer: int
    name: str
    stage: int
    angle: float


def measure_gradients(net: nn.Module, images: Tensor, labels: Tensor, *, lr: float) -> list[LayerGradient]:
    """Return the gradients at each 3x3 layer, in the net's order, with batch statistics, as in training.

    The norm of dL/dx is over the whole batch, not over an image or an element: batch norm links the images of a batch,
    and this norm doesn't change where a stage halves the map and doubles the channels, so that its growth is comparable
    between stages. Batches of other sizes have other norms (about 1/sqrt(N)), but equal growth.

    The output of batch norm doesn't change with the scale of the weights before it, so a step of rate lr turns them as
    one of lr / ||W||^2 would turn weights of norm 1: the effective rate (van Laarhoven 2017, arXiv 1706.05350,
    section 2).

    Args:
        net: any net with 3x3 convolutions and batch norm.
        images: (N, C, H, W), normalised.
        labels: (N,).
        lr: the current learning rate.

    Raises:
        StudyError: the net has no 3x3 convolutions with batch norm.
    """
    net_copy = copy_net(net, training=True)
    layers = find_layers(net_copy)
    inputs: list[Tensor] = []
    for layer in layers:
        layer.conv.register_forward_pre_hook(lambda _module, given: inputs.append(given[0]))
    logits = net_copy(images.detach().requires_grad_())  # (N, K)
    weights = [layer.conv.weight for layer in layers]
    gradients = torch.autograd.grad(F.cross_entropy(logits, labels), [*inputs, *weights])
    norms = torch.stack([value.detach().norm() for value in (*gradients, *weights)]).reshape(3, -1)
    rows = []
    for layer, (x, w, size) in zip(layers, norms.T.tolist(), strict=True):  # sync point
        effective = lr / size**2 if size else math.inf
        rows.append(LayerGradient(layer.index, layer.name, layer.stage, w, x, size, effective))
    return rows


def measure_turns(before: nn.Module, after: nn.Module) -> list[Turn]:
    """Return the angle between each 3x3 layer's weights in two states of one net, which shows the effect of updates.

    Only the direction counts before batch norm (van Laarhoven 2017, above): a layer with larger weights turns less.

    Raises:
        StudyError: the net has no 3x3 convolutions with batch norm.
    """
    return [
        Turn(old.index, old.name, old.stage, _angle(old.conv.weight, new.conv.weight))
        for old, new in zip(find_layers(before), find_layers(after), strict=True)
    ]


@torch.no_grad()
def _angle(before: Tensor, after: Tensor) -> float:
    a, b = (F.normalize(weight.detach().double().flatten(), dim=0) for weight in (before, after))
    return float(2 * torch.atan2((a - b).norm(), (a + b).norm()))  # exact for small angles, unlike arccos
