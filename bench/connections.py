"""A thousand workers on the line, each of which says what a run says: how much of it a launcher's pool takes in.

    python bench/connections.py [--workers 1000] [--messages 200]

The workers are threads of one other process; connections, encryption, messages and pool are the real ones.
"""

import argparse
import multiprocessing
import time
from threading import Barrier, Thread

from study.events import Epoch
from study.launch.executors.base import Devices, Executor, Exit
from study.launch.executors.listener import RemoteWorker, WorkerListener
from study.launch.executors.remote import ConnectInfo, connect
from study.launch.messages import Ready, TaskEvent
from study.launch.scheduler.worker_pool import WorkerPool

POINT = Epoch(391, 1.0, 0.1, 40.0, 1.2, 42.0, 1.3, None, None, 2e4, 10.0, 3e3, 1.8e9)


class MadeUpWorker(RemoteWorker):
    """One of the threads."""

    def kill(self) -> None:
        """Do nothing: it ends by itself."""

    def wait(self, seconds: float) -> Exit:
        """Say that it has ended well."""
        self.drop()
        return Exit(0, "")


class MadeUpCluster(Executor):
    """A cluster that has room for all at once."""

    def __init__(self) -> None:
        self.listener = WorkerListener("127.0.0.1")
        self.accept = self.listener.connected
        self.calls: list[ConnectInfo] = []

    def start(self, devices: Devices) -> MadeUpWorker:
        self.calls.append(self.listener.invite(devices, 1))
        return MadeUpWorker(self.listener, self.calls[-1])

    def close(self) -> None:
        self.listener.close()


def work(calls: list[ConnectInfo], messages: int) -> None:
    """Call in by a thread each, and say so many points each when all are there."""
    all_there = Barrier(len(calls))

    def one(call: ConnectInfo) -> None:
        line = connect(call)
        line.send(Ready({"host": "n", "code": "c"}))
        all_there.wait()
        for _ in range(messages):
            line.send(TaskEvent(f"run-{call.number}", POINT))
        try:
            line.recv()  # until the launcher hangs up
        except (EOFError, OSError):
            pass

    threads = [Thread(target=one, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=1000)
    parser.add_argument("--messages", type=int, default=200)
    given = parser.parse_args()
    cluster = MadeUpCluster()
    pool = WorkerPool(cluster, [("cpu",)] * given.workers)
    process = multiprocessing.get_context("spawn").Process(target=work, args=(cluster.calls, given.messages))
    began = time.perf_counter()
    process.start()
    heard, first, cpu = 0, 0.0, 0.0
    while heard < given.workers * given.messages:
        for _ in pool.poll(1.0):
            if not first:
                first, cpu = time.perf_counter(), time.process_time()
            heard += 1
    seconds, busy = time.perf_counter() - first, time.process_time() - cpu
    print(f"| workers | {given.workers:,} |\n| --- | ---: |")
    print(f"| seconds until all have called in | {first - began:.1f} |")
    print(f"| messages taken in a second | {heard / seconds:,.0f} |")
    print(f"| messages taken in a second of this process's own time | {heard / busy:,.0f} |")
    pool.close()
    process.join()


if __name__ == "__main__":
    main()
