"""How many tasks and actors a second Ray schedules on this machine, by itself.

    python bench/ray_throughput.py [--tasks 2000] [--actors 12]

A task is an empty function that asks for a core and a made-up GPU; an actor is an empty class with a made-up GPU, whose
start is that of a process. Both are asked for all at once, and the last answer is waited for.
"""

import argparse
import os
import time
from typing import Any

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")


def measure(tasks: int, actors: int) -> dict[str, float]:
    """Return seconds to start Ray, tasks a second (all at once, and one after another), actors a second."""
    import ray

    began = time.perf_counter()
    ray.init(num_cpus=2, num_gpus=1000, include_dashboard=False, logging_level="ERROR")
    started = time.perf_counter() - began

    def answer() -> int:
        return 1

    class Empty:
        def ready(self) -> int:
            return 1

    task: Any = ray.remote(num_cpus=1, num_gpus=1, max_calls=0)(
        answer
    )  # by default, a process for each task with a GPU
    actor: Any = ray.remote(num_cpus=0, num_gpus=1)(Empty)

    ray.get([task.remote() for _ in range(10)])  # worker processes are there
    began = time.perf_counter()
    ray.get([task.remote() for _ in range(tasks)])
    at_once = tasks / (time.perf_counter() - began)
    few = max(1, tasks // 10)
    began = time.perf_counter()
    for _ in range(few):
        ray.get(task.remote())
    in_turn = few / (time.perf_counter() - began)
    began = time.perf_counter()
    alive = [actor.remote() for _ in range(actors)]
    ray.get([one.ready.remote() for one in alive])
    actors_a_second = actors / (time.perf_counter() - began)
    began = time.perf_counter()
    ray.get([alive[i % actors].ready.remote() for i in range(tasks)])
    calls = tasks / (time.perf_counter() - began)
    ray.shutdown()
    return {
        "seconds to start Ray": started,
        "tasks a second, all at once": at_once,
        "tasks a second, one after another": in_turn,
        "actors started a second": actors_a_second,
        "calls of actors a second": calls,
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=2000)
    parser.add_argument("--actors", type=int, default=12)
    given = parser.parse_args()
    for what, value in measure(given.tasks, given.actors).items():
        print(f"| {what} | {value:,.1f} |")


if __name__ == "__main__":
    main()
