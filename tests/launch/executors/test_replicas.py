import pytest
import torch

from study.config import DatasetSpec, Recipe, RunSpec
from study.launch.executors.devices import Workforce, choose_workforce
from study.launch.executors.replicas import replicas_of
from study.launch.plan.cells import DataFacts
from study.train import Speed


def facts(side: int) -> DataFacts:
    return DataFacts("f", train_images=1000, test_images=100, classes=10, image_shape=(1, side, side))


def spec(precision: str = "auto", architecture: str = "plain", depth: int = 8, **recipe_: int) -> RunSpec:
    recipe = Recipe(epochs=1, precision=precision, **recipe_)  # type: ignore[arg-type]
    return RunSpec(dataset=DatasetSpec(name="digits"), architecture=architecture, depth=depth, recipe=recipe, seed=0)  # type: ignore[arg-type]


CPU, GPU = Workforce(["cpu"], 1), Workforce(["cuda:0"], 1)


@pytest.mark.parametrize(
    ("given", "force", "side", "expected"),
    [
        (spec("bf16"), CPU, 8, 2),
        (spec("bf16"), CPU, 32, 1),  # no faster there
        (spec("fp32"), CPU, 8, 1),  # to the last bit
        (spec("bf16"), GPU, 32, 4),
        (spec("fp32", deterministic=True), GPU, 32, 4),  # each keeps the bits it has alone
        (spec("bf16", deterministic=True), GPU._replace(replicas=2), 224, 2),
        (spec("bf16"), GPU, 224, 1),  # one fills the GPU
        (spec("bf16", "vgg", 16), GPU, 32, 1),
        (spec("bf16", gpus_per_run=2), Workforce(["cuda:0+cuda:1"], 1), 32, 1),
        (spec("bf16", "vgg", 16), CPU, 8, 1),
        (spec("fp32"), CPU._replace(replicas=4), 32, 4),
        (spec("bf16"), CPU._replace(replicas=1), 8, 1),
        (spec("bf16", gpus_per_run=2), CPU._replace(replicas=4), 8, 1),
        (spec("bf16"), Workforce(["cpu+cpu"], 1), 8, 2),
        (spec("bf16", deterministic=True), CPU._replace(replicas=4), 8, 1),  # beside others, to rounding alone
    ],
)
def test_replicas(given: RunSpec, force: Workforce, side: int, expected: int) -> None:
    assert replicas_of(given, force, facts(side)) == expected


@pytest.mark.parametrize(("gpu", "room", "expected"), [(10_000, 80_000, 4), (30_000, 80_000, 2), (90_000, 80_000, 1)])
def test_no_more_go_on_a_gpu_than_it_has_memory_for(gpu: float, room: float, expected: int) -> None:
    speed = Speed(1, 1, 1, 1, 1, 500, gpu=gpu, room=room)
    assert replicas_of(spec("bf16"), GPU, facts(32), speed) == expected
    assert replicas_of(spec("bf16"), GPU._replace(replicas=8), facts(32), speed) == 8  # as asked for


@pytest.mark.parametrize(("has", "expected"), [(True, 2), (False, 1)])
def test_auto_follows_the_processor(has: bool, expected: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: has)
    assert replicas_of(spec("auto"), CPU, facts(8)) == expected


def test_a_wish_reaches_the_workforce() -> None:
    assert choose_workforce("cpu", 2, 10).replicas is None
    assert choose_workforce("cpu", 2, 10, 3).replicas == 3
