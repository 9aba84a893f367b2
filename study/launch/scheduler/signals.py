"""Ctrl-C, SIGTERM and the end of a terminal: the first signal ends cleanly within seconds, the second at once."""

import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread

STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
CLEAN_END_SECONDS = 8.0
"""Timeout of a clean end."""


@contextmanager
def stopped_by_signals(stop: Callable[[], None], abort: Callable[[], None]) -> Iterator[None]:
    """Call `stop` at the first signal; at a second, or if the process hasn't ended in time, call `abort` and exit.

    Both are called in a thread, since Python's handlers don't run while the main thread waits in a library: for a
    locked database, or a server that doesn't answer.
    """
    receiver, sender = socket.socketpair()
    sender.setblocking(False)
    handled = [number for number in STOPS if signal.getsignal(number) != signal.SIG_IGN]  # `nohup` ignores SIGHUP
    # The watcher receives them through the wake-up descriptor.
    before = {number: signal.signal(number, lambda *_: None) for number in handled}
    previous_fd = signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
    watcher = Thread(target=_watch, args=(receiver, stop, abort), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(previous_fd)
        for number, handler in before.items():
            signal.signal(number, handler)
        sender.shutdown(socket.SHUT_RDWR)


def _watch(receiver: socket.socket, stop: Callable[[], None], abort: Callable[[], None]) -> None:
    """Wait for a signal, then for a second one or the timeout; return when the other end is closed."""
    if not receiver.recv(1):
        return
    stop()
    receiver.settimeout(CLEAN_END_SECONDS)
    try:
        if not receiver.recv(1):
            return
    except TimeoutError:
        pass
    abort()
    os._exit(130)
