import pytest

from study.errors import StudyError
from study.launch.executors import devices
from study.launch.executors.devices import Workforce, choose_workforce


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
        (0, 4, "auto", None, 99, Workforce(["cpu"] * 4, 1)),
        (0, 4, "auto", None, 3, Workforce(["cpu"] * 3, 1)),  # no more workers than runs
        (0, 4, "cpu", 2, 99, Workforce(["cpu"] * 2, 1)),  # one thread, whatever the workers: results don't change
        (2, 8, "auto", None, 99, Workforce(["cuda:0", "cuda:1"], 4)),
        (2, 8, "cuda", 4, 99, Workforce(["cuda:0", "cuda:1"] * 2, 2)),
        (2, 8, "cuda:1", 2, 99, Workforce(["cuda:1"] * 2, 4)),
        (2, 8, "cpu", None, 99, Workforce(["cpu"] * 8, 1)),
    ],
)
def test_who_works_where(machine, gpus, cores, device, workers, runs, expected) -> None:
    machine(gpus, cores)
    assert choose_workforce(device, workers, runs) == expected


@pytest.mark.parametrize(
    ("gpus", "device", "workers", "runs", "each", "expected"),
    [
        (8, "auto", None, 99, 4, Workforce(["cuda:0+cuda:1+cuda:2+cuda:3", "cuda:4+cuda:5+cuda:6+cuda:7"], 2)),
        (8, "auto", None, 1, 4, Workforce(["cuda:0+cuda:1+cuda:2+cuda:3"], 4)),  # threads for four ranks
        (8, "cuda", 9, 99, 4, Workforce(["cuda:0+cuda:1+cuda:2+cuda:3", "cuda:4+cuda:5+cuda:6+cuda:7"], 2)),
        (3, "auto", None, 99, 2, Workforce(["cuda:0+cuda:1"], 8)),  # one is left over
        (8, "cpu", None, 99, 4, Workforce(["cpu+cpu+cpu+cpu"] * 4, 1)),  # of 16 cores
        (0, "auto", None, 99, 32, Workforce(["+".join(["cpu"] * 32)], 1)),  # slow, but the same
        (0, "auto", 3, 99, 2, Workforce(["cpu+cpu"] * 3, 1)),
    ],
)
def test_runs_over_several(machine, gpus, device, workers, runs, each, expected) -> None:
    machine(gpus, 16)
    assert choose_workforce(device, workers, runs, gpus_per_run=each) == expected


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
        choose_workforce(device, None, 1, gpus_per_run=4)
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
        choose_workforce(device, None, 1)
