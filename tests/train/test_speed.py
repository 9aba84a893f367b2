import pytest
import torch

from study.config import DatasetSpec, Recipe, RunSpec
from study.data import load_dataset
from study.train import measure_speed
from study.train import speed as module


@pytest.mark.parametrize(("net", "replicas"), [(("residual", 8), 2), (("plain", 8), 1)])
def test_speeds_are_of_a_run(net: tuple[str, int], replicas: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SECONDS", 0.05)
    data = DatasetSpec(name="digits", train_limit=200, test_limit=100)
    recipe = Recipe(epochs=1, batch_size=64, augment="crop-flip", lr=0.1)
    spec = RunSpec(dataset=data, architecture=net[0], depth=net[1], recipe=recipe, seed=0)  # type: ignore[arg-type]
    state = torch.get_rng_state()
    speed = measure_speed(spec, load_dataset(data), torch.device("cpu"), replicas)
    assert all(value > 0 for value in (speed.step, speed.joined, speed.image, speed.start, speed.memory))
    assert speed.image < speed.step  # one image, forward, against 64 and backward too
    assert (speed.joined == speed.step) == (replicas == 1)
    assert torch.equal(torch.get_rng_state(), state)


def test_the_part_of_one_gpu_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = []
    monkeypatch.setattr(
        module, "_measure", lambda spec, *_: shapes.append(spec.recipe) or module.Speed(1, 2, 3, 4, 5, 6)
    )
    recipe = Recipe(epochs=1, batch_size=64, lr=0.1, gpus_per_run=4)
    data = DatasetSpec(name="digits")
    spec = RunSpec(dataset=data, architecture="plain", depth=8, recipe=recipe, seed=0)
    speed = measure_speed(spec, None, torch.device("cpu"))  # type: ignore[arg-type]
    assert [(one.batch_size, one.gpus_per_run) for one in shapes] == [(16, 1)]
    assert speed == module.Speed(1, 2, 0.75, 4, 5, 24)  # evaluations are shared out, and each has memory of its own
