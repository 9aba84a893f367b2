"""The 3x3 layers of a net: the strength of their responses, the growth of their gradients with depth, their updates.

Legend: N images, C channels, H height, W width.
"""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from study.errors import StudyError
from study.probe.subject import Batch, channel_sums, copy_net, sum_outputs


@dataclass(frozen=True, eq=False)
class Layer:
    """A 3x3 convolution, the `index`-th of its net from 0, and its batch norm."""

    index: int
    name: str
    """Of the convolution: `layer2.0.conv1`."""
    conv: nn.Conv2d
    norm: nn.BatchNorm2d

    @property
    def stage(self) -> int:
        """0 for the stem, then the number in `layer1`, `layer2`, ..."""
        number = re.match(r"layer(\d+)\b", self.name)
        return int(number[1]) if number else 0


def find_layers(net: nn.Module) -> list[Layer]:
    """Return the 3x3 convolutions in order: the stem and 6n more in a net of the CIFAR family.

    In the ImageNet family, both convolutions of a basic block and the middle one of a bottleneck; its stem is 7x7.
    Projections on shortcuts are 1x1. A batch norm belongs to the convolution that was registered before it.

    Raises:
        StudyError: the net has none with batch norm, like VGG nets.
    """
    layers: list[Layer] = []
    last: tuple[str, nn.Conv2d] | None = None
    for name, module in net.named_modules():
        if isinstance(module, nn.Conv2d):
            last = (name, module) if module.kernel_size == (3, 3) else None
        elif isinstance(module, nn.BatchNorm2d) and last is not None:
            layers.append(Layer(len(layers), *last, module))
            last = None
    if not layers:
        raise StudyError("the net has no 3x3 convolution with batch norm: probes are for plain-N and resnet-N")
    return layers


@dataclass(frozen=True)
class LayerResult:
    """What is measured of one 3x3 layer."""

    layer: int
    """Position among the net's 3x3 layers, from 0."""
    name: str
    """Of the convolution: `layer2.0.conv1`."""
    stage: int
    """0 for the stem, then the number in `layer1`, `layer2`, ..."""


@dataclass(frozen=True)
class Response(LayerResult):
    """The output of a layer, after batch norm and before ReLU or addition."""

    std: float
    """Deviation over all images, channels and positions, as in the figure."""
    channel_std: float
    """Root of the mean over channels of each channel's variance: `std` without the channels' different means."""


@dataclass(frozen=True)
class LayerGradient(LayerResult):
    """Gradients of the mean cross-entropy of one batch at a layer; norms are root sums of squares."""

    weight_gradient: float
    """||dL/dW||."""
    input_gradient: float
    """||dL/dx|| of the layer's input, over all images, channels and positions of the batch."""
    weight_norm: float
    """||W||."""
    effective_lr: float
    """Learning rate over ||W||^2."""


def measure_responses(net: nn.Module, batches: Iterable[Batch], *, training: bool = False) -> list[Response]:
    """Return the deviation of each layer's outputs over these batches: He et al. 2015, section 4.2 and Figure 7.

    With y the outputs after batch norm, `std` is sqrt(mean(y^2) - mean(y)^2) over N, C, H and W. With batch statistics
    (`training`) each channel's variance is gamma^2 v / (v + eps), so that `channel_std` is the root mean square of the
    gammas and the figure measures only them; with running statistics it depends on the data too. The paper doesn't say
    which it used. Batches are images (N, C, H, W) and labels (N,), of which there must be one at least.

    Raises:
        StudyError: the net has no 3x3 convolutions with batch norm.
    """
    net_copy = copy_net(net, training=training)
    layers = find_layers(net_copy)
    sums = sum_outputs(net_copy, [layer.norm for layer in layers], batches, channel_sums)
    return [
        Response(layer.index, layer.name, layer.stage, *_deviations(of_layer))
        for layer, of_layer in zip(layers, sums, strict=True)
    ]


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


def measure_turns(before: nn.Module, after: nn.Module) -> list[float]:
    """Return the angle in radians between each 3x3 layer's weights in two states of one net: the effect of updates.

    Only the direction counts before batch norm (van Laarhoven 2017, above): a layer with larger weights turns less.

    Raises:
        StudyError: the net has no 3x3 convolutions with batch norm.
    """
    layers = zip(find_layers(before), find_layers(after), strict=True)
    return [_angle(old.conv.weight, new.conv.weight) for old, new in layers]


def _deviations(sums: Tensor) -> tuple[float, float]:
    """(3, C) of counts, sums and sums of squares -> the deviation over everything, and that within channels."""
    count, total, squares = sums.cpu()
    means = total / count  # (C,)
    within = (squares / count - means.square()).clamp_min(0).mean()
    between = means.var(correction=0)
    return math.sqrt(float(within + between)), math.sqrt(float(within))


@torch.no_grad()
def _angle(before: Tensor, after: Tensor) -> float:
    a, b = (F.normalize(weight.detach().double().flatten(), dim=0) for weight in (before, after))
    return float(2 * torch.atan2((a - b).norm(), (a + b).norm()))  # exact for small angles, unlike arccos
