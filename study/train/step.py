"""One iteration of a run: forward, backward, update."""

import time
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from study.data import derived_seed
from study.train.arithmetic import arithmetic, autocast
from study.train.state import RunState
from study.train.stream import on_stream


@dataclass(frozen=True, eq=False)
class Step:
    """A run's next iteration; no function of this module waits for the device."""

    state: RunState
    batch: tuple[Tensor, Tensor] | None
    """This process's part of the batch, images (N, C, H, W) and labels (N,); None if the device fetches it."""


def prepare(state: RunState) -> Step:
    """Set the rate of a run's next iteration; fetch its batch unless the device does so in the step."""
    start = time.monotonic()
    state.rate.fill_(state.spec.recipe.lr_at(state.step, state.total))
    state.batches.seek(state.step)
    batch = None if state.replays else state.batches.fetch()
    state.training_seconds += time.monotonic() - start
    return Step(state, batch)


def take_step(step: Step) -> None:
    """Take an iteration of one run, kernel by kernel."""
    start, state = time.monotonic(), step.state
    if state.dropout:  # only now: others may have been prepared since
        # Each rank has its own masks: else two ranks would use the same masks for their images.
        rank = [state.group.rank] if state.group.rank > 0 else []
        torch.manual_seed(derived_seed(state.spec.seed, "dropout", state.step, *rank))
    with on_stream(state.stream):
        advance(state, *(step.batch or state.batches.fetch()))
    count(state, time.monotonic() - start)


def advance(state: RunState, images: Tensor, labels: Tensor) -> None:
    """Do an iteration's work on the device: images (N, C, H, W), labels (N,). The host's state doesn't change."""
    with arithmetic(images.device, deterministic=state.spec.recipe.deterministic):
        with autocast(state.precision, images.device):
            logits = state.model(images)  # (N, K)
        logits = logits.float()
        loss = F.cross_entropy(logits, labels)
        state.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        update(state, loss.detach(), logits.detach(), labels)


def update(state: RunState, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
    """Update a run's weights by their gradients, and its running sums by loss () and logits (N, K)."""
    state.optimizer.step()
    state.loss_sum += loss
    state.error_sum += (logits.argmax(1) != labels).sum()


def count(state: RunState, seconds: float) -> None:
    """Count an iteration that took `seconds`."""
    state.step += 1
    state.steps_since_point += 1
    state.training_seconds += seconds
