"""Workers elsewhere call their launcher: those that know its secret are let in, others keep nobody waiting."""

import os
import resource
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from study.errors import StudyError
from study.launch.executors import listener as module
from study.launch.executors import remote
from study.launch.executors.listener import WorkerListener
from study.launch.executors.remote import ConnectInfo, connect, from_env, rejection, to_env
from study.launch.executors.slurm import local_address_towards
from study.launch.executors.tls import LOGIN, TlsConnection, connect_tls, server_identity


@pytest.fixture
def listener() -> Iterator[WorkerListener]:
    made = WorkerListener("127.0.0.1")
    yield made
    made.close()


def arrives(listener: WorkerListener, info: ConnectInfo) -> TlsConnection:
    """Return the launcher's end of the line to a worker that is calling."""
    assert listener.connected.poll(30)
    assert listener.connected.recv() == info.number
    line = listener.connection(info.number)
    assert line is not None
    return line


def silent(info: ConnectInfo) -> socket.socket:
    return socket.create_connection((info.host, info.port))


def hung_up(line: socket.socket) -> bool:
    line.settimeout(30)
    with suppress(ConnectionError):
        while line.recv(100):
            pass
    return True


def test_a_worker_calls_in_and_is_heard(listener: WorkerListener) -> None:
    first, second = listener.invite(("cpu",), 1), listener.invite(("cuda:0",), 4)
    assert (first.number, second.number, second.devices, second.threads) == (1, 2, ("cuda:0",), 4)
    assert listener.connection(2) is None
    worker = connect(second)
    line = arrives(listener, second)
    worker.send("hello")
    assert line.recv() == "hello"
    line.send("order")
    assert worker.recv() == "order"
    worker.close()
    assert listener.connection(1) is None
    listener.drop(2)
    assert listener.connection(2) is None


def test_who_does_not_know_the_secret_or_the_number_is_not_let_in(listener: WorkerListener) -> None:
    info = listener.invite(("cpu",), 1)
    for login in (LOGIN.pack(b"guess", 1), LOGIN.pack(info.key, 2), bytes(LOGIN.size)):
        with pytest.raises(ConnectionError, match="hung up"):
            connect_tls((info.host, info.port), info.certificate, login)
    worker = connect(info)
    line = arrives(listener, info)
    for _ in range(2):  # nor is one let in twice, and not when it was given up
        with pytest.raises(ConnectionError, match="hung up"):
            connect_tls((info.host, info.port), info.certificate, LOGIN.pack(info.key, info.number))
        listener.drop(info.number)
    with pytest.raises(EOFError):
        worker.recv()
    worker.close()
    line.close()
    assert not listener.connected.poll(0)


def test_a_worker_speaks_to_its_own_launcher_alone(listener: WorkerListener) -> None:
    """Somebody else at the port learns nothing of the secret, and nor does who listens on the way."""
    _, foreign = server_identity()
    with pytest.raises(ssl.SSLCertVerificationError):
        connect(replace(listener.invite(("cpu",), 1), certificate=foreign))
    assert not listener.connected.poll(0.2)


def test_what_goes_over_the_network_is_encrypted(listener: WorkerListener) -> None:
    info = listener.invite(("cpu",), 1)
    heard = bytearray()
    with socket.create_server(("127.0.0.1", 0)) as between:

        def pass_on(source: socket.socket, target: socket.socket) -> None:
            with suppress(OSError):
                while chunk := source.recv(65536):
                    heard.extend(chunk)
                    target.sendall(chunk)
                target.shutdown(socket.SHUT_WR)

        def relay() -> None:
            worker, _ = between.accept()
            with worker, silent(info) as launcher:
                back = threading.Thread(target=pass_on, args=(launcher, worker))
                back.start()
                pass_on(worker, launcher)
                back.join()

        thread = threading.Thread(target=relay)
        thread.start()
        worker = connect(replace(info, port=between.getsockname()[1]))
        line = arrives(listener, info)
        worker.send("images of a hospital")
        assert line.recv() == "images of a hospital"
        line.send("s3 password")
        assert worker.recv() == "s3 password"
        worker.close()
        line.close()
        thread.join()
    assert len(heard) > 500
    assert info.key not in heard
    assert b"hospital" not in heard
    assert b"password" not in heard


def test_silent_callers_keep_nobody_waiting_and_are_few(
    listener: WorkerListener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_LOGINS", 20)
    threads, files = threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))
    info = listener.invite(("cpu",), 1)
    with ExitStack() as stack:
        strangers = [stack.enter_context(silent(info)) for _ in range(60)]
        assert all(hung_up(stranger) for stranger in strangers[:40])  # the first to come, at once
        assert threading.active_count() == threads
        assert len(list(Path("/proc/self/fd").iterdir())) <= files + 60 + 20
        worker = connect(info)
        arrives(listener, info).send("order")
        assert worker.recv() == "order"
        worker.close()


def test_a_caller_has_a_time_to_log_in(listener: WorkerListener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOGIN_SECONDS", 0.5)
    info = listener.invite(("cpu",), 1)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=info.certificate)
    with silent(info) as stranger, context.wrap_socket(silent(info), server_hostname="study") as slow:
        assert hung_up(stranger)
        slow.sendall(info.key)  # the number is missing
        assert hung_up(slow)
    worker = connect(info)
    arrives(listener, info)
    worker.close()


