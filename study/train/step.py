"""One iteration: forward, backward, update; of a run alone, or of several runs of one architecture at once."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from study.config import RunSpec
from study.data import derived_seed
from study.nets import join, part
from study.train.arithmetic import arithmetic
from study.train.precision import autocast
from study.train.schedule import lr_at
from study.train.state import RunState


@dataclass(frozen=True, eq=False)
class Step:
    """An iteration that a run is ready for; nothing here or in the steps below waits for the device."""

    state: RunState
    images: Tensor
    """(N, C, H, W): this process's part of the batch."""
    labels: Tensor
    """(N,)."""


def prepare(state: RunState, spec: RunSpec) -> Step:
    """Fetch the batch of a run's next iteration, and set its rate."""
    start = time.monotonic()
    for group in state.optimizer.param_groups:
        group["lr"] = lr_at(state.step, spec.recipe, state.total)
    if state.dropout:
        # A rank has masks of its own: else its images would have those of another rank's.
        torch.manual_seed(derived_seed(spec.seed, "dropout", state.step, *[state.group.rank] * (state.group.rank > 0)))
    images, labels = state.batches.batch(state.step)
    state.training_seconds += time.monotonic() - start
    return Step(state, images, labels)


def take_step(step: Step, device: torch.device) -> None:
    """Take an iteration of one run."""
    start = time.monotonic()
    with arithmetic(device, deterministic=step.state.deterministic):
        with autocast(step.state.precision, device):
            logits = step.state.model(step.images)  # (N, K)
        logits = logits.float()
        loss = F.cross_entropy(logits, step.labels)
        step.state.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        _update(step, loss.detach(), logits.detach(), start, 1)


class Together:
    """Takes iterations of several runs, those that can be joined in one forward and backward pass.

    Joined runs may be at different iterations and have different rates. Each has the curve that it has alone, to
    rounding. Legend: R runs, N images of a batch, K classes.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._joined: dict[tuple[int, ...], tuple[Sequence[RunState], nn.Module]] = {}

    def take(self, steps: Sequence[Step]) -> None:
        """Take all these iterations."""
        groups: dict[object, list[Step]] = {}
        for step in steps:
            groups.setdefault(_kind(step), []).append(step)
        self._part({tuple(id(step.state) for step in group) for group in groups.values()})
        for group in groups.values():
            if len(group) == 1:
                take_step(group[0], self._device)
            else:
                with arithmetic(self._device, deterministic=False):  # those that are deterministic aren't joined
                    self._take_joined(group)

    def _take_joined(self, steps: Sequence[Step]) -> None:
        start = time.monotonic()
        states = [step.state for step in steps]
        key = tuple(map(id, states))
        if key not in self._joined:
            self._joined[key] = (states, join([state.net for state in states]))  # holds the states: ids stay theirs
        net = self._joined[key][1]
        images = torch.stack([step.images for step in steps], 1).flatten(1, 2)  # (N, R C, H, W)
        labels = torch.stack([step.labels for step in steps])  # (R, N)
        with autocast(states[0].precision, self._device):
            logits = net(images.contiguous(memory_format=torch.channels_last))  # (R, N, K)
        logits = logits.float()
        losses = F.cross_entropy(logits.transpose(1, 2), labels, reduction="none").mean(1)  # (R,)
        for state in states:
            state.optimizer.zero_grad(set_to_none=True)
        losses.sum().backward()  # type: ignore[no-untyped-call]
        for step, loss, mine in zip(steps, losses.detach(), logits.detach(), strict=True):
            _update(step, loss, mine, start, len(steps))

    def _part(self, wanted: set[tuple[int, ...]]) -> None:
        """Let go of runs that are no longer joined as they were."""
        for key in [key for key in self._joined if key not in wanted]:
            states, _ = self._joined.pop(key)
            part([state.net for state in states])


def _kind(step: Step) -> object:
    """Return what is equal for iterations that can be joined."""
    state = step.state
    if not state.can_join:
        return id(state)
    return state.precision, step.images.shape, state.architecture


def _update(step: Step, loss: Tensor, logits: Tensor, start: float, share: int) -> None:
    """Update a run's weights and running sums; of the time since `start` it has one of `share` equal parts."""
    state = step.state
    state.optimizer.step()
    state.loss_sum += loss
    state.error_sum += (logits.argmax(1) != step.labels).sum()
    state.step += 1
    state.steps_since_point += 1
    state.training_seconds += (time.monotonic() - start) / share
