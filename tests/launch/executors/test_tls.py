"""Messages over TLS arrive whole, in order, and keep nobody waiting who only looks."""

import os
import pickle
import socket
import ssl
import threading
from collections.abc import Iterator
from multiprocessing.connection import wait

import pytest

from study.launch.executors.tls import LOGIN, WELCOME, TlsConnection, connect_tls, server_identity
from tests.launch.processes import wait_for


@pytest.fixture
def ends() -> Iterator[tuple[TlsConnection, TlsConnection]]:
    """Both ends of a line: the launcher's and a worker's."""
    context, certificate = server_identity()
    launcher: list[TlsConnection] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            line = context.wrap_socket(listener.accept()[0], server_side=True)
            assert line.recv(LOGIN.size) == b"login"
            line.sendall(WELCOME)
            launcher.append(TlsConnection(line))

        thread = threading.Thread(target=answer)
        thread.start()
        worker = connect_tls(listener.getsockname(), certificate, b"login")
        thread.join()
    yield launcher[0], worker
    launcher[0].close()
    worker.close()


def test_messages_of_any_size_arrive_in_order(ends: tuple[TlsConnection, TlsConnection]) -> None:
    launcher, worker = ends
    sent: list[object] = [None, "x", b"\0" * 70_000, os.urandom(3_000_000), {"a": [1.5, float("inf")]}]
    thread = threading.Thread(target=lambda: [worker.send(message) for message in sent])
    thread.start()
    heard: list[object] = []
    while len(heard) < len(sent):
        assert wait([launcher], 30)  # type: ignore[list-item]
        while launcher.poll():
            heard.append(launcher.recv())
    thread.join()
    assert heard == sent
    assert not launcher.poll()
    assert wait([launcher], 0) == []  # type: ignore[list-item]


def test_nothing_is_there_until_something_was_said(ends: tuple[TlsConnection, TlsConnection]) -> None:
    for line in ends:
        assert not line.poll()
        assert wait([line], 0.1) == []  # type: ignore[list-item]


def test_a_peer_that_stops_within_a_message_keeps_nobody_waiting(ends: tuple[TlsConnection, TlsConnection]) -> None:
    launcher, worker = ends
    data = pickle.dumps("whole")
    message = len(data).to_bytes(4, "big") + data
    for i, part in enumerate((message[:2], message[2:7], message[7:-1])):
        worker._socket.sendall(part)
        assert wait([launcher], 30)  # type: ignore[list-item]
        wait_for(lambda i=i: not launcher.poll() and len(launcher._received) == (2, 7, len(message) - 1)[i])  # type: ignore[misc]
    worker._socket.sendall(message[-1:] + message)
    wait_for(launcher.poll)
    assert launcher.recv() == "whole"
    wait_for(launcher.poll)
    assert launcher.recv() == "whole"
    assert not launcher.poll()


def test_the_end_comes_after_what_was_said(ends: tuple[TlsConnection, TlsConnection]) -> None:
    launcher, worker = ends
    worker.send("last")
    worker.close()
    wait_for(launcher.poll)
    assert launcher.recv() == "last"
    wait_for(launcher.poll)
    with pytest.raises(EOFError):
        launcher.recv()
    with pytest.raises(EOFError):
        launcher.recv()


def test_an_end_within_a_message_is_an_end(ends: tuple[TlsConnection, TlsConnection]) -> None:
    launcher, worker = ends
    worker._socket.sendall(b"\0\0\1\0half")
    worker.close()
    wait_for(launcher.poll)
    with pytest.raises(EOFError):
        launcher.recv()


def test_what_was_altered_on_the_way_is_not_taken(ends: tuple[TlsConnection, TlsConnection]) -> None:
    launcher, worker = ends
    with socket.socket(fileno=os.dup(worker.fileno())) as plain:
        plain.sendall(b"\x17\x03\x03\x00\x20" + os.urandom(32))  # a record by somebody without the keys
    assert wait([launcher], 30)  # type: ignore[list-item]
    with pytest.raises(ssl.SSLError):
        launcher.poll()


def test_every_launcher_has_a_key_of_its_own(ends: tuple[TlsConnection, TlsConnection]) -> None:
    context, certificate = server_identity()
    assert context.minimum_version == ssl.TLSVersion.TLSv1_3
    assert server_identity()[1] != certificate
    assert ends[1]._socket.version() == "TLSv1.3"
