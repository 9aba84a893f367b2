"""Workers elsewhere call their launcher: those that know its secret are let in, others keep nobody waiting."""

import socket
from collections.abc import Iterator
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from study.launch.callers import Callers
from study.launch.remote import Call, objection, packed, unpacked


@pytest.fixture
def callers() -> Iterator[Callers]:
    made = Callers("127.0.0.1")
    yield made
    made.close()


def dial(call: Call, key: bytes | None = None) -> Connection:
    line = Client((call.host, call.port), authkey=key or call.key)
    line.send_bytes(str(call.number).encode())
    return line


def test_a_worker_calls_in_and_is_heard(callers: Callers) -> None:
    first, second = callers.expect("cpu", 1), callers.expect("cuda:0", 4)
    assert (first.number, second.number, second.device, second.threads) == (1, 2, "cuda:0", 4)
    assert callers.connection(2) is None
    with dial(second) as worker:
        assert callers.bell.poll(10)
        callers.bell.recv()
        line = callers.connection(2)
        assert line is not None
        worker.send("hello")
        assert line.recv() == "hello"
        line.send("order")
        assert worker.recv() == "order"
    assert callers.connection(1) is None
    callers.forget(2)
    assert callers.connection(2) is None


def test_who_does_not_know_the_secret_is_not_let_in(callers: Callers) -> None:
    call = callers.expect("cpu", 1)
    with pytest.raises((AuthenticationError, OSError, EOFError)):
        dial(call, key=b"guess").recv()
    assert not callers.bell.poll(0.2)
    assert callers.connection(1) is None


def test_one_that_says_nothing_keeps_nobody_waiting(callers: Callers) -> None:
    call = callers.expect("cpu", 1)
    with socket.create_connection(("127.0.0.1", call.port)), dial(call):
        assert callers.bell.poll(10)


def test_a_launcher_that_is_gone_is_noticed(callers: Callers) -> None:
    with dial(callers.expect("cpu", 1)) as worker:
        assert callers.bell.poll(10)
        callers.connection(1).close()  # type: ignore[union-attr]
        with pytest.raises((EOFError, OSError)):
            worker.recv()


@given(st.text(max_size=20), st.integers(1, 65535), st.binary(min_size=32, max_size=32), st.text(max_size=20))
def test_a_call_survives_as_a_variable(host: str, port: int, key: bytes, shared: str) -> None:
    call = Call(host, port, key, 3, "cuda:1", 4, shared=shared)
    assert unpacked(packed(call)) == call
    assert str(key) not in repr(call)  # nor is it printed


def test_what_a_node_must_have() -> None:
    good = {"code": "abc", "host": "n1"}
    assert objection(good, "abc") == ""
    assert "n1 runs other code" in objection(good, "abd")
    assert "doesn't see /studies" in objection({**good, "unseen": "/studies"}, "abc")


def test_workers_take_over_what_reaches_the_store_and_the_host_can_be_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "who")
    monkeypatch.setenv("HOME", "/somewhere")
    monkeypatch.setenv("STUDY_HOST", "10.0.0.7")
    callers = Callers("127.0.0.1", Path("/studies"))
    try:
        call = callers.expect("cpu", 1)
    finally:
        callers.close()
    assert (call.host, call.shared) == ("10.0.0.7", "/studies")
    assert call.environ["AWS_ACCESS_KEY_ID"] == "who"
    assert "HOME" not in call.environ
    assert "who" not in packed(call)
    assert "who" not in repr(call)
