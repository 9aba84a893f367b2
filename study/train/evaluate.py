"""Nets in evaluation mode: error and loss over images, and probabilities averaged over views of each image.

Legend: N images, B images of a batch, C channels, S side they are held at, H and W of a view, K classes.
"""

from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from study.data import Normalizer, Split, Views, named_views
from study.train.arithmetic import Precision, arithmetic, autocast, resolve_precision
from study.train.parallel import ALONE, Group

BATCH = 1000
"""Maximal images in a forward pass."""
BATCH_PIXELS = BATCH * 224 * 224
"""Maximal pixels in a forward pass: fewer images if views are larger, so that crops of 224 take the most memory."""


class Score(NamedTuple):
    """Error in percent and mean cross-entropy in nats."""

    error: float
    loss: float


class Stopped(Exception):
    """The run was asked to stop."""


def never_stop() -> bool:
    """Return False: never stop a run."""
    return False


def raise_if_stopped(stop: Callable[[], bool]) -> None:
    """Raise Stopped if the run should stop."""
    if stop():
        raise Stopped


@torch.no_grad()
def evaluate(
    net: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    precision: Precision,
    device: torch.device,
    stop: Callable[[], bool] = never_stop,
    group: Group = ALONE,
) -> Score:
    """Score a net, and restore its mode afterwards. Batches are images (N, C, H, W) and labels (N,).

    Each rank of `group` has the same number of batches, which may be empty; the score is that of all ranks together.

    Raises:
        Stopped: `stop`, called before each batch, returned True.
    """
    training = net.training
    net.eval()
    errors = torch.zeros((), dtype=torch.int64, device=device)
    loss = torch.zeros((), device=device)
    count = 0
    try:
        for images, labels in batches:
            raise_if_stopped(stop)
            if not len(labels):
                continue
            with autocast(precision, device):
                logits = net(images)  # (N, K)
            logits = logits.float()
            errors += (logits.argmax(1) != labels).sum()
            loss += F.cross_entropy(logits, labels, reduction="sum")
            count += len(labels)
    finally:
        net.train(training)
    errors, loss = group.total(errors), group.total(loss)
    count = int(group.total(torch.tensor(count)))
    return Score(100 * errors.item() / count, loss.item() / count)  # sync point


@torch.no_grad()
def predict_probabilities(
    net: nn.Module,
    images: Tensor,
    normalizer: Normalizer,
    *,
    augment: str,
    device: torch.device,
    views: str = "center",
    precision: Literal["auto"] | Precision = "auto",
) -> Tensor:
    """Return the probabilities (N, K) float32, on `device`, that a net gives to uint8 images (N, C, S, S).

    Softmax of each view, averaged over the views. The function waits for the device only to move images to it.

    Args:
        net: on `device`; its mode is restored afterwards.
        images: as a data set holds them, on any device; the caller decides on sides other than those trained on.
        normalizer: fitted to the training images.
        augment: the recipe's augmentation, which defines the centre view.
        device: where the net is.
        views: `center` (the one view of the curves), `ten-crop` or `multi-scale`: see `study.data.views`.
        precision: of the forward pass, as in a recipe.

    Raises:
        DataError: unknown views, views that don't fit the augmentation, or images that should be square.
    """
    chosen_views = named_views(views, augment)
    normalizer = normalizer.to(device)
    used = resolve_precision(precision, device)
    largest = chosen_views.side(max(images.shape[-2:]))
    batch = max(1, min(BATCH, BATCH_PIXELS // largest**2))
    training = net.training
    net.eval()
    try:
        with arithmetic(device, deterministic=False):
            parts = [
                _average_views(net, part.to(device, non_blocking=True), normalizer, chosen_views, used)
                for part in torch.split(images, batch)
            ]
    finally:
        net.train(training)
    return torch.cat(parts)


def error_over_views(
    net: nn.Module,
    split: Split,
    normalizer: Normalizer,
    *,
    augment: str,
    views: str,
    precision: Precision,
    stop: Callable[[], bool] = never_stop,
    group: Group = ALONE,
) -> float:
    """Return the percentage of a split's images whose most probable class, averaged over views, isn't their label.

    The normaliser is on the net's device. Each rank of `group` evaluates its part of each batch.

    Raises:
        Stopped: `stop`, called before each batch, returned True.
    """
    device = normalizer.mean.device
    labels = split.labels.to(device)
    errors = torch.zeros((), dtype=torch.int64, device=device)
    size = BATCH * group.size
    for start in range(0, len(split), size):
        raise_if_stopped(stop)
        rows = group.shard.of(slice(start, min(start + size, len(split))))
        if rows.start == rows.stop:
            continue
        probabilities = predict_probabilities(
            net, split.part(rows), normalizer, augment=augment, device=device, views=views, precision=precision
        )
        errors += (probabilities.argmax(1) != labels[rows]).sum()
    return 100 * group.total(errors).item() / len(split)  # sync point


def _average_views(
    net: nn.Module, images: Tensor, normalizer: Normalizer, views: Views, precision: Precision
) -> Tensor:
    """Return the mean (B, K) of the probabilities over the views of a batch, evaluated one after another."""
    total: Tensor | None = None
    count = 0
    for view in views.of(images, normalizer):  # (B, C, H, W)
        with autocast(precision, images.device):
            logits = net(view)  # (B, K)
        probabilities = logits.float().softmax(1)
        total = probabilities if total is None else total.add_(probabilities)
        count += 1
    assert total is not None  # noqa: S101 (there is a view at least)
    return total / count
