"""Whether gradients resemble white noise: Balduzzi et al. 2017, "The Shattered Gradients Problem" (arXiv 1702.08591).

Legend: L lines, P points on each, C channels, H height, W width, D = C H W numbers of an image, K classes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from study.probe.subject import copy_net

AT_ONCE = 512
"""Number of points whose gradients are taken at once."""


@dataclass(frozen=True)
class Correlation:
    """The correlation of gradients at points of a line that are `lag` steps apart."""

    lag: int
    distance: float
    """The lag as a share of the line."""
    autocorrelation: float
    """Correlation of deviations from the line's mean gradient; NaN if the gradient doesn't change along the line."""
    cosine: float
    """The same without subtracting the mean: 1 if the gradient doesn't change."""
    white: float
    """The expected autocorrelation of the same gradients in random order."""


@dataclass(frozen=True)
class Shattering:
    """The autocorrelation of gradients along lines, and where it falls below a half."""

    correlations: tuple[Correlation, ...]
    half_distance: float
    """Share of the line, interpolated; infinite where it doesn't fall so far, or the gradient doesn't change.

    Below one step, 1 / (P - 1), it's an upper bound: neighbouring points are too far apart to tell.
    """
    constant: bool
    """Whether the gradient changes only by rounding, as in a linear net."""


def measure_shattering(
    net: nn.Module, first: Tensor, second: Tensor, *, points: int = 256, logit: int = 0
) -> Shattering:
    """Return the autocorrelation of dlogit/dx along the lines from images to others, in evaluation mode.

    With g(t) the gradient at point t of P, m its mean over the line, and <,> the inner product of images,

        ACF(k) = E <g(t) - m, g(t + k) - m> / E ||g(t) - m||^2

    where E is the mean over t, and over the lines (the paper's measure, with lines between images for its
    scalar inputs). In a shuffled line it would be -1 / (P - 1) at every lag but 0: the white noise to compare with.
    By the paper's theory, at initialisation a plain net of ReLUs decorrelates as 2^-depth, a residual one with batch
    norm as 1 / sqrt(depth).

    In evaluation mode one image has no effect on another's gradient; an untrained net must be `recalibrated` first,
    otherwise its batch norm has no effect. Nets are comparable on the same lines and points.

    Args:
        net: in any mode.
        first: images where lines begin (L, C, H, W), normalised.
        second: where they end (L, C, H, W).
        points: P, on each line, ends included.
        logit: the class whose logit is differentiated.
    """
    net_copy = copy_net(net, training=False).requires_grad_(False)
    lines = [_gradients(net_copy, start, end, points, logit) for start, end in zip(first, second, strict=True)]
    g = torch.stack(lines)  # (L, P, D)
    centred = g - g.mean(1, keepdim=True)
    power, change = float(g.square().sum()), float(centred.square().sum())
    # Sums of D float32 numbers a gradient: two that should be equal differ by rounding.
    constant = change <= power * (100 * torch.finfo(first.dtype).eps) ** 2
    autocorrelation = [math.nan] * points if constant else _correlate(centred)
    cosine = _correlate(g) if power else [math.nan] * points
    rows = tuple(
        Correlation(lag, lag / (points - 1), autocorrelation[lag], cosine[lag], 1.0 if lag == 0 else -1 / (points - 1))
        for lag in range(points // 2)
    )
    return Shattering(rows, math.inf if constant else half_distance(rows), constant)


def half_distance(rows: Sequence[Correlation]) -> float:
    """Return the distance at which the autocorrelation first falls below a half, by linear interpolation."""
    for before, after in pairwise(rows):
        if after.autocorrelation < 0.5:
            share = (before.autocorrelation - 0.5) / (before.autocorrelation - after.autocorrelation)
            return before.distance + share * (after.distance - before.distance)
    return math.inf


def _gradients(net: nn.Module, start: Tensor, end: Tensor, points: int, logit: int) -> Tensor:
    """Return a logit's gradients at points from one image (C, H, W) to another: (P, D) in double precision."""
    t = torch.linspace(0, 1, points, dtype=start.dtype, device=start.device)[:, None, None, None]
    gradients = []
    for part in torch.split(t, AT_ONCE):
        x = (start + part * (end - start)).requires_grad_()  # (B, C, H, W)
        (gradient,) = torch.autograd.grad(net(x)[:, logit].sum(), x)
        gradients.append(gradient.flatten(1).double())
    return torch.cat(gradients)


def _correlate(g: Tensor) -> list[float]:
    """(L, P, D) -> for each lag the mean inner product over pairs that far apart, as a share of that at lag 0.

    The k-th diagonal of a line's inner products (P, P) holds the pairs k apart.
    """
    products = (g @ g.transpose(1, 2)).mean(0)  # (P, P)
    means = [float(products.diagonal(lag).mean()) for lag in range(len(products))]
    return [mean / means[0] for mean in means]
