"""A worker on another machine: it calls its launcher, and serves like one beside it."""

import json
import os
import signal
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from multiprocessing.connection import Client, Connection
from pathlib import Path
from threading import Event

from study.track import scratch_folder

SILENT_SECONDS = 60
"""A peer that acknowledges nothing for so long is gone, though nobody hung up: its machine has lost power, say."""
VARIABLE = "STUDY_CALL"
CREDENTIALS = ("MLFLOW_", "AWS_")
"""Beginnings of the variables that workers need to reach the artifact store."""


@dataclass(frozen=True)
class Call:
    """What a worker must know to call in."""

    host: str
    port: int
    key: bytes = field(repr=False)
    """A secret of this launcher and its workers."""
    number: int = 0
    device: str = "cpu"
    threads: int = 1
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    shared: str = ""
    """A folder of the launcher's that the worker must see as well; none where everything goes through a store."""

    def by(self, number: int, device: str, threads: int) -> "Call":
        """Return the same for the worker of this number."""
        return replace(self, number=number, device=device, threads=threads)


def serve(call: Call, terminated: Event | None = None) -> None:
    """Call the launcher and do what it orders, until it hangs up, or `terminated` is set.

    Raises:
        OSError: it can't be reached.
    """
    os.environ.update(call.environ)
    connection = Client((call.host, call.port), authkey=call.key)
    connection.send_bytes(str(call.number).encode())
    hold_line(connection)

    from study.launch.environment import environment
    from study.launch.wire import Gone, Wire
    from study.launch.worker import Desk

    where = {**environment(), "host": socket.gethostname(), "threads of a run": str(call.threads)}
    if call.shared and not Path(call.shared).exists():
        where["unseen"] = call.shared
    with scratch_folder("study-runs-") as scratch, suppress(Gone):
        Desk(Wire(connection, terminated), call.device, call.threads, where=where, scratch=Path(scratch)).serve()


def main() -> None:
    """Serve as a process of its own, started by a scheduler; SIGTERM (preemption) lets it write a checkpoint first."""
    call = unpacked(os.environ.pop(VARIABLE))
    terminated = Event()
    signal.signal(signal.SIGTERM, lambda *_: terminated.set())
    serve(call, terminated)


def packed(call: Call) -> str:
    """Return a call as the text of a variable: what stands on a command line can be seen by all."""
    return json.dumps({**asdict(call), "key": call.key.hex(), "environ": {}})


def unpacked(text: str) -> Call:
    """Return the call of a variable's text."""
    values = json.loads(text)
    return Call(**{**values, "key": bytes.fromhex(values["key"])})


def objection(where: Mapping[str, str], code: str) -> str:
    """Say why a worker can't be used that runs where it says; nothing where it can. `code` is that of the launcher."""
    host = where.get("host", "another machine")
    if where.get("code") != code:
        return (
            f"the worker on {host} runs other code of this program ({where.get('code')}; here {code}): "
            f"install the same version on every node"
        )
    if "unseen" in where:
        return (
            f"{host} doesn't see {where['unseen']}, where checkpoints go: put the study on a disk that all nodes share,"
            f" or set MLFLOW_TRACKING_URI to a tracking server that keeps artifacts"
        )
    return ""


def credentials() -> dict[str, str]:
    """Return the variables of this process that workers need to reach the artifact store."""
    return {name: value for name, value in os.environ.items() if name.startswith(CREDENTIALS)}


def hold_line(connection: Connection) -> None:
    """Notice a peer whose machine is gone: a socket, left to itself, would wait for hours or for ever."""
    with socket.socket(fileno=os.dup(connection.fileno())) as line:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in (
            ("TCP_KEEPIDLE", SILENT_SECONDS // 4),
            ("TCP_KEEPINTVL", SILENT_SECONDS // 12),
            ("TCP_KEEPCNT", 9),
            ("TCP_USER_TIMEOUT", 1000 * SILENT_SECONDS),
        ):
            if hasattr(socket, name):
                line.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


if __name__ == "__main__":
    main()
