"""How PyTorch computes while a run does: 32-bit products whole, and where asked, deterministic operations alone."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

import torch

from study.config import RunSpec
from study.data import Dataset
from study.errors import StudyError

P = ParamSpec("P")
T = TypeVar("T")
Course = Callable[Concatenate[RunSpec, Dataset, torch.device, P], Iterator[T]]


def settle_cublas() -> None:
    """Let cuBLAS work in buffers of a fixed number and size, which it reads once: call this before CUDA starts.

    Without, its sums may be taken in another order where several streams are at work. A user's own setting stands.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


@contextmanager
def arithmetic(device: torch.device, *, deterministic: bool) -> Iterator[None]:
    """Compute as a recipe says: on a GPU, products of 32-bit floats are never rounded to TF32, PyTorch's default there.

    With `deterministic`, every operation is one that gives equal bits for equal inputs. All is put back at the end.

    Raises:
        StudyError: an operation has no deterministic form on this device.
    """
    with ExitStack() as stack:
        if device.type == "cuda":
            stack.enter_context(_whole_products())
        if deterministic:
            stack.enter_context(_deterministic())
        yield


def own_stream(device: torch.device) -> torch.cuda.Stream | None:
    """Return a new stream of a GPU, whose work runs beside that of others; None for a CPU."""
    return torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]


def on_stream(stream: torch.cuda.Stream | None) -> AbstractContextManager[object]:
    """Return the context in which a GPU takes its work on `stream`, or nothing changed for None."""
    return nullcontext() if stream is None else torch.cuda.stream(stream)


def by_recipe(course: Course[P, T]) -> Course[P, T]:
    """Let a run's generator compute each of its parts as its recipe says; between them, PyTorch is as it was.

    Other runs, with other recipes, may have their turn in between. On a GPU a run has a stream of its own; over several
    GPUs it keeps to the stream on which their sums are taken.
    """

    @wraps(course)
    def in_parts(
        spec: RunSpec, dataset: Dataset, device: torch.device, /, *args: P.args, **kwargs: P.kwargs
    ) -> Iterator[T]:
        parts = course(spec, dataset, device, *args, **kwargs)
        stream = own_stream(device) if spec.recipe.gpus_per_run == 1 else None
        while True:
            with on_stream(stream), arithmetic(device, deterministic=spec.recipe.deterministic):
                try:
                    part = next(parts)
                except StopIteration:
                    return
            yield part

    return in_parts


@contextmanager
def _whole_products() -> Iterator[None]:
    cudnn: Any = torch.backends.cudnn
    places = (torch.backends.cuda.matmul, cudnn.conv)
    before = [place.fp32_precision for place in places]
    for place in places:
        place.fp32_precision = "ieee"
    try:
        yield
    finally:
        for place, word in zip(places, before, strict=True):
            place.fp32_precision = word


@contextmanager
def _deterministic() -> Iterator[None]:
    settle_cublas()
    cudnn, mode = torch.backends.cudnn, torch.get_deterministic_debug_mode()
    before = cudnn.deterministic, cudnn.benchmark
    filling: Any = torch.utils.deterministic
    fill = filling.fill_uninitialized_memory
    # `use_deterministic_algorithms(True)` in other words, which don't import PyTorch's compiler: that takes a second.
    torch.set_deterministic_debug_mode("error")
    cudnn.deterministic, cudnn.benchmark = True, False
    filling.fill_uninitialized_memory = False  # a kernel more for each new tensor, which nobody reads before writing
    try:
        yield
    except RuntimeError as error:
        told = _explained(str(error))
        if told is None:
            raise
        raise StudyError(told) from error
    finally:
        torch.set_deterministic_debug_mode(mode)
        cudnn.deterministic, cudnn.benchmark = before
        filling.fill_uninitialized_memory = fill


def _explained(text: str) -> str | None:
    """Return PyTorch's words on an operation that isn't deterministic in ours; None for any other error."""
    what, marked, _ = text.partition(" does not have a deterministic implementation")
    if marked:
        return f"'{what}' has no deterministic form on this device: leave out 'deterministic', or train elsewhere"
    if "CUBLAS_WORKSPACE_CONFIG" in text:
        return "'deterministic' needs CUBLAS_WORKSPACE_CONFIG=:4096:8 (or :16:8) in the environment when CUDA starts"
    return None
