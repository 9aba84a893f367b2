"""The program in forks of a process that has loaded everything: imports would take seconds, in hundreds of tests.

`start` does what `subprocess.Popen` does. What a fork can't show, for instance that a module isn't loaded, takes a real
interpreter; so does an environment that is read when something is loaded. On other systems than Linux all are real.
"""

import atexit
import gc
import importlib.util
import json
import logging
import os
import pkgutil
import runpy
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import traceback
import warnings
from contextlib import suppress
from functools import cache
from importlib import import_module
from multiprocessing import forkserver, util
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn
from uuid import uuid4

import study
from tests import databases

LOADED = (
    "alembic.command",
    "mlflow.store.tracking.sqlalchemy_store",
    "optuna._gp.gp",
    "pyarrow.parquet",
    "scipy.stats",
    "seaborn",
    "sklearn.datasets",
    "sqlalchemy.dialects.sqlite",
    "torch._dynamo",
)
"""What the program loads of others when it first needs it; all of its own modules come before."""
NOT_LOADED = ("study.__main__", "study.launch.executors.ray")
READ_AT_LOAD = ("PYTHON", "MPL", "OMP_", "MKL_", "OPENBLAS_", "TORCH", "LD_", "LC_", "LANG", "TZ", "XDG_", "HOME")
"""Beginnings of the names of variables of which a fork would take no note."""
LATER = ("PYTHONPATH", "MPLBACKEND", "TORCHINDUCTOR_CACHE_DIR")
"""Those of them that it may differ in: `_added` says in what the first may; the program and PyTorch set the others."""
READ = {name: value for name, value in os.environ.items() if name.startswith(READ_AT_LOAD)}
"""Such variables as they were before any test: the server has them, whichever test is the first to need it."""
NUMBER = struct.Struct("=i")
CREDENTIALS = struct.Struct("=iII")
"""Process, user and group at the other end of a socket."""


def study_command(*words: str) -> list[str]:
    """Return the command line of the program in this interpreter, which takes no modules from the working folder."""
    return [sys.executable, "-P", "-m", "study", *words]


def start(words: tuple[str, ...], *, hook: str = "", **given: Any) -> "subprocess.Popen[Any]":
    """Start the program with these words, and otherwise as `subprocess.Popen` would.

    `hook`, such as `tests.faults.moments:count 3`, is called in its process first, with a text: for forks alone.
    """
    if _can_be_a_fork(given.get("env") or dict(os.environ)):
        return Fork(words, hook, **given)
    assert not hook, "there are no forks here"
    return subprocess.Popen(study_command(*words), **given)


class Fork(subprocess.Popen[Any]):
    """A process that was forked; the server that did it, its parent, says how it ended."""

    def __init__(self, words: tuple[str, ...], hook: str = "", **given: Any) -> None:
        """Start it, as soon as the server has loaded what it loads."""
        self._hook = hook
        super().__init__(words, **given)

    def _execute_child(
        self, args: Any, executable: Any, preexec_fn: Any, close_fds: Any, pass_fds: Any, cwd: Any, env: Any, *rest: Any
    ) -> None:
        _, _, _, p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite, *_, start_new_session, _ = rest
        assert preexec_fn is None
        assert not pass_fds
        ends, says = os.pipe()
        request = {
            "words": list(args),
            "cwd": os.fspath(cwd or Path.cwd()),
            "env": dict(env or os.environ),
            "session": start_new_session,
            "hook": self._hook,
        }
        files = [number if given == -1 else given for number, given in enumerate((p2cread, c2pwrite, errwrite))]
        try:
            _server().ask(json.dumps(request).encode(), [*files, says])
        finally:
            os.close(says)
            self._close_pipe_fds(p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite)  # type: ignore[attr-defined]
        self._ends = ends
        self.pid = _number(ends)
        self._child_created = True

    def _internal_poll(self, *_: Any, **__: Any) -> int | None:
        if self.returncode is None and self._child_created:
            self._try_wait(os.WNOHANG)
        return self.returncode

    def _try_wait(self, wait_flags: int) -> tuple[int, int]:
        if self.returncode is None:
            if wait_flags and not select.select([self._ends], [], [], 0)[0]:
                return 0, 0
            self._handle_exitstatus(_number(self._ends))  # type: ignore[attr-defined]
            os.close(self._ends)
        return 0, 0  # what `wait` would do with the process is done


