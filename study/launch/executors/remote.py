"""A worker on another machine: it calls its launcher, and serves like one beside it."""

import json
import os
import random
import signal
import socket
import ssl
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from threading import Event

from study.launch.executors.line import LOGIN, Line, dial
from study.track.scratch import scratch_folder

CALL_SECONDS = 60.0
"""How long a worker tries to reach a launcher that turns callers away, since too many call."""
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
    certificate: str
    """By which workers know the launcher."""
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
    connection = call_in(call)

    from study.launch.environment import environment
    from study.launch.worker.connection import Gone, Wire
    from study.launch.worker.process import Desk

    where = {**environment(), "host": socket.gethostname(), "threads of a run": str(call.threads)}
    if call.shared and not Path(call.shared).exists():
        where["unseen"] = call.shared
    with scratch_folder("study-runs-") as scratch, suppress(Gone):
        Desk(Wire(connection, terminated), call.device, call.threads, where=where, scratch=Path(scratch)).serve()


def call_in(call: Call) -> Line:
    """Return the line to the launcher, once it has let this worker in.

    Raises:
        OSError: it can't be reached.
    """
    until = time.monotonic() + CALL_SECONDS
    while True:
        try:
            return dial((call.host, call.port), call.certificate, LOGIN.pack(call.key, call.number))
        except (ConnectionRefusedError, ssl.SSLCertVerificationError):
            raise  # it has ended
        except OSError:
            if time.monotonic() > until:
                raise
        time.sleep(random.uniform(0.1, 1.0))  # others try again as well


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


if __name__ == "__main__":
    main()
