"""The port at which workers on other machines connect: they prove by a secret that this launcher requested them."""

import ipaddress
import os
import resource
import secrets
import socket
import ssl
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing import Pipe
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector
from threading import Lock, Thread

from study.errors import StudyError
from study.launch.environment import code
from study.launch.executors.base import Devices, Executor, WorkerSize, threads_per_process, workers_per_card
from study.launch.executors.remote import CREDENTIALS, ConnectInfo, rejection
from study.launch.executors.tls import KEY_BYTES, LOGIN, LOGIN_SECONDS, WELCOME, TlsConnection, server_identity

BACKLOG = 512
"""Maximal connections that wait to be accepted."""
MAX_LOGINS = 128
"""Maximal connections that haven't logged in yet; beyond it, the oldest is closed."""
ACCEPT_RETRY_SECONDS = 0.1
"""Pause after a connection that couldn't be accepted: too many files are open, for example."""
MAX_FILES = 65536
HELP = "set STUDY_HOST to the address of this machine by which workers reach it"

Admit = Callable[[bytes, ssl.SSLSocket], bool]


class RemoteWorker(ABC):
    """A worker on another machine, as the launcher sees it: what all schedulers have in common."""

    def __init__(self, listener: "WorkerListener", connect_info: ConnectInfo) -> None:
        """`connect_info` is what the worker connects with."""
        self.devices = connect_info.devices
        self._number = connect_info.number
        self._listener = listener

    @property
    def connection(self) -> TlsConnection | None:
        """The connection to the worker; None until its scheduler has started it."""
        return self._listener.connection(self._number)

    def terminate(self) -> None:
        """Remove the worker from the queue if it hasn't started; otherwise disconnect, and it ends."""
        if self.connection is None:
            self.kill()

    def dump_stacks(self) -> None:  # noqa: B027 (not possible from here)
        """Do nothing: its process is on another machine."""

    def drop(self) -> None:
        self._listener.drop(self._number)

    @abstractmethod
    def kill(self) -> None: ...


class WorkerListener:
    """Accepts connections of invited workers, each of which has a number and knows the launcher's secret."""

    def __init__(self, host: str, shared: Path | None = None) -> None:
        """Listen at one interface of this machine: that of the name or address in STUDY_HOST, or else that of `host`.

        Workers get the variables with the credentials of the artifact store, and must see the folder `shared`.

        Raises:
            StudyError: this machine has no such interface, or no other machine reaches it.
        """
        _raise_file_limit()
        self._port = _LoginPort(os.environ.get("STUDY_HOST") or host, self._admit)
        self._key = secrets.token_bytes(KEY_BYTES)
        self._connect_info = ConnectInfo(
            self._port.host,
            self._port.port,
            self._key,
            self._port.certificate,
            environ={name: value for name, value in os.environ.items() if name.startswith(CREDENTIALS)},
            shared=str(shared or ""),
        )
        self.connected, self._notify = Pipe(duplex=False)
        self._lock = Lock()
        self._connections: dict[int, TlsConnection | None] = {}
        """By number; None for invited workers that haven't connected."""
        self._invited = 0
        self._port.open()

    def invite(self, devices: Devices, threads: int) -> ConnectInfo:
        """Return the `ConnectInfo` of one more worker."""
        self._invited += 1
        self._connections[self._invited] = None
        return replace(self._connect_info, number=self._invited, devices=devices, threads=threads)

    def connection(self, number: int) -> TlsConnection | None:
        """Return the connection to a worker, if it has connected."""
        return self._connections.get(number)

    def drop(self, number: int) -> None:
        """Close the connection to a worker that has ended, and don't let it in again."""
        with self._lock:
            connection = self._connections.pop(number, None)
        if connection is not None:
            connection.close()

    def close(self) -> None:
        self._port.close()
        for number in list(self._connections):
            self.drop(number)

    def _admit(self, login: bytes, tls: ssl.SSLSocket) -> bool:
        """Let a worker in, once, if it knows the secret; it has checked this launcher's certificate."""
        key, number = LOGIN.unpack(login)
        if not secrets.compare_digest(key, self._key):
            return False
        with self._lock:
            if number not in self._connections or self._connections[number] is not None:
                return False
            tls.sendall(WELCOME)
            self._connections[number] = TlsConnection(tls)
        self._notify.send(number)
        return True


