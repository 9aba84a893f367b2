"""Ctrl-C, SIGTERM and the end of a terminal: a clean end within seconds, and at once at the second."""

import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread
from types import FrameType

STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LEAVE_SECONDS = 8.0
"""How long a clean end may take."""


@contextmanager
def stopped_by_signals(stop: Callable[[], None], leave: Callable[[], None]) -> Iterator[None]:
    """Call `stop` at the first signal; at a second, or if the process hasn't ended in time, call `leave` and end it.

    A thread of its own is told, since Python's handlers don't run while the main thread waits in a library: for a
    locked database, or a server that doesn't answer. Both functions are called there.
    """
    told, teller = socket.socketpair()
    teller.setblocking(False)
    ours = [number for number in STOPS if signal.getsignal(number) != signal.SIG_IGN]  # `nohup` ignores SIGHUP
    before = {number: signal.signal(number, _noted) for number in ours}
    waker = signal.set_wakeup_fd(teller.fileno(), warn_on_full_buffer=False)
    watcher = Thread(target=_watch, args=(told, stop, leave), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(waker)
        for number, handler in before.items():
            signal.signal(number, handler)
        teller.shutdown(socket.SHUT_RDWR)


def _noted(_number: int, _frame: FrameType | None) -> None:
    """Do nothing: the watcher has heard of it already."""


def _watch(told: socket.socket, stop: Callable[[], None], leave: Callable[[], None]) -> None:
    """Wait for a signal, then for a second one or for the time to be over; end where there is nothing more to come."""
    if not told.recv(1):
        return
    stop()
    told.settimeout(LEAVE_SECONDS)
    try:
        if not told.recv(1):
            return
    except TimeoutError:
        pass
    leave()
    os._exit(130)
