import pytest

from study.errors import StudyError
from study.launch import devices
from study.launch.devices import Workforce, choose_workforce


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch):
    """Make believe in GPUs and cores."""

    def make(gpus: int, cores: int) -> None:
        monkeypatch.setattr(devices.torch.cuda, "device_count", lambda: gpus)
        monkeypatch.setattr(devices, "cores", lambda: cores)

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
