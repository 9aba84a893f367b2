"""The curvature of the loss at a net, and the number of dimensions that its features fill.

Legend: N images, C channels, H height, W width, P parameters.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from study.errors import StudyError
from study.probe.subject import Batch, copy_net, sum_outputs


@dataclass(frozen=True)
class Sharpness:
    """The largest eigenvalue of the Hessian of the mean cross-entropy, over all parameters."""

    loss: float
    """The mean cross-entropy itself, in nats."""
    eigenvalue: float
    residual: float
    """||Hv - eigenvalue v|| for the unit vector v found: an eigenvalue of the Hessian is within this distance."""
    iterations: int
    """Number of products of the Hessian with a vector."""
    converged: bool


@dataclass(frozen=True)
class EffectiveRank:
    """The number of dimensions that the features at the end of a stage fill."""

    stage: int
    channels: int
    rank: float
    """From 1 (all features on a line) to the number of channels; 0 if the features don't vary."""
    share: float
    """Of the channels."""


def measure_sharpness(
    net: nn.Module,
    batches: Iterable[Batch],
    generator: torch.Generator,
    *,
    training: bool = False,
    tolerance: float = 0.01,
    max_products: int = 200,
) -> Sharpness:
    """Find the Hessian's largest eigenvalue by Lanczos' method from a random vector.

    After k products of H with a vector, the largest eigenvalue of a tridiagonal matrix (k, k) is the best estimate
    that they allow, and the last entry of its eigenvector gives the residual (Paige 1972, J. Inst. Maths Applics 10:
    both hold without orthogonalising anew). It ends when the residual is below `tolerance` times the eigenvalue, whose
    own error is then smaller still. Hv is the gradient of <dL/dtheta, v> (Pearlmutter 1994, Neural Computation 6), so
    that H, which is P by P, is never formed. The Hessian of a net of ReLUs is that of the piece it lies on.

    Args:
        net: any net.
        batches: images (N, C, H, W) and labels (N,): the loss is the mean over all of them.
        generator: draws the first vector.
        training: whether batch norms use the statistics of each batch, as in training.
        tolerance: maximal residual, relative to the eigenvalue.
        max_products: maximal number of iterations.
    """
    net_copy = copy_net(net, training=training)
    weights = list(net_copy.parameters())
    draw = torch.randn(sum(w.numel() for w in weights), generator=generator, device=generator.device)
    v = F.normalize(draw.to(weights[0]), dim=0)  # (P,)
    previous, beta = torch.zeros_like(v), 0.0
    diagonal, beside = list[float](), list[float]()
    while True:
        loss, bent = _hessian_product(net_copy, batches, weights, v)
        bent -= beta * previous
        diagonal.append(float(v @ bent))  # sync point
        bent -= diagonal[-1] * v
        beta = float(bent.norm())
        value, residual = _largest(diagonal, beside, beta)
        converged = residual <= tolerance * abs(value)
        if converged or len(diagonal) == max_products or not math.isfinite(beta):
            return Sharpness(loss, value, residual, len(diagonal), converged)
        previous, v = v, bent / beta
        beside.append(beta)


def measure_effective_ranks(net: nn.Module, batches: Iterable[Batch]) -> list[EffectiveRank]:
    """Return the effective rank of each stage's output features, in evaluation mode.

    exp(H(p)) with p_i = sigma_i / sum sigma and H the entropy in nats (Roy and Vetterli 2007, "The effective rank",
    EUSIPCO, definition 1); sigma are the singular values of the matrix (N H W, C) of the features at all positions of
    all images, without each channel's mean. Where features depend linearly on each other, as Orhan and Pitkow 2017
    (arXiv 1701.09175) find in plain nets, it is far below the number of channels.

    Raises:
        StudyError: the net has no stages `layer1`, `layer2`, ...
    """
    net_copy = copy_net(net, training=False)
    stages = [child for name, child in net_copy.named_children() if name.startswith("layer")]
    if not stages:
        raise StudyError("effective ranks are those at the stages of plain-N or resnet-N")
    rows = []
    for number, products in enumerate(sum_outputs(net_copy, stages, batches, _products), 1):
        rank = _effective_rank(products.cpu())
        channels = len(products) - 1
        rows.append(EffectiveRank(number, channels, rank, rank / channels))
    return rows


def _hessian_product(
    net: nn.Module, batches: Iterable[Batch], weights: list[nn.Parameter], v: Tensor
) -> tuple[float, Tensor]:
    """Return the mean loss over the batches, and Hv (P,)."""
    count = sum(len(labels) for _, labels in batches)
    parts = [part.view_as(w) for part, w in zip(torch.split(v, [w.numel() for w in weights]), weights, strict=True)]
    bent, mean = torch.zeros_like(v), torch.zeros_like(v[0])
    for images, labels in batches:
        loss = F.cross_entropy(net(images), labels, reduction="sum") / count
        slopes = torch.autograd.grad(loss, weights, create_graph=True)
        along = torch.stack([(slope * part).sum() for slope, part in zip(slopes, parts, strict=True)]).sum()
        bends = torch.autograd.grad(along, weights)
        bent += torch.cat([bend.flatten() for bend in bends])
        mean += loss.detach()
    return float(mean), bent


def _largest(diagonal: list[float], beside: list[float], beta: float) -> tuple[float, float]:
    """Return the largest eigenvalue of the tridiagonal matrix (k, k), and its residual: NaN where a number isn't."""
    matrix = torch.tensor(diagonal, dtype=torch.float64).diag()
    next_to = torch.tensor(beside, dtype=torch.float64)
    matrix += next_to.diag(1) + next_to.diag(-1) if beside else 0
    if not matrix.isfinite().all():
        return math.nan, math.nan
    values, vectors = torch.linalg.eigh(matrix)
    return float(values[-1]), beta * abs(float(vectors[-1, -1]))


def _products(y: Tensor) -> Tensor:
    """(N, C, H, W) -> sums of products of channels (C + 1, C + 1); the last row and column hold sums and the count."""
    flat = y.double().transpose(0, 1).flatten(1)  # (C, N H W)
    flat = torch.cat([flat, torch.ones_like(flat[:1])])
    return flat @ flat.T


def _effective_rank(products: Tensor) -> float:
    """(C + 1, C + 1) of sums over N H W features and a 1 -> exp of the entropy of the singular values' shares."""
    count, total = products[-1, -1], products[-1, :-1]
    covariance = products[:-1, :-1] / count - torch.outer(total, total) / count**2
    values = torch.linalg.eigvalsh(covariance)
    rounding = 1e-12 * products.diagonal()[:-1].sum() / count  # equal features everywhere
    sigma = torch.where(values > rounding, values, 0).sqrt()
    if not sigma.sum():
        return 0.0
    p = sigma / sigma.sum()
    return math.exp(-float(torch.special.xlogy(p, p).sum()))