def _number(pipe: int) -> int:
    data = os.read(pipe, NUMBER.size)
    if len(data) < NUMBER.size:
        raise ChildProcessError("the server of forks has died")
    return int(NUMBER.unpack(data)[0])


class _Server:
    """A line to the process that forks, which all processes of the tests share; it ends with its last line."""

    def __init__(self) -> None:
        """Start it, where no other process has."""
        name = os.environ.get("PYTEST_XDIST_TESTRUNUID") or uuid4().hex
        address = f"\0study-forks-{name}"  # no file; it goes with the process
        self._line = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._process: subprocess.Popen[bytes] | None = None
        while True:
            try:
                self._line.connect(address)
            except ConnectionRefusedError:
                self._process = _start_server(address)
            else:
                break
        atexit.register(self.close)

    def ask(self, request: bytes, files: list[int]) -> None:
        """Ask for a fork with these files as its own, the last of them to say how it goes."""
        socket.send_fds(self._line, [request], files)

    def close(self) -> None:
        """Hang up; who started it waits for it, so that its time counts as that of the tests."""
        self._line.close()
        if self._process is not None:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=5)


@cache
def _server() -> _Server:
    return _Server()


def _start_server(address: str) -> "subprocess.Popen[bytes] | None":
    others = {name: value for name, value in os.environ.items() if not name.startswith(READ_AT_LOAD)}
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        try:
            listener.bind(address)
        except OSError:  # another process is about to
            time.sleep(0.05)
            return None
        listener.listen()
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "tests.forks", str(listener.fileno())],
            pass_fds=[listener.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env={**others, **READ, "DO_NOT_TRACK": "true", "MPLBACKEND": "agg", "PYTHONPATH": _python_path()},
        )


def _python_path() -> str:
    return os.pathsep.join([str(Path(__file__).resolve().parents[1]), *_folders(READ)])


def _folders(environment: dict[str, str]) -> list[str]:
    return [folder for folder in environment.get("PYTHONPATH", "").split(os.pathsep) if folder]


def _can_be_a_fork(environment: dict[str, str]) -> bool:
    if sys.platform != "linux":
        return False
    names = {name for name in {*environment, *os.environ} if name.startswith(READ_AT_LOAD)}
    if any(environment.get(name) != READ.get(name) for name in names.difference(LATER)):
        return False
    if environment.get("MPLBACKEND", "agg") != READ.get("MPLBACKEND", "agg"):
        return False
    added = _added(environment, READ)
    return added is not None and all(
        file.name == "sitecustomize.py" for folder in added for file in Path(folder).glob("*.py")
    )


def _added(environment: dict[str, str], before: dict[str, str]) -> list[str] | None:
    """Return the folders that stand before the server's own in PYTHONPATH; None if others than its own follow."""
    folders, own = _folders(environment), _folders(before)
    count = len(folders) - len(own)
    return folders[:count] if count >= 0 and folders[count:] == own else None


def serve(listener: socket.socket) -> dict[str, Any]:
    """Fork at each request until the last line is closed; return in the forks alone, with the request."""
    rings, bell = os.pipe()
    for end in (rings, bell):
        os.set_blocking(end, False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(bell, warn_on_full_buffer=False)
    pipes: dict[int, int] = {}
    lines: set[socket.socket] = set()
    while True:
        for ready in select.select([listener, rings, *lines], [], [])[0]:
            if ready == rings:
                with suppress(BlockingIOError):
                    os.read(rings, 4096)
                _tell_ends(pipes)
            elif ready is listener:
                lines |= _accepted(listener)
            else:
                request, files = _received(ready)
                if not request:
                    lines.remove(ready)
                    if not lines:
                        os._exit(0)
                elif _fork(files, pipes) == 0:
                    for line in lines:
                        line.detach()
                    return dict(json.loads(request))


def _accepted(listener: socket.socket) -> set[socket.socket]:
    """Return the line of a process that calls, if it is one of this user's."""
    line, _ = listener.accept()
    _, user, _ = CREDENTIALS.unpack(line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size))
    return {line} if user == os.getuid() else set()


