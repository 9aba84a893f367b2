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
    """Fail if the block takes more CPU time, or waits twenty times as long; it is stopped where Python can be."""

    def late(number: int, frame: FrameType | None) -> None:
        raise _TooSlowError

    timers = (
        (signal.ITIMER_PROF, signal.SIGPROF, seconds),  # heeds no load of other processes
        (signal.ITIMER_REAL, signal.SIGALRM, 20 * seconds),  # a block that waits takes no CPU time
    )
    before = [signal.signal(number, late) for _, number, _ in timers]
    try:
        for timer, _, limit in timers:
            signal.setitimer(timer, limit)
        yield
    except _TooSlowError:
        raise AssertionError(f"took more than {seconds:g} seconds") from None
    finally:
        for timer, _, _ in timers:
            signal.setitimer(timer, 0)
        for (_, number, _), handler in zip(timers, before, strict=True):
            signal.signal(number, handler)


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
