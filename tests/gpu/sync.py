"""A real GPU that refuses to be waited for."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def never_waited_for() -> Iterator[None]:
    """Raise `RuntimeError` where the host waits for the GPU, in this block and nowhere after it."""
    try:
        _set_mode("error")
        yield
    finally:
        _set_mode("default")


def _set_mode(mode: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch changes the mode first, and then warns that not all is noticed
        torch.cuda.set_sync_debug_mode(mode)
