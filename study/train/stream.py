"""CUDA streams of runs: each run on a GPU has a separate stream, so that several can train side by side."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar
from weakref import WeakSet

import torch

from study.config import RunSpec
from study.data import Dataset
from study.errors import StudyError
from study.train.arithmetic import arithmetic

P = ParamSpec("P")
T = TypeVar("T")
RunGenerator = Callable[Concatenate[RunSpec, Dataset, torch.device, P], Iterator[T]]


STREAMS = 32
"""Streams of a GPU that PyTorch has: it hands them out in turn, also those that are in use."""
_held: WeakSet[torch.cuda.Stream] = WeakSet()
"""Streams of the runs there are: as PyTorch's, they are the whole process's."""


def own_stream(device: torch.device) -> torch.cuda.Stream | None:
    """Return a stream of a GPU that no run holds, whose work runs beside that of other streams; None for a CPU.

    No two runs may share one: the end of a CUDA graph frees cuBLAS's buffers of its stream, which another run's graph
    would go on to use (PyTorch 2.12 to 2.14, github.com/pytorch/pytorch/issues/193402).

    Raises:
        StudyError: all are held.
    """
    if device.type != "cuda":
        return None
    for _ in range(STREAMS):
        stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        if stream not in _held:
            return stream
    raise StudyError(f"a process trains {STREAMS} runs at once on a GPU at most: ask for fewer with --replicas")


def held_stream(device: torch.device) -> torch.cuda.Stream | None:
    """Return the current stream of a GPU, which belongs to its holder as long as that keeps it; None for a CPU."""
    if device.type != "cuda":
        return None
    stream = torch.cuda.current_stream(device)
    _held.add(stream)
    return stream


def on_stream(stream: torch.cuda.Stream | None) -> AbstractContextManager[object]:
    """Return the context in which a GPU works on `stream`; None has no effect."""
    return nullcontext() if stream is None else torch.cuda.stream(stream)


def on_own_stream(generator: RunGenerator[P, T]) -> RunGenerator[P, T]:
    """Make a run's generator compute on a separate stream, in the arithmetic of its recipe.

    PyTorch's settings are restored whenever it yields, since runs with other recipes may compute then.
    A run over several GPUs stays on the stream on which their gradients are summed.
    """

    @wraps(generator)
    def resumed(
        spec: RunSpec, dataset: Dataset, device: torch.device, /, *args: P.args, **kwargs: P.kwargs
    ) -> Iterator[T]:
        events = generator(spec, dataset, device, *args, **kwargs)
        stream = own_stream(device) if spec.recipe.gpus_per_run == 1 else None
        while True:
            with on_stream(stream), arithmetic(device, deterministic=spec.recipe.deterministic):
                try:
                    event = next(events)
                except StopIteration:
                    return
            yield event

    return resumed
