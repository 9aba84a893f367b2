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
from study.launch.executors import door, remote
from study.launch.executors.door import way_to
from study.launch.executors.line import LOGIN, Line, dial, identity
from study.launch.executors.listener import Callers
from study.launch.executors.remote import Call, call_in, objection, packed, unpacked


@pytest.fixture
def callers() -> Iterator[Callers]:
    made = Callers("127.0.0.1")
    yield made
    made.close()


def arrives(callers: Callers, call: Call) -> Line:
    """Return the launcher's end of the line to a worker that is calling."""
    assert callers.bell.poll(30)
    assert callers.bell.recv() == call.number
    line = callers.connection(call.number)
    assert line is not None
    return line


def silent(call: Call) -> socket.socket:
    return socket.create_connection((call.host, call.port))


def hung_up(line: socket.socket) -> bool:
    line.settimeout(30)
    with suppress(ConnectionError):
        while line.recv(100):
            pass
    return True


def test_a_worker_calls_in_and_is_heard(callers: Callers) -> None:
    first, second = callers.expect("cpu", 1), callers.expect("cuda:0", 4)
    assert (first.number, second.number, second.device, second.threads) == (1, 2, "cuda:0", 4)
    assert callers.connection(2) is None
    worker = call_in(second)
    line = arrives(callers, second)
    worker.send("hello")
    assert line.recv() == "hello"
    line.send("order")
    assert worker.recv() == "order"
    worker.close()
    assert callers.connection(1) is None
    callers.forget(2)
    assert callers.connection(2) is None


def test_who_does_not_know_the_secret_or_the_number_is_not_let_in(callers: Callers) -> None:
    call = callers.expect("cpu", 1)
    for login in (LOGIN.pack(b"guess", 1), LOGIN.pack(call.key, 2), bytes(LOGIN.size)):
        with pytest.raises(ConnectionError, match="hung up"):
            dial((call.host, call.port), call.certificate, login)
    worker = call_in(call)
    line = arrives(callers, call)
    for _ in range(2):  # nor is one let in twice, and not when it was given up
        with pytest.raises(ConnectionError, match="hung up"):
            dial((call.host, call.port), call.certificate, LOGIN.pack(call.key, call.number))
        callers.forget(call.number)
    with pytest.raises(EOFError):
        worker.recv()
    worker.close()
    line.close()
    assert not callers.bell.poll(0)


def test_a_worker_speaks_to_its_own_launcher_alone(callers: Callers) -> None:
    """Somebody else at the port learns nothing of the secret, and nor does who listens on the way."""
    _, foreign = identity()
    with pytest.raises(ssl.SSLCertVerificationError):
        call_in(replace(callers.expect("cpu", 1), certificate=foreign))
    assert not callers.bell.poll(0.2)


def test_what_goes_over_the_network_is_encrypted(callers: Callers) -> None:
    call = callers.expect("cpu", 1)
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
            with worker, silent(call) as launcher:
                back = threading.Thread(target=pass_on, args=(launcher, worker))
                back.start()
                pass_on(worker, launcher)
                back.join()

        thread = threading.Thread(target=relay)
        thread.start()
        worker = call_in(replace(call, port=between.getsockname()[1]))
        line = arrives(callers, call)
        worker.send("images of a hospital")
        assert line.recv() == "images of a hospital"
        line.send("s3 password")
        assert worker.recv() == "s3 password"
        worker.close()
        line.close()
        thread.join()
    assert len(heard) > 500
    assert call.key not in heard
    assert b"hospital" not in heard
    assert b"password" not in heard


def test_silent_callers_keep_nobody_waiting_and_are_few(callers: Callers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "MOST_WAITING", 20)
    threads, files = threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))
    call = callers.expect("cpu", 1)
    with ExitStack() as stack:
        strangers = [stack.enter_context(silent(call)) for _ in range(60)]
        assert all(hung_up(stranger) for stranger in strangers[:40])  # the first to come, at once
        assert threading.active_count() == threads
        assert len(list(Path("/proc/self/fd").iterdir())) <= files + 60 + 20
        worker = call_in(call)
        arrives(callers, call).send("order")
        assert worker.recv() == "order"
        worker.close()


