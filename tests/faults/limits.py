"""What one hostile input may take at most, in time and memory."""

import signal
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class _TooSlowError(BaseException):
    """Not an `Exception`, so that no reader of damaged files takes it for damage."""


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Fail if the block takes longer; it is stopped where Python can be."""

    def late(number: int, frame: FrameType | None) -> None:
        raise _TooSlowError

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    except _TooSlowError:
        raise AssertionError(f"took more than {seconds:g} seconds") from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def below(mebibytes: int) -> Iterator[None]:
    """Fail if the block holds more memory at once than that, of what Python and NumPy allocate."""
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < mebibytes * 2**20, f"{peak / 2**20:.0f} MiB"
