"""Equal seeds give equal bits: what `deterministic` switches on, for how long, and what it does to a run."""

import os
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from study.config import Recipe, RunSpec
from study.data import Dataset
from study.errors import StudyError
from study.events import Epoch, Event, Finished, Interrupted
from study.train import CheckpointPlan, Step, Stepper, arithmetic, load_checkpoint, run, run_steps, settle_cublas
from study.train.step import take_step
from tests.train.child import begin, course
from tests.train.conftest import DATA

CPU = torch.device("cpu")
GPU = torch.device("cuda")

pytestmark = pytest.mark.usefixtures("one_thread")
needs_forks = pytest.mark.skipif(sys.platform != "linux", reason="needs forks")


def make_spec(seed: int = 0, **recipe: Any) -> RunSpec:
    fields = {"iterations": 12, "evaluate_every": 4, "batch_size": 64, "lr": 0.05, "precision": "fp32"} | recipe
    return RunSpec(dataset=DATA, architecture="residual", depth=8, recipe=Recipe(**fields), seed=seed)


def losses(events: list[Event]) -> list[float]:
    points = [loss for e in events if isinstance(e, Epoch) for loss in (e.train_loss, e.test_loss)]
    return points + [e.final_train_loss for e in events if isinstance(e, Finished)]


@pytest.mark.parametrize("recipe", [{"augment": "crop-flip"}, {"augment": "imagenet"}, {"precision": "bf16"}], ids=str)
def test_on_a_cpu_it_changes_no_bit(digits: Dataset, tmp_path: Path, recipe: dict[str, str]) -> None:
    found = []
    for asked in (False, True):
        path = tmp_path / f"{asked}.pt"
        events = list(run(make_spec(deterministic=asked, **recipe), digits, CPU, CheckpointPlan(path)))
        saved = load_checkpoint(path, CPU)
        assert saved is not None
        found.append((losses(events), saved["net"]))
    assert len(found[0][0]) == 7  # three points of two losses, and the end
    assert found[0][0] == found[1][0]
    assert all(torch.equal(value, found[1][1][name]) for name, value in found[0][1].items())


def test_it_holds_while_its_run_computes_and_not_for_others(digits: Dataset, tmp_path: Path) -> None:
    """A worker does several runs, also in turns."""
    modes: dict[bool, set[int]] = {True: set(), False: set()}
    courses = {}
    for asked in modes:
        courses[asked] = run_steps(
            make_spec(deterministic=asked), digits, CPU, CheckpointPlan(tmp_path / f"{asked}.pt")
        )
    for _ in range(5):
        for asked, one in courses.items():
            step = next(happened for happened in one if isinstance(happened, Step))

            def watch(module: nn.Module, inputs: Any, asked: bool = asked) -> None:
                modes[asked].add(torch.get_deterministic_debug_mode())

            step.state.net.register_forward_pre_hook(watch)  # is there for the evaluation too
            assert torch.get_deterministic_debug_mode() == 0
            take_step(step)
            assert torch.get_deterministic_debug_mode() == 0
    assert modes == {True: {2}, False: {0}}


def test_what_was_set_before_is_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    conv: Any = torch.backends.cudnn.conv  # type: ignore[attr-defined]
    before = conv.fp32_precision, torch.backends.cuda.matmul.fp32_precision
    assert before[0] == "tf32"  # PyTorch's default, which isn't 32 bits

    def compute() -> None:
        with arithmetic(GPU, deterministic=True):
            assert torch.are_deterministic_algorithms_enabled()
            assert (torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark) == (True, False)
            assert (conv.fp32_precision, torch.backends.cuda.matmul.fp32_precision) == ("ieee", "ieee")
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        compute()
    assert not torch.are_deterministic_algorithms_enabled()
    assert (torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark) == (False, True)
    assert (conv.fp32_precision, torch.backends.cuda.matmul.fp32_precision) == before


