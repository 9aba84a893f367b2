"""How strongly each layer responds: the deviations of He et al. 2015 (arXiv 1512.03385), section 4.2 and Figure 7.

Legend: N images, C channels, H height, W width.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from study.probe.layers import find_layers
from study.probe.replica import replica
from study.probe.sums import channel_sums


@dataclass(frozen=True)
class Response:
    """The output of one 3x3 layer, after batch norm and before ReLU or addition."""

    layer: int
    """Position among the net's 3x3 layers, from 0."""
    name: str
    stage: int
    std: float
    """Over all images, channels and positions: the figure's."""
    channel_std: float
    """Root of the mean over channels of each channel's own variance: `std` without the channels' different means."""


@torch.no_grad()
def measure_responses(
    net: nn.Module, batches: Iterable[tuple[Tensor, Tensor]], *, training: bool = False
) -> list[Response]:
    """Return each 3x3 layer's standard deviation over these batches, in the net's order.

    With y the outputs after batch norm, `std` is sqrt(mean(y^2) - mean(y)^2) over N, C, H and W. With batch statistics
    (`training`) each channel's variance is gamma^2 v / (v + eps), so that `channel_std` is the root mean square of the
    gammas and the figure measures them alone; with running statistics the data count too. The paper doesn't say which
    it used. Batches are images (N, C, H, W) and labels (N,), of which there must be one at least.

    Raises:
        StudyError: the net has no 3x3 convolutions with batch norm.
    """
    own = replica(net, training=training)
    layers = find_layers(own)
    sums: list[list[Tensor]] = [[] for _ in layers]

    def keep(place: list[Tensor], y: Tensor) -> None:
        now = channel_sums(y)  # (3, C)
        place[:] = [place[0] + now] if place else [now]

    for layer, place in zip(layers, sums, strict=True):
        layer.norm.register_forward_hook(lambda _module, _inputs, y, place=place: keep(place, y))
    for images, _ in batches:
        own(images)
    return [
        Response(layer.index, layer.name, layer.stage, *_deviations(place[0]))
        for layer, place in zip(layers, sums, strict=True)
    ]


def _deviations(sums: Tensor) -> tuple[float, float]:
    """(3, C) of counts, sums and sums of squares -> the deviation over everything, and that within channels."""
    count, total, squares = sums.cpu()
    means = total / count  # (C,)
    within = (squares / count - means.square()).clamp_min(0).mean()
    between = means.var(correction=0)
    return math.sqrt(float(within + between)), math.sqrt(float(within))
