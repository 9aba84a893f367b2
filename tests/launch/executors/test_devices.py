import pytest
import torch

from study.config import DatasetSpec, Recipe, RunSpec
from study.errors import StudyError
from study.launch.executors import devices
from study.launch.executors.base import Hardware
from study.launch.executors.devices import Workers, choose_workers, replicas_for, share_of_card
from study.launch.plan.cells import DataFacts
from study.train import Speed


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch):
    """Make believe in GPUs and cores."""

    def make(gpus: int, cores: int) -> None:
        monkeypatch.setattr(devices.torch.cuda, "device_count", lambda: gpus)
        monkeypatch.setattr(devices, "available_cores", lambda: cores)

    return make


@pytest.mark.parametrize(
    ("gpus", "cores", "device", "workers", "runs", "expected"),
    [
        (0, 4, "auto", None, 99, Workers([("cpu",)] * 4, 1)),
        (0, 4, "auto", None, 3, Workers([("cpu",)] * 3, 1)),  # no more workers than runs
        (0, 4, "cpu", 2, 99, Workers([("cpu",)] * 2, 1)),  # one thread, whatever the workers: results don't change
        (2, 8, "auto", None, 99, Workers([("cuda:0",), ("cuda:1",)], 4)),
        (2, 8, "cuda", 4, 99, Workers([("cuda:0",), ("cuda:1",)] * 2, 2, None, 2)),
        (2, 8, "cuda:1", 2, 99, Workers([("cuda:1",)] * 2, 4, None, 2)),
        (2, 8, "cpu", None, 99, Workers([("cpu",)] * 8, 1)),
    ],
)
def test_who_works_where(machine, gpus, cores, device, workers, runs, expected) -> None:
    machine(gpus, cores)
    assert choose_workers(Hardware(device, workers), runs) == expected


@pytest.mark.parametrize(
    ("gpus", "device", "workers", "runs", "each", "expected"),
    [
        (
            8,
            "auto",
            None,
            99,
            4,
            Workers([("cuda:0", "cuda:1", "cuda:2", "cuda:3"), ("cuda:4", "cuda:5", "cuda:6", "cuda:7")], 2),
        ),
        (8, "auto", None, 1, 4, Workers([("cuda:0", "cuda:1", "cuda:2", "cuda:3")], 4)),  # threads for four ranks
        (
            8,
            "cuda",
            9,
            99,
            4,
            Workers([("cuda:0", "cuda:1", "cuda:2", "cuda:3"), ("cuda:4", "cuda:5", "cuda:6", "cuda:7")], 2),
        ),
        (3, "auto", None, 99, 2, Workers([("cuda:0", "cuda:1")], 8)),  # one is left over
        (8, "cpu", None, 99, 4, Workers([("cpu", "cpu", "cpu", "cpu")] * 4, 1)),  # of 16 cores
        (0, "auto", None, 99, 32, Workers([("cpu",) * 32], 1)),  # slow, but the same
        (0, "auto", 3, 99, 2, Workers([("cpu", "cpu")] * 3, 1)),
    ],
)
def test_runs_over_several(machine, gpus, device, workers, runs, each, expected) -> None:
    machine(gpus, 16)
    assert choose_workers(Hardware(device, workers), runs, gpus_per_run=each) == expected


@pytest.mark.parametrize(
    ("gpus", "device", "there"),
    [(2, "auto", "this machine has 2 that PyTorch can use"), (8, "cuda:3", "--device cuda:3 is one")],
)
def test_too_few_gpus_for_a_run(machine, gpus, device, there) -> None:
    machine(gpus, 16)
    expected = (
        f"'gpus_per_run: 4' needs 4 GPUs, and {there}: ask for fewer in the recipe, or try it out with --device cpu"
    )
    with pytest.raises(StudyError) as caught:
        choose_workers(Hardware(device), 1, gpus_per_run=4)
    assert str(caught.value) == expected


@pytest.mark.parametrize(
    ("gpus", "device", "message"),
    [
        (0, "cuda", "this machine has no GPUs that PyTorch can use"),
        (1, "cuda:1", "this machine has 1 GPU that PyTorch can use"),
        (1, "tpu", "there are auto, cpu, cuda and cuda:N"),
        (1, "cuda:x", "there are auto, cpu, cuda and cuda:N"),
    ],
)
def test_devices_that_are_not_there(machine, gpus, device, message) -> None:
    machine(gpus, 4)
    with pytest.raises(StudyError, match=message):
        choose_workers(Hardware(device), 1)