@pytest.mark.parametrize("users", [True, False])
def test_new_memory_is_not_filled(monkeypatch: pytest.MonkeyPatch, users: bool) -> None:
    """Filling it would be a kernel more for each new tensor; a user's own setting stands outside."""
    monkeypatch.setattr(torch.utils.deterministic, "fill_uninitialized_memory", users)

    def compute() -> None:
        with arithmetic(CPU, deterministic=True):
            assert not torch.utils.deterministic.fill_uninitialized_memory
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        compute()
    assert torch.utils.deterministic.fill_uninitialized_memory is users


def test_an_operation_that_is_not_deterministic_is_named(
    digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Putting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(64, 10)

        def forward(self, images: Tensor) -> Tensor:
            scores: Tensor = self.linear(images.flatten(1))
            return scores.put(torch.tensor([0]), torch.zeros(1))

    monkeypatch.setattr("study.train.state.build_net", lambda *_, **__: Putting())
    assert list(run(make_spec(iterations=1), digits, CPU, CheckpointPlan(tmp_path / "a.pt")))
    with pytest.raises(StudyError, match="'put_' has no deterministic form on this device: leave out 'deterministic'"):
        list(run(make_spec(iterations=1, deterministic=True), digits, CPU, CheckpointPlan(tmp_path / "b.pt")))


def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(RuntimeError, match="size of tensor"), arithmetic(CPU, deterministic=True):
        torch.zeros(2) + torch.zeros(3)


def test_runs_given_together_have_the_bits_they_have_alone(digits: Dataset, tmp_path: Path) -> None:
    specs = [make_spec(seed, deterministic=True, precision="bf16") for seed in (0, 1)]
    alone = [losses(list(run(spec, digits, CPU, CheckpointPlan(tmp_path / f"{spec.seed}.pt")))) for spec in specs]
    courses = [run_steps(spec, digits, CPU, CheckpointPlan(tmp_path / f"t{spec.seed}.pt")) for spec in specs]
    stepper, events = Stepper(CPU), [[], []]  # type: tuple[Stepper, list[list[Event]]]
    for _ in range(13):
        steps = []
        for mine, one in zip(events, courses, strict=True):
            for happened in one:
                if isinstance(happened, Step):
                    steps.append(happened)
                    break
                mine.append(happened)
        assert stepper.take(steps) == []
    assert [losses(mine) for mine in events] == alone


def test_one_in_bfloat16_that_was_stopped_goes_on_bit_for_bit(digits: Dataset, tmp_path: Path) -> None:
    spec = make_spec(deterministic=True, precision="bf16", augment="crop-flip")
    whole = losses(list(run(spec, digits, CPU, CheckpointPlan(tmp_path / "whole.pt"))))
    asked = iter([False] * 5 + [True])
    first = list(run(spec, digits, CPU, CheckpointPlan(tmp_path / "c.pt"), stop=lambda: next(asked)))
    second = list(run(spec, digits, CPU, CheckpointPlan(tmp_path / "c.pt")))
    assert isinstance(first[-1], Interrupted)
    assert losses(first + second) == whole


def test_a_users_own_setting_of_cublas_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    settle_cublas()
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":16:8"
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")
    settle_cublas()
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"


def in_a_process(spec: RunSpec, path: Path, device: str) -> list[str]:
    with begin(spec, path, device) as process:
        out = process.communicate(timeout=300)[0].splitlines(keepends=True)
    assert process.returncode == 0
    return list(out[:-1])  # the last is the program's version


@needs_forks
def test_two_processes_give_equal_bits(tmp_path: Path) -> None:
    spec = make_spec(augment="crop-flip")
    here = list(course(spec, tmp_path / "a.pt", CPU))
    assert "final_train_error" in "".join(here)
    assert "conv1.weight" in "".join(here)
    assert in_a_process(spec, tmp_path / "b.pt", "cpu") == here


@needs_forks
@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("augment", ["crop-flip", "imagenet"])
def test_two_processes_give_equal_bits_on_a_gpu(tmp_path: Path, precision: str, augment: str) -> None:
    spec = make_spec(iterations=60, deterministic=True, precision=precision, augment=augment)
    first = in_a_process(spec, tmp_path / "a.pt", "cuda")
    assert "conv1.weight" in "".join(first)
    assert in_a_process(spec, tmp_path / "b.pt", "cuda") == first
