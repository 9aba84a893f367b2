"""The strength of layers' responses: the deviations of He et al. 2015 (arXiv 1512.03385), section 4.2 and Figure 7.

Legend: N images, C channels, H height, W width.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from torch import Tensor, nn

from study.probe.subject import Batch, channel_sums, copy_net, find_layers, sum_outputs


@dataclass(frozen=True)
class Response:
    """The output of one 3x3 layer, after batch norm and before ReLU or addition."""

    layer: int
    """Position among the net's 3x3 layers, from 0."""
    name: str
    stage: int
    std: float
    """Deviation over all images, channels and positions, as in the figure."""
    channel_std: float
    """Root of the mean over channels of each channel's variance: `std` without the channels' different means."""


def measure_responses(net: nn.Module, batches: Iterable[Batch], *, training: bool = False) -> list[Response]:
    """Return each 3x3 layer's standard deviation over these batches, in the net's order.

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


def _deviations(sums: Tensor) -> tuple[float, float]:
    """(3, C) of counts, sums and sums of squares -> the deviation over everything, and that within channels."""
    count, total, squares = sums.cpu()
    means = total / count  # (C,)
    within = (squares / count - means.square()).clamp_min(0).mean()
    between = means.var(correction=0)
    return math.sqrt(float(within + between)), math.sqrt(float(within))
