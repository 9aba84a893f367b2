import time
from pathlib import Path

import pytest
import torch

from study.config import DatasetSpec, Recipe, RunSpec
from study.data import Dataset, load_dataset
from study.events import Diverged, Epoch, Event, Finished
from study.train import CheckpointPlan, Step, Stepper, load_checkpoint, run, run_steps
from study.train import stepper as module

CPU = torch.device("cpu")
DATA = DatasetSpec(name="digits", train_limit=400, test_limit=100)


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load_dataset(DATA)


def make_spec(architecture: str, seed: int, **recipe: object) -> RunSpec:
    fields = {"iterations": 6, "evaluate_every": 2, "batch_size": 64, "lr": 0.02, "precision": "fp32"} | recipe
    return RunSpec(dataset=DATA, architecture=architecture, depth=8, recipe=Recipe(**fields), seed=seed)  # type: ignore[arg-type]


def train_together(
    specs: list[RunSpec], data: Dataset, folder: Path, late: int = 0, device: torch.device = CPU
) -> list[list[Event]]:
    """Train these at once; the last begins `late` iterations after the others."""
    courses = [
        run_steps(spec, data, device, CheckpointPlan(folder / f"{i}.pt", every_seconds=0))
        for i, spec in enumerate(specs)
    ]
    events: list[list[Event]] = [[] for _ in specs]
    stepper, left, turn = Stepper(device), set(range(len(specs))), 0
    while left:
        steps = []
        for i in sorted(left):
            if i == len(specs) - 1 and turn < late:
                continue
            for happened in courses[i]:
                if isinstance(happened, Step):
                    steps.append(happened)
                    break
                events[i].append(happened)
            else:
                left.remove(i)
        assert stepper.take(steps) == []
        turn += 1
    return events


def figures(events: list[Event]) -> list[float]:
    points = [value for e in events if isinstance(e, Epoch) for value in (e.train_loss, e.test_loss)]
    return points + [e.final_train_loss for e in events if isinstance(e, Finished)]


@pytest.mark.parametrize("late", [0, 3])
def test_curves_are_those_of_each_run_alone(digits: Dataset, tmp_path: Path, late: int) -> None:
    specs = [
        make_spec("residual", 0, augment="crop-flip"),
        make_spec("residual", 1, augment="crop-flip", lr=0.005),
        make_spec("residual", 2, augment="crop-flip", schedule="cosine"),
    ]
    found = train_together(specs, digits, tmp_path, late)
    for i, spec in enumerate(specs):
        alone = list(run(spec, digits, CPU, CheckpointPlan(tmp_path / f"alone-{i}.pt")))
        assert figures(found[i]) == pytest.approx(figures(alone), rel=2e-3)
        assert [type(e) for e in found[i] if not isinstance(e, Step)][-1] is Finished
        mine, other = (load_checkpoint(tmp_path / f"{name}.pt", CPU) for name in (i, f"alone-{i}"))
        assert mine is not None
        assert other is not None
        for key, value in other["net"].items():
            torch.testing.assert_close(mine["net"][key], value, atol=2e-2, rtol=2e-2)
            assert mine["net"][key].untyped_storage().nbytes() == mine["net"][key].nbytes  # nothing of the others


def test_only_what_is_alike_is_joined(digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plain net has its residual twin's parameters, and isn't it; a bf16 run isn't one in 32-bit floats."""
    joined = []
    real = module.join
    monkeypatch.setattr(module, "join", lambda nets: joined.append(len(nets)) or real(nets))
    specs = [
        make_spec("plain", 0),
        make_spec("residual", 0),
        make_spec("plain", 1, width=2.0),
        make_spec("plain", 1, batch_size=32),
        make_spec("plain", 1, precision="bf16"),
    ]
    train_together(specs, digits, tmp_path)
    assert joined == []
    train_together([*specs, make_spec("plain", 3)], digits, tmp_path / "again")
    assert joined == [2]  # once, and kept


def test_a_diverged_run_leaves_its_partner_alone(digits: Dataset, tmp_path: Path) -> None:
    specs = [make_spec("plain", 0, lr=1e30), make_spec("plain", 1)]
    bad, good = train_together(specs, digits, tmp_path)
    assert isinstance(bad[-1], Diverged)
    alone = list(run(specs[1], digits, CPU, CheckpointPlan(tmp_path / "alone.pt")))
    assert figures(good) == pytest.approx(figures(alone), rel=2e-3)


def test_bf16_runs_are_joined_too(digits: Dataset, tmp_path: Path) -> None:
    specs = [make_spec("residual", seed, precision="bf16") for seed in (0, 1)]
    for i, events in enumerate(train_together(specs, digits, tmp_path)):
        alone = list(run(specs[i], digits, CPU, CheckpointPlan(tmp_path / f"alone-{i}.pt")))
        assert figures(events) == pytest.approx(figures(alone), rel=0.1)


@pytest.mark.usefixtures("nets_with_dropout")
def test_dropout_beside_another_is_that_of_the_run_alone(digits: Dataset, tmp_path: Path) -> None:
    """PyTorch's generator is the process's: it must be seeded for a run after the others have taken their steps."""
    specs = [make_spec("plain", seed) for seed in (0, 1)]
    found = train_together(specs, digits, tmp_path, late=2)
    for i, spec in enumerate(specs):
        alone = list(run(spec, digits, CPU, CheckpointPlan(tmp_path / f"alone-{i}.pt")))
        assert figures(found[i]) == figures(alone)


def test_time_is_shared(digits: Dataset, tmp_path: Path) -> None:
    """Images a second of runs together are those of the machine, not each counted as if it had it alone."""
    one = train_together([make_spec("plain", 0, iterations=12, evaluate_every=12)], digits, tmp_path / "one")
    two = train_together(
        [make_spec("plain", s, iterations=12, evaluate_every=12) for s in range(4)], digits, tmp_path / "four"
    )
    alone = next(e for e in one[0] if isinstance(e, Epoch)).images_per_second
    speeds = [next(e for e in events if isinstance(e, Epoch)).images_per_second for events in two]
    assert max(speeds) < 3 * min(speeds)
    assert sum(speeds) > 0.3 * alone


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_curves_on_a_gpu_are_those_of_each_run_alone(digits: Dataset, tmp_path: Path, precision: str) -> None:
    gpu = torch.device("cuda")
    there = digits.to(gpu)
    specs = [make_spec("residual", seed, precision=precision) for seed in (0, 1)]
    for i, events in enumerate(train_together(specs, there, tmp_path, device=gpu)):
        alone = list(run(specs[i], there, gpu, CheckpointPlan(tmp_path / f"alone-{i}.pt")))
        assert figures(events) == pytest.approx(figures(alone), rel=0.02 if precision == "fp32" else 0.1)


def test_a_runs_time_holds_no_other_runs_time(digits: Dataset, tmp_path: Path) -> None:
    specs = [make_spec("plain", 0), make_spec("plain", 1), make_spec("residual", 0)]  # two joined, one beside them
    began = time.monotonic()
    together = train_together(specs, digits, tmp_path)
    seconds = [event.seconds for events in together for event in events if isinstance(event, Finished)]
    assert len(seconds) == len(specs)
    assert 0 < sum(seconds) <= time.monotonic() - began
