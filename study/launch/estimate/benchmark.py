"""Measured speeds of nets on this machine, kept between calls: a short measurement a net, by the workers themselves."""

import hashlib
import json
import statistics
from collections.abc import Callable, Mapping
from dataclasses import asdict

from filelock import FileLock

from study.config import RunSpec
from study.errors import StudyError
from study.launch.environment import environment
from study.launch.executors.devices import Workforce
from study.launch.executors.local import LocalExecutor
from study.launch.executors.replicas import replicas_of
from study.launch.messages import Failed, Measure, Measured
from study.launch.plan.cells import DataFacts
from study.launch.scheduler.worker_pool import Died, Pool
from study.paths import cache_folder
from study.train import Speed

ALIKE = ("lr", "epochs", "iterations", "momentum", "nesterov", "weight_decay", "schedule", "milestones", "gamma",
         "warmup", "warmup_factor", "warmup_shape", "evaluate_every", "test_views", "initialisation")  # fmt: skip
"""Fields of a recipe that a step's time doesn't depend on."""


class SpeedBook:
    """Speeds by what they depend on: the net, its images and recipe, the hardware, and how many run at once."""

    def __init__(self, force: Workforce, facts: DataFacts) -> None:
        """Open the book of this machine for workers of this number and kind."""
        hardware = environment()
        self._where = [
            *(hardware.get(key, "") for key in ("torch", "system", "processor", "gpu")),
            *(sorted(force.devices), force.threads, force.replicas, facts.image_shape, facts.classes),
        ]
        self._path = cache_folder("speed.json")
        self._force = force
        self._facts = facts

    def known(self) -> dict[str, Speed]:
        """Return all that was measured, by key; nothing where the file is missing or isn't ours."""
        try:
            found = json.loads(self._path.read_text(encoding="utf-8"))
            return {str(key): Speed(**values) for key, values in found.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}

    def key(self, spec: RunSpec) -> str:
        """Return the key of a run's speed: that of all runs that differ in their rates, seeds and lengths alone."""
        recipe = {field: value for field, value in spec.identity()["recipe"].items() if field not in ALIKE}
        text = json.dumps([str(spec.net), recipe, self._where], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:20]

    def measure(self, specs: Mapping[str, RunSpec], told: Callable[[str, float], None]) -> dict[str, Speed]:
        """Measure the speeds of these runs, given by key, and keep them.

        Every worker measures every net, all at the same time, as they would train: so each is slowed by the others.

        Raises:
            StudyError: a net can't be trained here.
        """
        waiting = [
            Measure(f"{key} {i}", spec, replicas_of(spec, self._force, self._facts))
            for key, spec in specs.items()
            for i in range(len(self._force.devices))
        ]
        found: dict[str, list[Speed]] = {key: [] for key in specs}
        asked, heard = len(waiting), 0
        pool = Pool(LocalExecutor(self._force.threads), self._force.devices)
        try:
            while heard < asked:
                while waiting and pool.free():
                    pool.give(waiting.pop(0))
                for message in pool.hear(timeout=1.0):
                    if isinstance(message, Failed):
                        raise StudyError(f"the speed of a net can't be measured: {message.cause}")
                    if isinstance(message, Died):
                        raise StudyError("the speed of a net can't be measured: a worker died (out of memory?)")
                    if isinstance(message, Measured):
                        pool.release(message.task)
                        found[message.task.partition(" ")[0]].append(message.speed)
                        heard += 1
                        told("measuring speeds", heard / asked)
        finally:
            pool.kill()
        speeds = {key: _together(values) for key, values in found.items()}
        self._keep(speeds)
        return speeds

    def _keep(self, speeds: Mapping[str, Speed]) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{self._path}.lock"):
                everything = {**self.known(), **speeds}
                partial = self._path.with_suffix(".partial")
                partial.write_text(json.dumps({key: asdict(speed) for key, speed in everything.items()}))
                partial.replace(self._path)
        except OSError:
            pass  # they will be measured again


def _together(speeds: list[Speed]) -> Speed:
    """Return the mean times, the most memory, and the least room for it."""
    times = ("step", "joined", "image", "exact", "start")
    means = {part: statistics.fmean(getattr(one, part) for one in speeds) for part in times}
    memory = {part: max(getattr(one, part) for one in speeds) for part in ("memory", "gpu")}
    return Speed(**means, **memory, room=min(one.room for one in speeds))
