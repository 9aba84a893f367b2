"""CUDA streams of runs: each run on a GPU has a separate stream, so that several can train side by side."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

import torch

from study.config import RunSpec
from study.data import Dataset
from study.train.arithmetic import arithmetic

P = ParamSpec("P")
T = TypeVar("T")
RunGenerator = Callable[Concatenate[RunSpec, Dataset, torch.device, P], Iterator[T]]


def own_stream(device: torch.device) -> torch.cuda.Stream | None:
    """Return a new stream of a GPU, whose work runs beside that of other streams; None for a CPU."""
    return torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]


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