def test_a_caller_has_a_time_to_log_in(callers: Callers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "LOGIN_SECONDS", 0.5)
    call = callers.expect("cpu", 1)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=call.certificate)
    with silent(call) as stranger, context.wrap_socket(silent(call), server_hostname="study") as slow:
        assert hung_up(stranger)
        slow.sendall(call.key)  # the number is missing
        assert hung_up(slow)
    worker = call_in(call)
    arrives(callers, call)
    worker.close()


def test_nonsense_ends_its_own_call_alone(callers: Callers) -> None:
    call = callers.expect("cpu", 1)
    for nonsense in (b"GET / HTTP/1.1\r\n\r\n", bytes(1000), b"\x16\x03\x01\xff\xff" + bytes(100)):
        with silent(call) as stranger:
            stranger.sendall(nonsense)
            assert hung_up(stranger)
    worker = call_in(call)
    arrives(callers, call)
    worker.close()


def test_workers_are_let_in_when_there_are_files_again(callers: Callers, monkeypatch: pytest.MonkeyPatch) -> None:
    call = callers.expect("cpu", 1)
    refused = threading.Event()
    monkeypatch.setattr(door.time, "sleep", lambda _: refused.set())
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket() as stranger, ExitStack() as files:
        resource.setrlimit(resource.RLIMIT_NOFILE, (stranger.fileno() + 10, hard))
        try:
            with suppress(OSError):
                while True:
                    files.enter_context(open(os.devnull))  # noqa: PTH123
            stranger.connect((call.host, call.port))
            assert refused.wait(30)
            assert not callers._door._waiting
        finally:
            files.close()
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        worker = call_in(call)
        arrives(callers, call)
        worker.close()


def test_a_worker_calls_again_when_it_was_turned_away(callers: Callers, monkeypatch: pytest.MonkeyPatch) -> None:
    call = callers.expect("cpu", 1)
    tried = []

    def turned_away_first(*words: object) -> Line:
        tried.append(words)
        if len(tried) < 3:
            raise ConnectionResetError
        return dial(*words)  # type: ignore[arg-type]

    monkeypatch.setattr(remote, "dial", turned_away_first)
    call_in(call).close()
    assert len(tried) == 3


def test_a_launcher_that_is_gone_is_noticed(callers: Callers) -> None:
    call = callers.expect("cpu", 1)
    worker = call_in(call)
    arrives(callers, call).close()
    with pytest.raises((EOFError, OSError)):
        worker.recv()
    worker.close()
    callers.close()
    with pytest.raises(ConnectionRefusedError):
        call_in(call)


def test_who_waits_at_the_end_is_hung_up_on() -> None:
    callers = Callers("127.0.0.1")
    call, other = callers.expect("cpu", 1), callers.expect("cpu", 1)
    worker = call_in(other)
    with silent(call) as stranger:
        arrives(callers, other)
        callers.close()
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
    call = Call(host, port, key, certificate, 3, "cuda:1", 4, shared=shared)
    assert unpacked(packed(call)) == call
    assert str(key) not in repr(call)  # nor is it printed


def test_what_a_node_must_have() -> None:
    good = {"code": "abc", "host": "n1"}
    assert objection(good, "abc") == ""
    assert "n1 runs other code" in objection(good, "abd")
    assert "doesn't see /studies" in objection({**good, "unseen": "/studies"}, "abc")


def test_workers_take_over_what_reaches_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "who")
    monkeypatch.setenv("HOME", "/somewhere")
    callers = Callers("127.0.0.1", Path("/studies"))
    call = callers.expect("cpu", 1)
    callers.close()
    assert call.shared == "/studies"
    assert call.environ["AWS_ACCESS_KEY_ID"] == "who"
    assert "HOME" not in call.environ
    assert "who" not in packed(call)
    assert "who" not in repr(call)


@pytest.mark.parametrize("named", ["127.0.0.3", ""])
def test_one_interface_is_listened_at(named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDY_HOST", named)
    callers = Callers("127.0.0.2")
    try:
        call = callers.expect("cpu", 1)
        assert call.host == (named or "127.0.0.2")
        with pytest.raises(ConnectionRefusedError):
            call_in(replace(call, host="127.0.0.1"))
        call_in(call).close()
    finally:
        callers.close()


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
        Callers("127.0.0.1")


def test_the_way_to_a_machine_says_by_which_address_this_one_is_seen() -> None:
    assert way_to("127.0.0.1") == "127.0.0.1"
    assert way_to("no.such.name.invalid") == ""
