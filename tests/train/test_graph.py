"""Steps that are replayed: on a CPU by a recorder in place of a CUDA graph, on a GPU by a real one."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest
import torch

from study.config import DatasetSpec, Recipe, RunSpec
from study.data import Dataset, load_dataset
from study.events import Diverged, Epoch, Event, Finished, Interrupted
from study.train import CheckpointPlan, Stepper, load_checkpoint, run
from study.train import graph as graph_module
from study.train.graph import WARM_STEPS
from study.train.state import RunState, build_state
from study.train.step import Step, prepare
from study.train.stream import on_stream, own_stream
from tests.gpu.recorder import Recorder
from tests.gpu.sync import never_waited_for
from tests.train.test_stepper import train_together

CPU, GPU = torch.device("cpu"), torch.device("cuda")
DATA = DatasetSpec(name="digits", train_limit=300, test_limit=100)
run_module = import_module("study.train.run")  # the package has a function of this name
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


class Counted(Recorder):
    """Counts graphs."""

    made = 0

    def __init__(self) -> None:
        super().__init__()
        Counted.made += 1


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load_dataset(DATA)


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replay the steps of runs on a CPU."""

    def build(*given: object) -> RunState:
        state = build_state(*given)  # type: ignore[arg-type]
        state.replays, state.can_join = True, False
        return state

    Counted.made = 0
    monkeypatch.setattr(run_module, "build_state", build)
    monkeypatch.setattr(graph_module, "CudaGraph", Counted)


def make_spec(seed: int = 0, depth: int = 8, **recipe: object) -> RunSpec:
    fields = {"iterations": 14, "evaluate_every": 5, "batch_size": 64, "lr": 0.02, "precision": "fp32"} | recipe
    return RunSpec(dataset=DATA, architecture="residual", depth=depth, recipe=Recipe(**fields), seed=seed)  # type: ignore[arg-type]


def outcome(events: list[Event], path: Path, device: torch.device = CPU) -> list[object]:
    """Return what must not depend on how steps are taken: curve, final figures, weights, momentum."""
    saved = load_checkpoint(path, device)
    assert saved is not None
    points = [(e.step, e.lr, e.train_loss, e.train_error, e.test_loss) for e in events if isinstance(e, Epoch)]
    end = [(e.final_train_loss, e.final_test_error) for e in events if isinstance(e, Finished)]
    momenta = [value["momentum_buffer"].tolist() for value in saved["optimizer"]["state"].values()]
    rate = [group["lr"] for group in saved["optimizer"]["param_groups"]]
    return [points, end, {name: value.tolist() for name, value in saved["net"].items()}, momenta, rate]


RECIPES: list[dict[str, object]] = [
    {},
    {"augment": "crop-flip", "schedule": "cosine", "warmup": 4, "warmup_shape": "linear"},
    {"precision": "bf16", "nesterov": True, "deterministic": True},
    {"augment": "crop-flip", "normalize": "pixel-mean", "milestones": [0.3, 0.6], "batch_norm": "none"},
]


@pytest.mark.parametrize("recipe", RECIPES, ids=str)
@pytest.mark.usefixtures("recorded")
def test_replays_give_the_bits_of_eager_steps(digits: Dataset, tmp_path: Path, recipe: dict[str, object]) -> None:
    spec = make_spec(**recipe)
    replayed = list(run(spec, digits, CPU, CheckpointPlan(tmp_path / "replayed.pt")))
    assert Counted.made == 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_module, "build_state", build_state)
        eager = list(run(spec, digits, CPU, CheckpointPlan(tmp_path / "eager.pt")))
    assert Counted.made == 1
    assert outcome(replayed, tmp_path / "replayed.pt") == outcome(eager, tmp_path / "eager.pt")


@pytest.mark.usefixtures("recorded")
def test_a_run_stopped_within_an_epoch_goes_on_to_the_same_bits(digits: Dataset, tmp_path: Path) -> None:
    spec = make_spec(augment="crop-flip", schedule="cosine")
    whole = list(run(spec, digits, CPU, CheckpointPlan(tmp_path / "whole.pt")))
    asked = iter([False] * 8 + [True])
    first = list(run(spec, digits, CPU, CheckpointPlan(tmp_path / "cut.pt"), stop=lambda: next(asked)))
    second = list(run(spec, digits, CPU, CheckpointPlan(tmp_path / "cut.pt")))
    assert isinstance(first[-1], Interrupted)
    assert outcome(first + second, tmp_path / "cut.pt") == outcome(whole, tmp_path / "whole.pt")


@pytest.mark.usefixtures("recorded")
def test_different_nets_beside_each_other_keep_the_bits_they_have_alone(digits: Dataset, tmp_path: Path) -> None:
    specs = [make_spec(0), make_spec(1, depth=14, precision="bf16"), make_spec(2, batch_size=32, lr=1e30)]
    found = train_together(specs, digits, tmp_path, late=4)
    assert Counted.made == 3
    for i, spec in enumerate(specs[:2]):
        path = tmp_path / f"alone-{i}.pt"
        alone = list(run(spec, digits, CPU, CheckpointPlan(path)))
        assert outcome(found[i], tmp_path / f"{i}.pt") == outcome(alone, path)
    assert isinstance(found[2][-1], Diverged)