def facts(side: int) -> DataFacts:
    return DataFacts("f", train_images=1000, test_images=100, classes=10, image_shape=(1, side, side))


def spec(precision: str = "auto", architecture: str = "plain", depth: int = 8, **recipe_: int) -> RunSpec:
    recipe = Recipe(epochs=1, precision=precision, **recipe_)  # type: ignore[arg-type]
    return RunSpec(dataset=DatasetSpec(name="digits"), architecture=architecture, depth=depth, recipe=recipe, seed=0)  # type: ignore[arg-type]


CPU, GPU = Workers([("cpu",)], 1), Workers([("cuda:0",)], 1)


@pytest.mark.parametrize(
    ("given", "workers", "side", "expected"),
    [
        (spec("bf16"), CPU, 8, 2),
        (spec("bf16"), CPU, 32, 1),  # no faster there
        (spec("fp32"), CPU, 8, 1),  # to the last bit
        (spec("bf16"), GPU, 32, 4),
        (spec("fp32", deterministic=True), GPU, 32, 4),  # each keeps the bits it has alone
        (spec("bf16", deterministic=True), GPU._replace(replicas=2), 224, 2),
        (spec("bf16"), GPU, 224, 1),  # one fills the GPU
        (spec("bf16", "vgg", 16), GPU, 32, 1),
        (spec("bf16", gpus_per_run=2), Workers([("cuda:0", "cuda:1")], 1), 32, 1),
        (spec("bf16", "vgg", 16), CPU, 8, 1),
        (spec("fp32"), CPU._replace(replicas=4), 32, 4),
        (spec("bf16"), CPU._replace(replicas=1), 8, 1),
        (spec("bf16", gpus_per_run=2), CPU._replace(replicas=4), 8, 1),
        (spec("bf16"), Workers([("cpu", "cpu")], 1), 8, 2),
        (spec("bf16", deterministic=True), CPU._replace(replicas=4), 8, 1),  # beside others, to rounding alone
    ],
)
def test_replicas(given: RunSpec, workers: Workers, side: int, expected: int) -> None:
    assert replicas_for(given, workers, facts(side)) == expected


@pytest.mark.parametrize(("gpu", "room", "expected"), [(10_000, 80_000, 4), (30_000, 80_000, 2), (90_000, 80_000, 1)])
def test_no_more_go_on_a_gpu_than_it_has_memory_for(gpu: float, room: float, expected: int) -> None:
    speed = Speed(1, 1, 1, 1, 1, 500, gpu=gpu, room=room)
    assert replicas_for(spec("bf16"), GPU, facts(32), speed) == expected
    assert replicas_for(spec("bf16"), GPU._replace(replicas=8), facts(32), speed) == 8  # as asked for


@pytest.mark.parametrize(
    ("workers", "gpu", "replicas", "together"),
    [
        (2, 10_000, 2, 4),  # four are as fast as eight, whoever trains them
        (2, 30_000, 1, 2),
        (3, 30_000, 1, 2),  # a worker waits
        (2, 20_000, 2, 3),
        (8, 1_000, 1, 8),  # each of those asked for has a run
    ],
)
def test_workers_of_a_gpu_share_its_memory_and_its_runs(workers: int, gpu: float, replicas: int, together: int) -> None:
    speed = Speed(1, 1, 1, 1, 1, 500, gpu=gpu, room=80_000)
    sharing = Workers([("cuda:0",)] * workers, 1, per_card=workers)
    assert replicas_for(spec("bf16"), sharing, facts(32), speed) == replicas
    assert share_of_card(spec("bf16"), sharing, facts(32), speed) == pytest.approx(1 / together)


def test_a_processor_is_shared_without_a_limit() -> None:
    assert share_of_card(spec("bf16"), CPU, facts(32)) == 0


@pytest.mark.parametrize(("has", "expected"), [(True, 2), (False, 1)])
def test_auto_follows_the_processor(has: bool, expected: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: has)
    assert replicas_for(spec("auto"), CPU, facts(8)) == expected


def test_replicas_as_asked_for() -> None:
    assert choose_workers(Hardware("cpu", 2), 10).replicas is None
    assert choose_workers(Hardware("cpu", 2, 3), 10).replicas == 3