class RemoteExecutor(WorkerListener, Executor):
    """What the executors of all clusters have in common: workers of one size, which connect to this launcher."""

    def __init__(self, host: str, shared: Path | None, size: WorkerSize) -> None:
        """Listen for workers of this size. For `host` and `shared` see `WorkerListener`."""
        super().__init__(host, shared)
        self.accept = self.connected
        self.size = size
        memory = f", {size.memory:g} GiB" if size.memory is not None else ""
        self.resources = f"{size.cpus} CPU, {size.gpus or 0:g} GPU{memory}"

    def rejection(self, info: Mapping[str, str]) -> str:
        return rejection(info, code())

    def invite_worker(self, devices: Devices) -> ConnectInfo:
        invitation = self.invite(devices, threads_per_process(devices, self.size.cpus))
        return replace(invitation, per_card=workers_per_card(self.size.gpus))


@dataclass
class _Login:
    """A connection that has not yet logged in."""

    deadline: float
    received: bytes = b""


class _LoginPort:
    """Accepts connections in a thread; one that fails, or sends nothing, doesn't delay the others."""

    def __init__(self, host: str, admit: Admit) -> None:
        """Listen at the interface `host`. `admit` gets a login and its socket, and returns whether it keeps it."""
        self._socket = _listen(host)
        self.host, self.port = self._socket.getsockname()[:2]
        self._context, self.certificate = server_identity()
        self._admit = admit
        self._logins: dict[ssl.SSLSocket, _Login] = {}
        """Pending logins, the oldest first."""
        self._selector = DefaultSelector()
        self._closed, self._close = Pipe(duplex=False)
        self._thread = Thread(target=self._serve, daemon=True)

    def open(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Stop, and close the connections that haven't logged in."""
        self._close.close()
        self._thread.join()

    def _serve(self) -> None:
        self._selector.register(self._socket, EVENT_READ)
        self._selector.register(self._closed, EVENT_READ)
        with self._selector, self._socket, self._closed:
            while True:
                ready = [key.fileobj for key, _ in self._selector.select(self._seconds_left())]
                if self._closed in ready:
                    break
                for tls in [tls for tls in ready if isinstance(tls, ssl.SSLSocket)]:
                    self._continue_login(tls)
                while self._logins and self._seconds_left() == 0:
                    self._close_oldest()
                if self._socket in ready:
                    self._accept()
            while self._logins:
                self._close_oldest()

    def _seconds_left(self) -> float | None:
        """Return the time that the oldest connection has left to log in."""
        oldest = next(iter(self._logins.values()), None)
        return max(0.0, oldest.deadline - time.monotonic()) if oldest else None

    def _accept(self) -> None:
        try:
            plain, _ = self._socket.accept()
        except OSError:
            self._close_oldest()  # each pending login holds a file
            time.sleep(ACCEPT_RETRY_SECONDS)
            return
        with plain, suppress(OSError, ValueError):  # it has disconnected already
            plain.settimeout(0)
            tls = self._context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
            self._selector.register(tls, EVENT_READ)
            self._logins[tls] = _Login(time.monotonic() + LOGIN_SECONDS)
        if len(self._logins) > MAX_LOGINS:
            self._close_oldest()

    def _continue_login(self, tls: ssl.SSLSocket) -> None:
        try:
            login = _read_login(tls, self._logins[tls])
            if login is None:
                return
            self._forget(tls)
            if self._admit(login, tls):
                return
        except Exception:  # whatever a stranger sends only ends its own connection
            self._forget(tls)
        tls.close()

    def _close_oldest(self) -> None:
        for tls in list(self._logins)[:1]:
            self._forget(tls)
            tls.close()

    def _forget(self, tls: ssl.SSLSocket) -> None:
        if self._logins.pop(tls, None):
            self._selector.unregister(tls)


def _read_login(tls: ssl.SSLSocket, login: _Login) -> bytes | None:
    """Return the login that a connection sends, or None until it is complete; don't wait."""
    try:
        tls.do_handshake()
        while len(login.received) < LOGIN.size:
            chunk = tls.recv(LOGIN.size - len(login.received))  # no more: a message may follow
            if not chunk:
                raise ConnectionError
            login.received += chunk
    except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
        return None
    return login.received


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


def _raise_file_limit() -> None:
    """Allow as many open connections as the system permits: the usual limit of 1,024 files is too low for clusters."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = MAX_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_FILES)
    if soft != resource.RLIM_INFINITY and soft < limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