@pytest.mark.usefixtures("recorded")
def test_a_run_that_cannot_be_captured_goes_on_kernel_by_kernel(
    digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("operation not permitted when stream is capturing\nmore")

    spec = make_spec(augment="crop-flip")
    replayed = list(run(spec, digits, CPU, CheckpointPlan(tmp_path / "replayed.pt")))
    monkeypatch.setattr(Counted, "capture", refuse)
    eager = list(run(spec, digits, CPU, CheckpointPlan(tmp_path / "eager.pt")))
    assert outcome(replayed, tmp_path / "replayed.pt") == outcome(eager, tmp_path / "eager.pt")
    (line,) = [record.message for record in caplog.records]
    assert line.endswith("kernel by kernel: operation not permitted when stream is capturing")


@pytest.mark.usefixtures("recorded")
def test_too_little_memory_for_one_graph_stops_that_run_alone(
    digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(Counted):
        def capture(self, body: Callable[[], None], stream: torch.cuda.Stream | None) -> None:
            if Counted.made == 2:
                raise torch.OutOfMemoryError("CUDA out of memory")
            super().capture(body, stream)

    monkeypatch.setattr(graph_module, "CudaGraph", Full)
    stepper = Stepper(CPU)
    states = [ready(build_state(make_spec(seed), digits, CPU)) for seed in (0, 1, 2)]
    for step in range(WARM_STEPS + 1):
        failed = stepper.take([next_step(state) for state in states])
        assert [f.step.state for f in failed] == ([states[1]] if step == WARM_STEPS else [])
    assert [state.step for state in states] == [WARM_STEPS + 1, WARM_STEPS, WARM_STEPS + 1]


@pytest.mark.usefixtures("recorded")
def test_too_little_memory_that_the_end_of_a_capture_hides_is_told(
    digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = torch.OutOfMemoryError("CUDA out of memory")

    def capture(*_: object) -> None:
        try:
            raise full
        finally:
            raise torch.AcceleratorError("CUDA error: operation failed due to a previous error during capture")

    monkeypatch.setattr(Counted, "capture", capture)
    with pytest.raises(torch.OutOfMemoryError) as caught:
        list(run(make_spec(), digits, CPU, CheckpointPlan(tmp_path / "c.pt")))
    assert caught.value is full


def ready(state: RunState) -> RunState:
    state.replays, state.can_join = True, False
    return state


def kernel_by_kernel(*given: object) -> RunState:
    state = build_state(*given)  # type: ignore[arg-type]
    state.replays = False
    return state


def next_step(state: RunState) -> Step:
    with on_stream(state.stream):
        return prepare(state)


@pytest.mark.gpu
@needs_gpu
@pytest.mark.parametrize("recipe", RECIPES, ids=str)
def test_a_graph_on_a_gpu_gives_the_bits_of_eager_steps(
    digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recipe: dict[str, object]
) -> None:
    spec = make_spec(**{**recipe, "deterministic": True, "iterations": 40})
    there = digits.to(GPU)
    replayed = list(run(spec, there, GPU, CheckpointPlan(tmp_path / "replayed.pt")))
    monkeypatch.setattr(run_module, "build_state", kernel_by_kernel)
    eager = list(run(spec, there, GPU, CheckpointPlan(tmp_path / "eager.pt")))
    assert outcome(replayed, tmp_path / "replayed.pt", GPU) == outcome(eager, tmp_path / "eager.pt", GPU)


@pytest.mark.gpu
@needs_gpu
def test_runs_on_streams_of_their_own_keep_the_bits_they_have_alone(digits: Dataset, tmp_path: Path) -> None:
    there = digits.to(GPU)
    specs = [make_spec(i, depth=(8, 14)[i % 2], deterministic=True, augment="crop-flip") for i in range(4)]
    found = train_together(specs, there, tmp_path, late=4, device=GPU)
    for i, spec in enumerate(specs):
        path = tmp_path / f"alone-{i}.pt"
        alone = list(run(spec, there, GPU, CheckpointPlan(path)))
        assert outcome(found[i], tmp_path / f"{i}.pt", GPU) == outcome(alone, path, GPU)


@pytest.mark.gpu
@needs_gpu
def test_a_replay_stopped_within_an_epoch_goes_on_to_the_same_bits(digits: Dataset, tmp_path: Path) -> None:
    there = digits.to(GPU)
    spec = make_spec(augment="crop-flip", deterministic=True, iterations=40)
    whole = list(run(spec, there, GPU, CheckpointPlan(tmp_path / "whole.pt")))
    asked = iter([False] * 22 + [True])
    first = list(run(spec, there, GPU, CheckpointPlan(tmp_path / "cut.pt"), stop=lambda: next(asked)))
    second = list(run(spec, there, GPU, CheckpointPlan(tmp_path / "cut.pt")))
    assert outcome(first + second, tmp_path / "cut.pt", GPU) == outcome(whole, tmp_path / "whole.pt", GPU)


@pytest.mark.gpu
@needs_gpu
def test_replays_wait_for_nothing(digits: Dataset) -> None:
    with on_stream(own_stream(GPU)):
        state = build_state(make_spec(augment="crop-flip", iterations=100), digits.to(GPU), GPU)
    stepper = Stepper(GPU)
    for _ in range(WARM_STEPS + 1):
        assert stepper.take([next_step(state)]) == []
    with never_waited_for():
        for _ in range(10):  # into the next epochs
            assert stepper.take([next_step(state)]) == []
    assert state.step == WARM_STEPS + 11
    assert state.replays
