"""The port at which workers call in: whoever does has ten seconds to say who it is, and keeps nobody else waiting."""

import ipaddress
import socket
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import Pipe
from selectors import EVENT_READ, DefaultSelector
from threading import Thread

from study.errors import StudyError
from study.launch.executors.line import LOGIN, LOGIN_SECONDS, identity

BACKLOG = 512
"""Callers that may arrive at the same moment."""
MOST_WAITING = 128
"""Callers that may be about to log in: where there are more, the one that has waited longest is turned away."""
PAUSE_SECONDS = 0.1
"""Before a further caller is accepted, where one couldn't be: too many files are open, say."""
HELP = "set STUDY_HOST to the address of this machine by which workers reach it"

Admit = Callable[[bytes, ssl.SSLSocket], bool]


@dataclass
class _Caller:
    """Somebody who has not yet logged in."""

    until: float
    said: bytes = b""


class Door:
    """Accepts callers in a thread of its own: no error of one, nor its silence, is of consequence to others."""

    def __init__(self, host: str, admit: Admit) -> None:
        """Listen at the interface of this machine that `host` names.

        `admit` is called in that thread with what a caller says first, and takes its line over where it returns true.

        Raises:
            StudyError: this machine has no such interface, or it is one that no other machine reaches.
        """
        self._listener = _listen(host)
        self.host, self.port = self._listener.getsockname()[:2]
        self._context, self.certificate = identity()
        self._admit = admit
        self._waiting: dict[ssl.SSLSocket, _Caller] = {}
        """The one that has waited longest comes first."""
        self._selector = DefaultSelector()
        self._closed, self._close = Pipe(duplex=False)
        self._thread = Thread(target=self._serve, daemon=True)

    def open(self) -> None:
        """Begin to accept callers."""
        self._thread.start()

    def close(self) -> None:
        """Accept nobody any more."""
        self._close.close()
        self._thread.join()

    def _serve(self) -> None:
        self._selector.register(self._listener, EVENT_READ)
        self._selector.register(self._closed, EVENT_READ)
        with self._selector, self._listener, self._closed:
            while True:
                ready = [key.fileobj for key, _ in self._selector.select(self._patience())]
                if self._closed in ready:
                    break
                for caller in [caller for caller in ready if isinstance(caller, ssl.SSLSocket)]:
                    self._hear(caller)
                while self._waiting and self._patience() == 0:
                    self._turn_away()
                if self._listener in ready:
                    self._accept()
            while self._waiting:
                self._turn_away()

    def _patience(self) -> float | None:
        """Return how long the one that has waited longest has left, in seconds."""
        first = next(iter(self._waiting.values()), None)
        return max(0.0, first.until - time.monotonic()) if first else None

    def _accept(self) -> None:
        try:
            plain, _ = self._listener.accept()
        except OSError:
            self._turn_away()  # each that waits holds a file
            time.sleep(PAUSE_SECONDS)
            return
        with plain, suppress(OSError, ValueError):  # it has hung up already
            plain.settimeout(0)
            line = self._context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
            self._selector.register(line, EVENT_READ)
            self._waiting[line] = _Caller(time.monotonic() + LOGIN_SECONDS)
        if len(self._waiting) > MOST_WAITING:
            self._turn_away()

    def _hear(self, line: ssl.SSLSocket) -> None:
        """Go on with a caller's login as far as it has come."""
        try:
            login = _login(line, self._waiting[line])
            if login is None:
                return
            self._let_go(line)
            if self._admit(login, line):
                return
        except Exception:  # whatever a stranger sends ends its own call alone
            self._let_go(line)
        line.close()

    def _turn_away(self) -> None:
        """Hang up on the one that has waited longest, if there is one."""
        for line in list(self._waiting)[:1]:
            self._let_go(line)
            line.close()

    def _let_go(self, line: ssl.SSLSocket) -> None:
        if self._waiting.pop(line, None):
            self._selector.unregister(line)


def _login(line: ssl.SSLSocket, caller: _Caller) -> bytes | None:
    """Return what a caller says first, or None where not all of it has come; wait for nothing.

    Raises:
        OSError: it speaks no TLS, or has hung up.
    """
    try:
        line.do_handshake()
        while len(caller.said) < LOGIN.size:
            chunk = line.recv(LOGIN.size - len(caller.said))  # no more: what follows is a message
            if not chunk:
                raise ConnectionError
            caller.said += chunk
    except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
        return None
    return caller.said


def _listen(host: str) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0]
        number = ipaddress.ip_address(address[0])
        if number.is_unspecified:
            raise StudyError(f"workers can't call {host}, which names no interface: {HELP}")
        if number.is_loopback and host not in (str(number), "localhost"):
            raise StudyError(f"workers elsewhere can't call {host}, which is {number} on this machine: {HELP}")
        listener = socket.create_server(address, family=family, backlog=BACKLOG)
    except (OSError, UnicodeError) as error:
        raise StudyError(f"workers can't call {host} ({getattr(error, 'strerror', None) or error}): {HELP}") from None
    listener.setblocking(False)
    return listener


def way_to(peer: str) -> str:
    """Return this machine's address on the way to another, or nothing where there is no way; nothing is sent."""
    try:
        family, _, _, _, address = socket.getaddrinfo(peer, 9, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect(address)
            return str(probe.getsockname()[0])
    except (OSError, UnicodeError):
        return ""