def _received(line: socket.socket) -> tuple[bytes, list[int]]:
    """Return a request and its files; nothing, where the line is closed."""
    try:
        request, files, *_ = socket.recv_fds(line, 1 << 20, 4)
    except ConnectionResetError:
        return b"", []
    return request, files


def _fork(files: list[int], pipes: dict[int, int]) -> int:
    """Fork a process with these files, the last a pipe that tells how it ends; return as `os.fork` does."""
    pid = os.fork()
    if pid == 0:
        signal.set_wakeup_fd(-1)
        for number, file in enumerate(files[:3]):
            os.dup2(file, number)
        os.closerange(3, 1 << 16)
        return 0
    for file in files[:3]:
        os.close(file)
    pipes[pid] = files[3]
    os.write(files[3], NUMBER.pack(pid))
    return pid


def _tell_ends(pipes: dict[int, int]) -> None:
    while pipes:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        with suppress(BrokenPipeError):
            os.write(pipes[pid], NUMBER.pack(status))
        os.close(pipes.pop(pid))


def become(request: dict[str, Any]) -> None:
    """Be the process that was asked for, up to the program's first line."""
    if request["session"]:
        os.setsid()
    for number, action in {
        signal.SIGCHLD: signal.SIG_DFL,
        signal.SIGINT: signal.default_int_handler,
        signal.SIGHUP: signal.SIG_DFL,
        signal.SIGTERM: signal.SIG_DFL,
    }.items():
        signal.signal(number, action)
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    own = {**before, "PYTHONPATH": os.pathsep.join(_folders(before)[1:])}
    for folder in reversed(_added(dict(os.environ), own) or []):
        sys.path.insert(0, folder)
        _customize(Path(folder) / "sitecustomize.py")
    if request["words"][:1] in (["run"], ["tune"]):
        _fork_server()
    module, _, rest = request["hook"].partition(":")
    if module:
        name, _, text = rest.partition(" ")
        getattr(import_module(module), name)(text)
    sys.argv = ["study", *request["words"]]


def _customize(file: Path) -> None:
    if file.exists():
        spec = importlib.util.spec_from_file_location("sitecustomize", file)
        assert spec is not None
        assert spec.loader is not None
        spec.loader.exec_module(importlib.util.module_from_spec(spec))


def _fork_server() -> None:
    """Let what `multiprocessing` would start in interpreters of its own be forks as well, while there are no threads.

    They are the server that workers are forks of, and the tracker of resources.
    """
    from study.launch.executors.local import PRELOAD, sheltered

    spawn = util.spawnv_passfds
    util.spawnv_passfds = _fork_instead
    with sheltered(server=True):
        forkserver.set_forkserver_preload(PRELOAD)
        forkserver.ensure_running()
    util.spawnv_passfds = spawn


def _fork_instead(_path: str, words: list[str], files: list[int]) -> int:
    pid = os.fork()
    if pid == 0:
        kept = sorted({2, *files})
        for low, high in zip(kept, [*kept[1:], 1 << 16], strict=True):
            os.closerange(low + 1, high)
        run(lambda: exec(words[-1], {}))
    return pid


def run(what: Any) -> NoReturn:
    """Do it, and end this process as Python does, but for the second that it takes to tidy up."""
    code = 0
    try:
        what()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 1
    finally:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            with suppress(Exception):
                stream.flush()
        os._exit(code)


def main() -> NoReturn:
    """Load everything, then fork."""
    listener = socket.socket(fileno=int(sys.argv[1]))
    own = [module.name for module in pkgutil.walk_packages(study.__path__, "study.")]
    for name in (*(name for name in own if name not in NOT_LOADED), *LOADED):
        import_module(name)
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    with TemporaryDirectory() as folder:
        databases.copy_tables(Path(folder) / "tables.db")
    warnings.filterwarnings(
        "ignore", "This process", DeprecationWarning
    )  # of threads that libraries have: they heed forks
    gc.collect()
    gc.freeze()
    become(serve(listener))
    run(lambda: runpy.run_module("study", run_name="__main__", alter_sys=True))


if __name__ == "__main__":
    main()
