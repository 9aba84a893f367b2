"""A worker on another machine: connects to its launcher and does tasks like a local worker.

A cluster's scheduler starts it as `python -P -m study.launch.executors.remote`.
"""

import json
import os
import random
import signal
import socket
import ssl
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from threading import Event

from study.launch.executors.base import Devices
from study.launch.executors.tls import LOGIN, TlsConnection, connect_tls
from study.track.processes import scratch_folder

CONNECT_SECONDS = 60.0
"""Seconds for which a worker retries while too many others connect to the launcher."""
VARIABLE = "STUDY_CALL"
CREDENTIALS = ("MLFLOW_", "AWS_")
"""Prefixes of the variables that workers need for the artifact store."""


@dataclass(frozen=True)
class ConnectInfo:
    """The data that a worker needs to connect to its launcher."""

    host: str
    port: int
    key: bytes = field(repr=False)
    """A secret of this launcher and its workers."""
    certificate: str
    """The launcher's certificate, in PEM."""
    number: int = 0
    devices: Devices = ("cpu",)
    threads: int = 1
    per_card: int = 1
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    shared: str = ""
    """A folder of the launcher that the worker must see; "" if checkpoints go through the artifact store."""


def serve(connect_info: ConnectInfo, terminated: Event | None = None) -> None:
    """Connect to the launcher and do its tasks until it disconnects or `terminated` is set.

    Raises:
        OSError: it can't be reached.
    """
    os.environ.update(connect_info.environ)
    connection = connect(connect_info)

    from study.launch.environment import environment
    from study.launch.worker.connection import LauncherConnection, LauncherGone
    from study.launch.worker.process import WorkerLoop

    threads = connect_info.threads
    info = {**environment(), "host": socket.gethostname(), "threads of a run": str(threads)}
    if connect_info.shared and not Path(connect_info.shared).exists():
        info["unseen"] = connect_info.shared
    launcher = LauncherConnection(connection, terminated)
    with scratch_folder("study-runs-") as scratch, suppress(LauncherGone):
        per_card = connect_info.per_card
        WorkerLoop(launcher, connect_info.devices, threads, per_card, info=info, scratch=Path(scratch)).serve()


def connect(connect_info: ConnectInfo) -> TlsConnection:
    """Return the connection to the launcher, once it has accepted this worker.

    Raises:
        OSError: it can't be reached.
    """
    address = connect_info.host, connect_info.port
    until = time.monotonic() + CONNECT_SECONDS
    while True:
        try:
            return connect_tls(address, connect_info.certificate, LOGIN.pack(connect_info.key, connect_info.number))
        except (ConnectionRefusedError, ssl.SSLCertVerificationError):
            raise  # the launcher has ended
        except OSError:
            if time.monotonic() > until:
                raise
        time.sleep(random.uniform(0.1, 1.0))  # many workers may retry at the same time


def main() -> None:
    """Run a worker that a scheduler has started; at SIGTERM (preemption) it writes a checkpoint first."""
    connect_info = from_env(os.environ.pop(VARIABLE))
    terminated = Event()
    signal.signal(signal.SIGTERM, lambda *_: terminated.set())
    serve(connect_info, terminated)


def to_env(connect_info: ConnectInfo) -> str:
    """Return the value of the variable for a worker: unlike a command line, other users can't see it."""
    return json.dumps({**asdict(connect_info), "key": connect_info.key.hex(), "environ": {}})


def from_env(text: str) -> ConnectInfo:
    values = json.loads(text)
    return ConnectInfo(**{**values, "key": bytes.fromhex(values["key"]), "devices": tuple(values["devices"])})


def rejection(info: Mapping[str, str], code: str) -> str:
    """Return why a worker must be refused, or ""; `info` is its `Ready.info`, `code` that of the launcher."""
    host = info.get("host", "another machine")
    if info.get("code") != code:
        return (
            f"the worker on {host} runs other code of this program ({info.get('code')}; here {code}): "
            f"install the same version on every node"
        )
    if "unseen" in info:
        return (
            f"{host} doesn't see {info['unseen']}, where checkpoints go: put the study on a disk that all nodes share,"
            f" or set MLFLOW_TRACKING_URI to a tracking server that keeps artifacts"
        )
    return ""


if __name__ == "__main__":
    main()
