"""Continue training from a constructed solution, to see if gradient descent stays there, improves it, or leaves."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from study.config import Recipe
from study.data import TrainBatches
from study.train import Score, autocast, build_optimizer, raise_if_stopped
from study.train.arithmetic import Precision


@dataclass(frozen=True)
class Mark:
    """The state of a net at an iteration of its continued training."""

    iteration: int
    error: float
    """Percent of the clean training images, in evaluation mode; the error of guessing if the loss isn't finite."""
    loss: float
    """Loss; NaN if it isn't finite."""
    distance: float
    """Distance of all parameters from the start, relative to their norm there."""


def train_on(
    net: nn.Module,
    batches: TrainBatches,
    recipe: Recipe,
    total: int,
    score: Callable[[nn.Module], Score],
    *,
    precision: Precision = "fp32",
    guessing: float,
    stop: Callable[[], bool],
) -> Iterator[Mark]:
    """Train a net in place for `total` iterations; yield its state at the first, the last, and some in between.

    The optimiser is new, and the schedule is the recipe's over `total` iterations, warm-up included: the rate begins
    and falls as in a training from scratch. Training ends early if the loss stops being finite.

    Args:
        net: to train.
        batches: those of a training with this recipe and seed.
        recipe: gives rate, momentum, weight decay and schedule.
        total: number of iterations.
        score: returns a net's score on all training images.
        precision: of the forward pass.
        guessing: error of guessing, in percent.
        stop: called before each iteration.

    Raises:
        Stopped: `stop` returned True.
    """
    device = next(net.parameters()).device
    optimizer = build_optimizer(net, recipe, device)
    start = [weight.detach().clone() for weight in net.parameters()]
    marks = marked_iterations(total)
    net.train()
    for iteration in range(total + 1):
        if iteration in marks:
            mark = _mark(net, iteration, score, start, guessing)
            yield mark
            if math.isnan(mark.loss):
                return
        if iteration == total:
            return
        raise_if_stopped(stop)
        for group in optimizer.param_groups:
            group["lr"] = recipe.lr_at(iteration, total)
        images, labels = batches.batch(iteration)
        with autocast(precision, device):
            logits = net(images)  # (N, K)
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(logits.float(), labels).backward()  # type: ignore[no-untyped-call]
        optimizer.step()


def marked_iterations(total: int) -> set[int]:
    """Return the iterations at which a training is scored: 0, 1, 2, 5, 10, 20, 50, ..., and the last."""
    iterations = {0, total}
    for power in range(len(str(total))):
        iterations |= {digit * 10**power for digit in (1, 2, 5)}
    return {iteration for iteration in iterations if iteration <= total}


def _mark(
    net: nn.Module, iteration: int, score: Callable[[nn.Module], Score], start: list[Tensor], guessing: float
) -> Mark:
    now = score(net)
    moved, norm = (
        torch.stack([part.double().square().sum() for part in parts]).sum().sqrt()
        for parts in ([new.detach() - old for new, old in zip(net.parameters(), start, strict=True)], start)
    )
    if not math.isfinite(now.loss):
        return Mark(iteration, guessing, math.nan, math.nan)
    return Mark(iteration, now.error, now.loss, float(moved / norm))
