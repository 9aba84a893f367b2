"""Error and loss of a net over a set of images, in evaluation mode."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from study.train.arithmetic import Precision, autocast
from study.train.parallel import ALONE, Group


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
