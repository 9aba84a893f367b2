"""Error and loss of a net over a set of images, in evaluation mode."""

from collections.abc import Iterable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from study.train.precision import Precision, autocast


class Score(NamedTuple):
    """Error in percent and mean cross-entropy in nats."""

    error: float
    loss: float


@torch.no_grad()
def evaluate(
    net: nn.Module, batches: Iterable[tuple[Tensor, Tensor]], precision: Precision, device: torch.device
) -> Score:
    """Score a net; its mode is put back afterwards. Batches are images (N, C, H, W) and labels (N,)."""
    training = net.training
    net.eval()
    errors = torch.zeros((), dtype=torch.int64, device=device)
    loss = torch.zeros((), device=device)
    count = 0
    for images, labels in batches:
        with autocast(precision, device):
            logits = net(images)  # (N, K)
        logits = logits.float()
        errors += (logits.argmax(1) != labels).sum()
        loss += F.cross_entropy(logits, labels, reduction="sum")
        count += len(labels)
    net.train(training)
    return Score(100 * errors.item() / count, loss.item() / count)  # sync point
