"""Takes iterations of several runs at once: side by side on a GPU, in one forward pass on a CPU if nets are alike."""

import time
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from study.nets import join, unjoin
from study.train.arithmetic import arithmetic, autocast
from study.train.graph import Replay
from study.train.state import RunState
from study.train.step import Step, count, take_step, update
from study.train.stream import on_stream


class FailedStep(NamedTuple):
    """An iteration that wasn't taken."""

    step: Step
    error: Exception


class Stepper:
    """Takes iterations of several runs.

    On a GPU each run has a CUDA graph on a separate stream, and gives the same bits as alone. On a CPU, runs of one
    architecture go through one forward and backward pass; they may be at different iterations and have different rates,
    and each gives the same curve as alone, to rounding.
    Legend: R runs, N images of a batch, K classes.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._replays: dict[RunState, Replay] = {}
        self._joined: dict[tuple[RunState, ...], nn.Module] = {}

    def take(self, steps: Sequence[Step]) -> list[FailedStep]:
        """Take all these iterations; return those that failed, without effect on the others.

        Graphs and joined nets of runs that aren't among these are released.
        """
        replayed = [step for step in steps if step.batch is None]
        groups: dict[object, list[Step]] = {}
        for step in steps:
            if step.batch is not None:
                groups.setdefault(_batch_key(step.state, step.batch[0]), []).append(step)
        self._release_replays(step.state for step in replayed)
        self._release_joined(_states(group) for group in groups.values())
        failed = self._take_replays(replayed)
        for group in groups.values():
            try:
                if len(group) == 1:
                    take_step(group[0])
                else:
                    self._take_joined(group)
            except Exception as error:  # other runs go on
                failed += [FailedStep(step, error) for step in group]
        return failed

    def _take_replays(self, steps: Sequence[Step]) -> list[FailedStep]:
        """Launch an iteration of each run; each counts an equal part of the time."""
        start = time.monotonic()
        taken, failed = [], []
        for step in steps:
            state = step.state
            try:
                with on_stream(state.stream):
                    self._replays.setdefault(state, Replay(state)).take()
                taken.append(state)
            except Exception as error:  # other runs go on
                failed.append(FailedStep(step, error))
        self._release_replays(taken)
        for state in taken:
            count(state, (time.monotonic() - start) / len(steps))
        return failed

    def _take_joined(self, steps: Sequence[Step]) -> None:
        start = time.monotonic()
        states = _states(steps)
        batches = [step.batch for step in steps if step.batch is not None]
        if states not in self._joined:
            self._joined[states] = join([state.net for state in states])
        images = torch.stack([images for images, _ in batches], 1).flatten(1, 2)  # (N, R C, H, W)
        labels = torch.stack([labels for _, labels in batches])  # (R, N)
        with arithmetic(self._device, deterministic=False):  # those that are deterministic aren't joined
            with autocast(states[0].precision, self._device):
                logits = self._joined[states](images.contiguous(memory_format=torch.channels_last))  # (R, N, K)
            logits = logits.float()
            losses = F.cross_entropy(logits.transpose(1, 2), labels, reduction="none").mean(1)  # (R,)
            for state in states:
                state.optimizer.zero_grad(set_to_none=True)
            losses.sum().backward()  # type: ignore[no-untyped-call]
            for i, state in enumerate(states):
                update(state, losses[i].detach(), logits[i].detach(), labels[i])
        for state in states:
            count(state, (time.monotonic() - start) / len(states))

    def _release_replays(self, kept: Iterable[RunState]) -> None:
        for state in self._replays.keys() - set(kept):
            self._replays.pop(state).close()

    def _release_joined(self, kept: Iterable[tuple[RunState, ...]]) -> None:
        for states in self._joined.keys() - set(kept):
            del self._joined[states]
            unjoin([state.net for state in states])


def _states(steps: Sequence[Step]) -> tuple[RunState, ...]:
    return tuple(step.state for step in steps)


def _batch_key(state: RunState, images: Tensor) -> object:
    """Return the key shared by iterations that can run in one forward pass."""
    return (state.precision, images.shape, state.architecture) if state.can_join else state
