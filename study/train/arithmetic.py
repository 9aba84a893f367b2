"""How PyTorch computes during a run: the number format, no TF32, and deterministic operations where asked."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, Literal

import torch

from study.errors import StudyError

Precision = Literal["fp32", "bf16"]


def resolve_precision(precision: Literal["auto"] | Precision, device: torch.device) -> Precision:
    """Return the number format: for `auto`, bfloat16 if the hardware multiplies in it, else 32-bit floats."""
    if precision != "auto":
        return precision
    return "bf16" if _multiplies_bf16(device) else "fp32"


def _multiplies_bf16(device: torch.device) -> bool:
    """Whether a device has instructions for products of bfloat16, which are slow if emulated."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and bool(torch.cpu._is_avx512_bf16_supported())  # a processor with AMX has it too


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """Return the context for forward passes: convolutions in bfloat16, or no change."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


def settle_cublas() -> None:
    """Give cuBLAS buffers of a fixed number and size; call this before CUDA starts, which reads the setting once.

    Otherwise the order of its sums may vary when several streams run. A user's setting isn't changed.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


@contextmanager
def arithmetic(device: torch.device, *, deterministic: bool) -> Iterator[None]:
    """Multiply 32-bit floats on a GPU without rounding them to TF32, which is PyTorch's default there.

    With `deterministic`, use only operations that give equal bits for equal inputs. Restore the settings at the end.

    Raises:
        StudyError: an operation has no deterministic form on this device.
    """
    with ExitStack() as stack:
        if device.type == "cuda":
            stack.enter_context(_without_tf32())
        if deterministic:
            stack.enter_context(_deterministic())
        yield


@contextmanager
def _without_tf32() -> Iterator[None]:
    cudnn: Any = torch.backends.cudnn
    backends = (torch.backends.cuda.matmul, cudnn.conv)
    before = [backend.fp32_precision for backend in backends]
    for backend in backends:
        backend.fp32_precision = "ieee"
    try:
        yield
    finally:
        for backend, precision in zip(backends, before, strict=True):
            backend.fp32_precision = precision


@contextmanager
def _deterministic() -> Iterator[None]:
    settle_cublas()
    cudnn, mode = torch.backends.cudnn, torch.get_deterministic_debug_mode()
    before = cudnn.deterministic, cudnn.benchmark
    filling: Any = torch.utils.deterministic
    fill = filling.fill_uninitialized_memory
    # Does what `use_deterministic_algorithms(True)` does, without importing PyTorch's compiler, which takes a second.
    torch.set_deterministic_debug_mode("error")
    cudnn.deterministic, cudnn.benchmark = True, False
    filling.fill_uninitialized_memory = (
        False  # would cost a kernel per new tensor, though none is read before it is written
    )
    try:
        yield
    except RuntimeError as error:
        message = _determinism_message(str(error))
        if message is None:
            raise
        raise StudyError(message) from error
    finally:
        torch.set_deterministic_debug_mode(mode)
        cudnn.deterministic, cudnn.benchmark = before
        filling.fill_uninitialized_memory = fill


def _determinism_message(text: str) -> str | None:
    """Return a message for PyTorch's error about an operation that isn't deterministic; None for any other error."""
    operation, marked, _ = text.partition(" does not have a deterministic implementation")
    if marked:
        return f"'{operation}' has no deterministic form on this device: leave out 'deterministic', or train elsewhere"
    if "CUBLAS_WORKSPACE_CONFIG" in text:
        return "'deterministic' needs CUBLAS_WORKSPACE_CONFIG=:4096:8 (or :16:8) in the environment when CUDA starts"
    return None