def test_nonsense_ends_its_own_call_alone(listener: WorkerListener) -> None:
    info = listener.invite(("cpu",), 1)
    for nonsense in (b"GET / HTTP/1.1\r\n\r\n", bytes(1000), b"\x16\x03\x01\xff\xff" + bytes(100)):
        with silent(info) as stranger:
            stranger.sendall(nonsense)
            assert hung_up(stranger)
    worker = connect(info)
    arrives(listener, info)
    worker.close()


def test_workers_are_let_in_when_there_are_files_again(
    listener: WorkerListener, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = listener.invite(("cpu",), 1)
    refused = threading.Event()
    monkeypatch.setattr(module.time, "sleep", lambda _: refused.set())
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket() as stranger, ExitStack() as files:
        resource.setrlimit(resource.RLIMIT_NOFILE, (stranger.fileno() + 10, hard))
        try:
            with suppress(OSError):
                while True:
                    files.enter_context(open(os.devnull))  # noqa: PTH123
            stranger.connect((info.host, info.port))
            assert refused.wait(30)
            assert not listener._port._logins
        finally:
            files.close()
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        worker = connect(info)
        arrives(listener, info)
        worker.close()


def test_a_worker_calls_again_when_it_was_turned_away(
    listener: WorkerListener, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = listener.invite(("cpu",), 1)
    tried = []

    def turned_away_first(*words: object) -> TlsConnection:
        tried.append(words)
        if len(tried) < 3:
            raise ConnectionResetError
        return connect_tls(*words)  # type: ignore[arg-type]

    monkeypatch.setattr(remote, "connect_tls", turned_away_first)
    connect(info).close()
    assert len(tried) == 3


def test_a_launcher_that_is_gone_is_noticed(listener: WorkerListener) -> None:
    info = listener.invite(("cpu",), 1)
    worker = connect(info)
    arrives(listener, info).close()
    with pytest.raises((EOFError, OSError)):
        worker.recv()
    worker.close()
    listener.close()
    with pytest.raises(ConnectionRefusedError):
        connect(info)


def test_who_waits_at_the_end_is_hung_up_on() -> None:
    listener = WorkerListener("127.0.0.1")
    info, other = listener.invite(("cpu",), 1), listener.invite(("cpu",), 1)
    worker = connect(other)
    with silent(info) as stranger:
        arrives(listener, other)
        listener.close()
        assert hung_up(stranger)
    with pytest.raises((EOFError, OSError)):
        worker.recv()
    worker.close()


@given(
    st.text(max_size=20),
    st.integers(1, 65535),
    st.binary(min_size=32, max_size=32),
    st.text(max_size=20),
    st.text(max_size=20),
)
def test_a_call_survives_as_a_variable(host: str, port: int, key: bytes, certificate: str, shared: str) -> None:
    info = ConnectInfo(host, port, key, certificate, 3, ("cuda:1", "cuda:2"), 4, shared=shared)
    assert from_env(to_env(info)) == info
    assert str(key) not in repr(info)  # nor is it printed


def test_what_a_node_must_have() -> None:
    good = {"code": "abc", "host": "n1"}
    assert rejection(good, "abc") == ""
    assert "n1 runs other code" in rejection(good, "abd")
    assert "doesn't see /studies" in rejection({**good, "unseen": "/studies"}, "abc")


def test_workers_take_over_what_reaches_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "who")
    monkeypatch.setenv("HOME", "/somewhere")
    listener = WorkerListener("127.0.0.1", Path("/studies"))
    info = listener.invite(("cpu",), 1)
    listener.close()
    assert info.shared == "/studies"
    assert info.environ["AWS_ACCESS_KEY_ID"] == "who"
    assert "HOME" not in info.environ
    assert "who" not in to_env(info)
    assert "who" not in repr(info)


@pytest.mark.parametrize("named", ["127.0.0.3", ""])
def test_one_interface_is_listened_at(named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDY_HOST", named)
    listener = WorkerListener("127.0.0.2")
    try:
        info = listener.invite(("cpu",), 1)
        assert info.host == (named or "127.0.0.2")
        with pytest.raises(ConnectionRefusedError):
            connect(replace(info, host="127.0.0.1"))
        connect(info).close()
    finally:
        listener.close()


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("192.0.2.1", r"workers can't call 192\.0\.2\.1 \(.*ddress.*\): set STUDY_HOST to the address"),
        ("no.such.name.invalid", "workers can't call no.such.name.invalid"),
        ("0.0.0.0", "names no interface: set STUDY_HOST"),
        ("::", "names no interface: set STUDY_HOST"),
        ("head", r"workers elsewhere can't call head, which is 127\.0\.1\.1 on this machine: set STUDY_HOST"),
        ("a" * 300, "workers can't call aaa"),
    ],
)
def test_an_interface_that_there_is_not_is_named(host: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.getaddrinfo

    def resolve(name: str, *words: object, **options: object) -> object:
        return real("127.0.1.1" if name == "head" else name, *words, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setenv("STUDY_HOST", host)
    with pytest.raises(StudyError, match=said):
        WorkerListener("127.0.0.1")


def test_the_way_to_a_machine_says_by_which_address_this_one_is_seen() -> None:
    assert local_address_towards("127.0.0.1") == "127.0.0.1"
    assert local_address_towards("no.such.name.invalid") == ""
