"""Measure the speeds of nets on this machine, in the workers, and cache them between calls."""

import hashlib
import json
import statistics
from collections.abc import Callable, Mapping
from dataclasses import asdict

from filelock import FileLock

from study.config import RunSpec
from study.errors import StudyError
from study.launch.environment import environment
from study.launch.executors.devices import Workers, replicas_for
from study.launch.executors.local import LocalExecutor
from study.launch.messages import BenchmarkResult, BenchmarkTask
from study.launch.plan.cells import DataFacts
from study.launch.scheduler.worker_pool import WorkerDied, WorkerPool
from study.launch.worker.failure import Failure
from study.paths import cache_folder
from study.train import Speed

SAME_SPEED = frozenset(
    "lr epochs iterations momentum nesterov weight_decay schedule milestones gamma "
    "warmup warmup_factor warmup_shape evaluate_every test_views initialisation".split()
)
"""Fields of a recipe that don't change the time of a step."""


class SpeedCache:
    """A cache of speeds; the key holds the net, images, recipe, hardware and number of runs at once."""

    def __init__(self, workers: Workers, facts: DataFacts) -> None:
        hardware = environment()
        self._context = [
            *(hardware.get(key, "") for key in ("torch", "system", "processor", "gpu")),
            *(sorted(workers.names), workers.threads, workers.replicas, facts.image_shape, facts.classes),
        ]
        self._path = cache_folder("speed.json")
        self._workers = workers
        self._facts = facts

    def known(self) -> dict[str, Speed]:
        """Return all speeds by key; none if the file is missing or damaged."""
        try:
            cached = json.loads(self._path.read_text(encoding="utf-8"))
            return {str(key): Speed(**values) for key, values in cached.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}

    def key(self, spec: RunSpec) -> str:
        """Return the key of a run's speed, the same for runs that differ only in rate, seed and length."""
        recipe = {field: value for field, value in spec.identity()["recipe"].items() if field not in SAME_SPEED}
        text = json.dumps([str(spec.net), recipe, self._context], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:20]

    def measure(self, specs: Mapping[str, RunSpec], progress: Callable[[str, float], None]) -> dict[str, Speed]:
        """Measure the speeds of these runs, given by key, and cache them.

        All workers measure every net at the same time, so that they slow each other down as in training. Where that
        takes more memory than a GPU has, fewer go on. A GPU's room is what its last worker found: then all of them
        have begun, and hold nothing but their images.

        Raises:
            StudyError: a net can't be trained here.
        """
        tasks = {
            f"{key} {i}": BenchmarkTask(f"{key} {i}", spec, replicas_for(spec, self._workers, self._facts))
            for key, spec in specs.items()
            for i in range(len(self._workers.devices))
        }
        waiting = list(tasks.values())
        measured: dict[str, list[Speed]] = {key: [] for key in specs}
        rooms: dict[str, float] = {}
        total, finished, begun = len(waiting), 0, False
        pool = WorkerPool(LocalExecutor(self._workers.threads, self._workers.per_card), self._workers.devices)
        try:
            while finished < total:
                begun = begun or pool.free() == len(pool)
                while begun and waiting and pool.free():
                    pool.assign(waiting.pop(0))
                for message in pool.poll(timeout=1.0):
                    if isinstance(message, Failure):
                        if not (message.out_of_memory and pool.reduce_load(message.task, joined=False)):
                            raise StudyError(f"the speed of a net can't be measured: {message.cause}")
                        pool.release(message.task)
                        waiting.append(tasks[message.task])
                    if isinstance(message, WorkerDied):
                        raise StudyError("the speed of a net can't be measured: a worker died (out of memory?)")
                    if isinstance(message, BenchmarkResult):
                        pool.release(message.task)
                        measured[message.task.partition(" ")[0]].append(message.speed)
                        rooms[message.device] = message.speed.room
                        finished += 1
                        progress("measuring speeds", finished / total)
        finally:
            pool.kill()
        speeds = {key: _combined(values, min(rooms.values())) for key, values in measured.items()}
        self.save(speeds)
        return speeds

    def save(self, speeds: Mapping[str, Speed]) -> None:
        """Add speeds to the cache; a disk that refuses them is no error."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{self._path}.lock"):
                cached = {**self.known(), **speeds}
                partial = self._path.with_suffix(".partial")
                partial.write_text(json.dumps({key: asdict(speed) for key, speed in cached.items()}))
                partial.replace(self._path)
        except OSError:
            pass  # they will be measured again


def _combined(speeds: list[Speed], room: float) -> Speed:
    """Combine measurements: the mean times and the largest memory use, where a GPU has so much room."""
    times = ("step", "joined", "image", "exact", "start")
    means = {field: statistics.fmean(getattr(speed, field) for speed in speeds) for field in times}
    memory = {field: max(getattr(speed, field) for speed in speeds) for field in ("memory", "gpu")}
    return Speed(**means, **memory, room=room)
