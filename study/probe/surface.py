"""The loss around a net: slices along filter-normalised random directions, Li et al. 2018 (arXiv 1712.09913).

Legend: B points at once, N images, C channels, H height, W width, K classes, P points along a slice's axes.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, vmap

from study.probe.subject import Batch, copy_net

Direction = Mapping[str, Tensor]
"""A change of each weight of a net, by name; other parameters don't change."""
POINTS_AT_ONCE = 32
"""Maximal points evaluated in one pass on a GPU: more aren't faster."""
VALUES_AT_ONCE = 2**28
"""Maximal values of such a pass's largest feature map, and of its weights: 1 GiB of 32-bit floats."""
ROUNDING = 1e-6
"""Losses that differ by less, relative to 1 + loss, count as equal, since they are sums of 32-bit numbers."""


@dataclass(frozen=True)
class SurfacePoint:
    """The net at theta + a d + b e, for directions d and e."""

    a: float
    b: float
    loss: float
    """Mean cross-entropy, in nats."""
    error: float
    """Percent."""


@dataclass(frozen=True)
class SurfaceSummary:
    """Numbers that describe a slice."""

    loss: float
    """Loss at the centre, which is the net itself."""
    curvature_a: float
    """Second derivative of the loss at the centre along the first direction, by central differences of a grid step."""
    curvature_b: float
    """The same along the second direction."""
    basin: float
    """Share of the points whose loss is below ln K, the loss of equal probabilities for all classes."""
    minima: int
    """Number of inner points that lie below all their neighbours, diagonal ones included."""
    nonconvex: float
    """Share of the basin's points inside the slice where the slice's Hessian has a negative eigenvalue; NaN if none."""


def filter_directions(net: nn.Module, generator: torch.Generator) -> tuple[Direction, Direction]:
    """Draw Gaussian directions and scale each filter to the norm of the net's: d_ij <- d_ij / ||d_ij|| ||theta_ij||.

    Section 4, equation 1 and the text after it. A filter gives one output channel, or one logit. Batch norms and
    biases don't change, as in the authors' code. Directions are drawn on the generator's device.
    """

    def drawn() -> dict[str, Tensor]:
        direction = {}
        for name, weight in net.named_parameters():
            if weight.ndim > 1:
                draw = torch.randn(weight.shape, generator=generator, dtype=weight.dtype, device=generator.device)
                draw = draw.to(weight.device).flatten(1)  # (filters, C k k)
                scale = weight.detach().flatten(1).norm(dim=1) / draw.norm(dim=1).clamp_min(1e-10)
                direction[name] = (draw * scale[:, None]).reshape(weight.shape)
        return direction

    return drawn(), drawn()


