"""Workers that share a pretended GPU: what they do at once fits into its memory, also after it was full."""

from collections.abc import Iterator
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import pytest
import torch

from study.config import DatasetSpec, Recipe, RunSpec
from study.data import Dataset, load_dataset, place
from study.errors import StudyError
from study.launch import estimate as benchmark
from study.launch.estimate import SpeedCache
from study.launch.executors.base import Devices, Executor, Exit
from study.launch.executors.devices import Workers, replicas_for, share_of_card
from study.launch.messages import BenchmarkResult, BenchmarkTask, Ready
from study.launch.plan.cells import DataFacts
from study.launch.scheduler.worker_pool import WorkerPool
from study.launch.worker.failure import Failure
from study.train import Speed, measure_speed
from study.train import speed as speed_module
from tests.gpu.pretended import GPU, pretended_gpu

pytestmark = pytest.mark.usefixtures("one_thread")

MIB = 2**20
CONTEXT, IMAGES = 100, 50
"""MiB that each worker holds beside its runs."""
DATA = DatasetSpec(name="digits", train_limit=110, test_limit=30)
FACTS = DataFacts("f", train_images=110, test_images=30, classes=10, image_shape=(1, 8, 8))
SPEC = RunSpec(
    dataset=DATA,
    architecture="residual",
    depth=8,
    recipe=Recipe(iterations=6, batch_size=32, lr=0.02, width=0.25, precision="fp32"),
    seed=0,
)
FULL = [  # CUDA's three ways to say that a GPU is full: PyTorch's allocator, the driver, a library
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    torch.AcceleratorError("CUDA error: out of memory"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
]


class Card:
    """The memory of a pretended GPU in MiB, and what the worker that is at work holds of it."""

    def __init__(self, total: int, run: int, full: Exception) -> None:
        self.total, self.run, self._full = total, run, full
        self.held: list[int] = []
        """By worker: images and runs, without its context."""
        self.peak = 0
        self.at_work = 0

    @property
    def free(self) -> int:
        return self.total - sum(self.held) - CONTEXT * len(self.held)

    def begin(self) -> None:
        """Take the memory of a run."""
        if self.free < self.run:
            raise self._full
        self.held[self.at_work] += self.run
        self.peak = max(self.peak, self.held[self.at_work])

    def release(self) -> None:
        """Give back what no run uses any more: between two measurements none is there."""
        self.held[self.at_work] = IMAGES

    def forget(self) -> None:
        """Reset the peak."""
        self.peak = self.held[self.at_work]


class Worker:
    """A worker on the card that measures a net as soon as it is sent one."""

    def __init__(self, card: Card, dataset: Dataset, devices: Devices) -> None:
        self.devices, self._card, self._dataset, self._number = devices, card, dataset, len(card.held)
        self._launcher, self._here = Pipe()
        card.held.append(0)
        self._here.send(Ready())

    @property
    def connection(self) -> Any:
        return self

    def __getattr__(self, name: str) -> Any:  # of a `Connection`
        return getattr(self._launcher, name)

    def send(self, task: BenchmarkTask) -> None:
        self._card.at_work = self._number
        self._card.held[self._number] = max(IMAGES, self._card.held[self._number])
        try:
            speed = measure_speed(task.spec, self._dataset, GPU, task.replicas)
            self._here.send(BenchmarkResult(task.task, speed, self.devices[0]))
        except Exception as error:
            self._here.send(Failure.of(task.task, error))

    def terminate(self) -> None:
        self._card.held[self._number] = -CONTEXT  # its process has ended

    kill = terminate

    def wait(self, seconds: float) -> Exit:
        return Exit(0, "")


class OnCard(Executor):
    """Starts such workers."""

    def __init__(self, card: Card, dataset: Dataset) -> None:
        self._card, self._dataset = card, dataset

    def start(self, devices: Devices) -> Any:
        return Worker(self._card, self._dataset, devices)

    def close(self) -> None:
        pass


@pytest.fixture
def on_gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("STUDY_CACHE", str(tmp_path))
    monkeypatch.setattr(speed_module, "SECONDS", 0.0)
    with pretended_gpu():
        yield


def put_in(card: Card, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the pretended GPU have the memory of a card, of which each run built takes its part."""
    build = speed_module._build
    monkeypatch.setattr(speed_module, "_build", lambda *given: (card.begin(), build(*given))[1])
    monkeypatch.setattr(torch.cuda, "empty_cache", card.release)
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda _: card.forget())
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _: card.held[card.at_work] * MIB)
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda _: card.peak * MIB)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (card.free * MIB, card.total * MIB))


def measured(card: Card, workers: Workers, monkeypatch: pytest.MonkeyPatch) -> Speed:
    """Return the speed that the launcher measures with these workers."""
    dataset = place(load_dataset(DATA), GPU)
    put_in(card, monkeypatch)
    monkeypatch.setattr(benchmark, "LocalExecutor", lambda *_: OnCard(card, dataset))
    return SpeedCache(workers, FACTS).measure({"net": SPEC}, lambda *_: None)["net"]


class OnCluster(OnCard):
    """Starts such workers, of which nobody knows who shares a card."""

    accept, _notify = Pipe(duplex=False)


def started(devices: list[Devices], replicas: int, executor: type[OnCard] = OnCard, per_card: int = 1) -> WorkerPool:
    """Return workers that never end a task."""
    card = Card(1000, 100, FULL[0])
    pool = WorkerPool(executor(card, None), devices, replicas, per_card)  # type: ignore[arg-type]
    while pool.free() < len(pool):
        assert list(pool.poll(1)) == []
    for slot in pool._slots:
        slot.send = lambda _: None  # type: ignore[method-assign]
    return pool


def begun(pool: WorkerPool, share: float) -> int:
    """Return how many runs a launcher begins at once."""
    count = 0
    while pool.free() and pool.room() >= share:
        pool.assign(BenchmarkTask(f"{count}", SPEC, 1), share=share)
        count += 1
    while partners := [task for task in pool.partners() if pool.room(task) >= share]:
        pool.assign(BenchmarkTask(f"{count}", SPEC, 1), partners[0], share)
        count += 1
    return count


@pytest.mark.usefixtures("on_gpu")
@pytest.mark.parametrize(
    ("workers", "total", "run", "together", "full"),
    [
        (2, 2000, 100, 4, FULL[0]),  # as many as are fastest
        (2, 1000, 200, 3, FULL[0]),  # 700 MiB for runs, beside two contexts and sets of images
        *((2, 600, 200, 1, full) for full in FULL),  # one of the workers waits
        (1, 700, 150, 3, FULL[0]),
    ],
)
def test_what_the_workers_of_a_card_do_at_once_fits(
    workers: int, total: int, run: int, together: int, full: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    card, force = Card(total, run, full), Workers([("cuda:0",)] * workers, 1, per_card=workers)
    speed = measured(card, force, monkeypatch)
    assert (speed.gpu, speed.room) == (run, total - workers * (CONTEXT + IMAGES))
    share, replicas = share_of_card(SPEC, force, FACTS, speed), replicas_for(SPEC, force, FACTS, speed)
    count = begun(started(force.devices, replicas), share)
    assert count == together
    assert count * run + workers * (CONTEXT + IMAGES) <= total


@pytest.mark.usefixtures("on_gpu")
@pytest.mark.parametrize("full", FULL)
def test_a_net_for_which_there_is_too_little_memory_is_an_error(
    full: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(StudyError, match="can't be measured"):
        measured(Card(500, 400, full), Workers([("cuda:0",)], 1), monkeypatch)


@pytest.mark.usefixtures("on_gpu")
def test_a_measurement_knows_nothing_of_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    card, dataset = Card(1000, 100, FULL[0]), place(load_dataset(DATA), GPU)
    card.held = [IMAGES]
    put_in(card, monkeypatch)
    larger = measure_speed(SPEC, dataset, GPU, 4).gpu
    card.run = 50
    assert (larger, measure_speed(SPEC, dataset, GPU).gpu) == (100, 50)


@pytest.mark.usefixtures("on_gpu")
def test_a_worker_ends_where_its_memory_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two workers, whose contexts and images leave too little for a run: one of them measures it."""
    force = Workers([("cuda:0",)] * 2, 1, per_card=2)
    speed = measured(Card(500, 300, FULL[0]), force, monkeypatch)
    assert (speed.gpu, speed.room, speed.fits) == (300, 350, 1)


def test_a_full_card_is_narrowed_one_run_at_a_time() -> None:
    pool = started([("cuda:0",), ("cuda:0",), ("cuda:1",)], 2)
    for task, beside in (("a", None), ("b", None), ("c", None), ("d", "a")):
        pool.assign(BenchmarkTask(task, SPEC, 1), beside, 0.25)
    assert (pool.room("a"), pool.room("b"), pool.room("c")) == (0.25, 0.75, 0.25)  # b has a card of its own
    assert pool.reduce_load("d", joined=True) == 2
    pool.release("d")
    assert (pool.room("a"), pool.room("b"), pool.room("c")) == (-1, 0.75, -1)
    assert pool.partners() == ["b"]
    assert pool.reduce_load("c", joined=False) == 1
    assert len(pool) == 2  # its worker has ended
    assert pool.reduce_load("b", joined=False) == 0  # it was alone
    assert pool.reduce_load("a", joined=False) == 1  # it was not
    assert pool.reduce_load("a", joined=False) == 0


@pytest.mark.parametrize(("per_card", "left"), [(1, 0.75), (2, 0.25), (4, 0.0)])
def test_a_worker_of_a_cluster_has_its_part_of_a_card(per_card: int, left: float) -> None:
    pool = started([("cuda:0",)] * 2, 4, OnCluster, per_card)
    pool.assign(BenchmarkTask("a", SPEC, 1), share=0.25)
    assert (pool.room("a"), pool.room()) == (left, 1)
    pool.assign(BenchmarkTask("b", SPEC, 1), share=1.0)  # a net that fills a card
    assert pool.room("b") <= 0
    # A whole card is the worker's alone; of a part, others may hold the rest.
    assert pool.reduce_load("a", joined=False) == (0 if per_card == 1 else 1)
    assert len(pool) == (2 if per_card == 1 else 1)