@torch.no_grad()
def measure_surface(
    net: nn.Module,
    batches: Iterable[Batch],
    directions: tuple[Direction, Direction],
    *,
    span: float = 1.0,
    points: int = 51,
    recalibrate: bool = False,
    at_once: int | None = None,
) -> list[SurfacePoint]:
    """Return loss and error on a grid from -span to span along two directions; `a` changes slowest.

    In evaluation mode with the net's own running statistics, as in the paper's code, which were measured at the centre
    and fit no other point; `recalibrate` uses the statistics of each batch instead: then give a few large ones.

    Args:
        net: the centre.
        batches: images (N, C, H, W) and labels (N,), not augmented; some hundred images give the shape.
        directions: those of `filter_directions`.
        span: largest distance from the centre, in norms of each filter.
        points: number of points along each direction, odd, so that the centre is one.
        recalibrate: whether batch norms use the statistics of the batch.
        at_once: points evaluated in one pass, as groups of channels; by default one on a CPU, where more aren't
            faster, and elsewhere `points_at_once`.
    """
    net_copy = copy_net(net, training=False)
    use_native_norms(net_copy)
    if recalibrate:
        _use_batch_statistics(net_copy)
    ticks = torch.linspace(-span, span, points, dtype=torch.float64)
    ticks[points // 2] = 0  # exactly
    grid = torch.cartesian_prod(ticks, ticks)
    at_once = at_once or (1 if next(net_copy.parameters()).device.type == "cpu" else points_at_once(net_copy, batches))
    scores = torch.cat([_scores(net_copy, batches, directions, part) for part in torch.split(grid, at_once)])
    count = sum(len(labels) for _, labels in batches)
    return [
        SurfacePoint(a, b, loss / count, 100 * wrong / count)
        for (a, b), (loss, wrong) in zip(grid.tolist(), scores.tolist(), strict=True)
    ]


def summarise_surface(rows: Sequence[SurfacePoint], classes: int) -> SurfaceSummary:
    """Summarise a slice of `measure_surface`; curvature at other points is by central differences too.

    The numbers replace the paper's words nearly convex and chaotic. Its section 6 maps eigenvalues of the full Hessian
    instead: a slice with a negative eigenvalue shows a direction of negative curvature of the full Hessian too, a slice
    without one doesn't rule it out.
    """
    side = math.isqrt(len(rows))
    loss = torch.tensor([row.loss for row in rows], dtype=torch.float64).reshape(side, side)
    step = rows[side].a - rows[0].a
    around = loss.unfold(0, 3, 1).unfold(1, 3, 1)  # (P - 2, P - 2, 3, 3): each inner point among its neighbours
    inner = around[..., 1, 1]
    aa = around[..., 2, 1] - 2 * inner + around[..., 0, 1]
    bb = around[..., 1, 2] - 2 * inner + around[..., 1, 0]
    ab = (around[..., 2, 2] - around[..., 2, 0] - around[..., 0, 2] + around[..., 0, 0]) / 4
    hessian = torch.stack([aa, ab, ab, bb], -1).reshape(*inner.shape, 2, 2) / step**2
    basin = math.log(classes)
    slack = ROUNDING * (1 + inner)
    in_basin = inner < basin
    bent = torch.linalg.eigvalsh(hessian)[..., 0] < -4 * slack / step**2
    nonconvex = float(bent[in_basin].double().mean()) if in_basin.any() else math.nan
    higher = around > (inner + slack)[..., None, None]
    minima = int((higher.sum((2, 3)) == 8).sum())
    centre = side // 2 - 1
    curvature_a, curvature_b = hessian[centre, centre].diagonal().tolist()
    share = float((loss < basin).double().mean())
    return SurfaceSummary(float(inner[centre, centre]), curvature_a, curvature_b, share, minima, nonconvex)


@torch.no_grad()
def points_at_once(net: nn.Module, batches: Iterable[Batch]) -> int:
    """Return the number of points that a pass over one of these batches evaluates in bounded memory; at least 1."""
    largest = 0

    def look(_module: nn.Module, _inputs: object, output: Tensor) -> None:
        nonlocal largest
        largest = max(largest, output[0].numel())

    hooks = [module.register_forward_hook(look) for module in net.modules()]
    images, _ = next(iter(batches))
    net(images[:2])  # some norms need two
    for hook in hooks:
        hook.remove()
    maps = largest * max(len(labels) for _, labels in batches)
    weights = sum(weight.numel() for weight in net.parameters())
    return max(1, min(POINTS_AT_ONCE, VALUES_AT_ONCE // max(maps, weights)))


class NativeBatchNorm2d(nn.BatchNorm2d):
    """Computes without cuDNN: for it PyTorch asks for the memory format of images, which fails in `vmap`."""

    def forward(self, x: Tensor) -> Tensor:
        cudnn = torch.backends.cudnn
        before = cudnn.enabled
        cudnn.enabled = False
        try:
            return super().forward(x)
        finally:
            cudnn.enabled = before


def use_native_norms(net: nn.Module) -> None:
    """Make a net work in `vmap` on a GPU: its batch norms compute without cuDNN; names and values don't change."""
    for module in net.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = NativeBatchNorm2d


def _use_batch_statistics(net: nn.Module) -> None:
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.track_running_stats = False
            module.running_mean = module.running_var = module.num_batches_tracked = None


def _scores(net: nn.Module, batches: Iterable[Batch], directions: tuple[Direction, Direction], grid: Tensor) -> Tensor:
    """Return summed loss and number of errors (B, 2) at points (B, 2) of the slice."""
    theta = dict(net.named_parameters())
    moved = {}
    for name in directions[0]:
        change = [torch.tensordot(grid[:, i].to(d[name]), d[name], dims=0) for i, d in enumerate(directions)]
        moved[name] = theta[name] + sum(change)  # (B, *shape)
    totals = torch.zeros(len(grid), 2, dtype=torch.float64)
    for images, labels in batches:
        logits = _logits(net, moved, images)  # (B, N, K)
        losses = F.cross_entropy(logits.transpose(1, 2), labels.expand(len(grid), -1), reduction="none")  # (B, N)
        wrong = (logits.argmax(2) != labels).sum(1)
        totals += torch.stack([losses.double().sum(1), wrong.double()], 1).cpu()  # sync point
    return totals


def _logits(net: nn.Module, moved: dict[str, Tensor], images: Tensor) -> Tensor:
    """Return the logits (B, N, K) of the net with each of several sets of weights (B, *shape)."""

    def at(weights: dict[str, Tensor]) -> Tensor:
        logits: Tensor = functional_call(net, weights, (images,))
        return logits

    if len(next(iter(moved.values()))) == 1:
        return at({name: weight[0] for name, weight in moved.items()})[None]
    logits: Tensor = vmap(at)(moved)
    return logits
