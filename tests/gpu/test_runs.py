"""Whole runs on the pretended GPU: they give what a CPU gives, and the host waits only where this file says."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from study.config import PROBES, DatasetSpec, ProbePlan, Probes, Recipe, RunSpec
from study.data import Dataset, load_dataset, place
from study.data.augment import CropFlip
from study.events import Epoch, Event, Finished, Probed
from study.inference import load_predictor
from study.probe import Prober
from study.train import CheckpointPlan, Step, Stepper, load_checkpoint, measure_speed, run_steps
from study.train import speed as speed_module
from study.train.state import build_state
from study.train.step import prepare
from study.train.stream import on_stream, own_stream
from tests.gpu.pretended import CPU, GPU, DeviceMismatch, PretendedGpu, pretended_gpu

pytestmark = pytest.mark.usefixtures("one_thread")

DATA = DatasetSpec(name="digits", train_limit=110, test_limit=30)  # of the first, 11 are for validation
UNLIKE = {"time", "seconds", "images_per_second", "memory_mib"}
"""What two runs that are the same may differ in."""

# Where the host waits, and how often; no iteration does. A resident run with crops and flips, evaluated each epoch:
NO_GRAPH = "train/graph.py Replay.close: synchronize"  # once, where a wait has broken the capture
PACE = {"train/graph.py Replay._keep_pace: synchronize"}  # for the last iteration but two: left out below
A_POINT = {
    "train/score.py Scorer.measure: item": 2,
    "train/state.py RunState.finite: __bool__": 1,
    "train/evaluate.py evaluate: item": 4,  # error and loss of the test images and of those held out
}
STREAMED = {"data/batches.py evaluation_batches: copied from the host": 2}  # at a point too: the labels of either split
A_CHECKPOINT = {"train/checkpoint.py save_checkpoint: saved": 1, "train/state.py RunState.values: item": 1}

RECIPES: dict[str, dict[str, Any]] = {
    "as it comes": {},
    "plain": {"architecture": "plain", "normalize": "pixel-mean", "nesterov": True},
    "no augmentation": {"augment": "none", "normalize": "none", "schedule": "constant", "batch_norm": "none"},
    "ten crops": {"augment": "imagenet", "test_views": "ten-crop", "schedule": "cosine"},
    "all scales": {"augment": "imagenet", "test_views": "multi-scale", "normalize": "pixel-mean", "precision": "bf16"},
    "bfloat16": {"precision": "bf16", "warmup": 2, "warmup_shape": "linear"},
    "deterministic": {"deterministic": True, "milestones": (2, 0.75)},
    "fixup": {"scaling": "fixup"},
    "pre-activation": {"preactivation": True, "shortcut": "B", "scaling": "rezero"},
    "tanh": {"architecture": "plain", "activation": "tanh", "initialisation": "delta-orthogonal"},
    "TAT": {"architecture": "plain", "activation": "tat", "batch_norm": "none", "warmup": 1},
    "ImageNet's": {"depth": 18, "family": "imagenet", "width": 0.05},
    "dropout": {"dropout": True},
}


class Outcome(NamedTuple):
    """What a run came to: its curve, the last weights and momenta, and the waits by what it did meanwhile."""

    figures: list[dict[str, Any]]
    tensors: list[Tensor]
    waits: dict[str, Counter[str]]


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load_dataset(DATA)


@pytest.fixture
def dropping(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Let every net be a small one that drops units, as VGG's does."""

    def build(*_: Any, generator: torch.Generator, **__: Any) -> nn.Module:
        net = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.Dropout(0.5), nn.Linear(32, 10))
        for weight in net.parameters():
            nn.init.normal_(weight, std=0.1, generator=generator)
        return net

    return lambda: monkeypatch.setattr("study.train.state.build_net", build)


def make_spec(seed: int = 0, *, architecture: str = "residual", depth: int = 8, **recipe: Any) -> RunSpec:
    fields = {"iterations": 6, "batch_size": 32, "lr": 0.02, "width": 0.25, "augment": "crop-flip", "precision": "fp32"}
    return RunSpec(dataset=DATA, architecture=architecture, depth=depth, recipe=Recipe(**fields | recipe), seed=seed)


def figures(events: list[Event]) -> list[dict[str, Any]]:
    points = [event for event in events if isinstance(event, Epoch | Finished)]
    return [{name: value for name, value in vars(point).items() if name not in UNLIKE} for point in points]


def tensors_of(path: Path) -> list[Tensor]:
    """Return all that a checkpoint holds of a net and its optimiser."""
    values = load_checkpoint(path, CPU)
    momenta = [state["momentum_buffer"] for state in values["optimizer"]["state"].values()]
    return [*values["net"].values(), *momenta]


def equal(found: list[Tensor], expected: list[Tensor]) -> bool:
    return len(found) == len(expected) > 0 and all(map(torch.equal, found, expected))


def watched(
    spec: RunSpec, data: Dataset, device: torch.device, path: Path, gpu: PretendedGpu | None = None, **more: Any
) -> Outcome:
    """Do a run, and tell the waits of iterations inside an epoch, of those that begin one, and up to each event."""
    waits: dict[str, Counter[str]] = defaultdict(Counter)
    events: list[Event] = []
    stepper = Stepper(device)
    for event in run_steps(spec, data, device, CheckpointPlan(path, 1e9), **more):
        if isinstance(event, Step):
            first = "Step" not in waits and "first Step" not in waits  # a run may go on inside an epoch
            begins = event.state.step % event.state.batches.iterations_per_epoch == 0
            doing = "first Step" if begins or first else "Step"
            assert stepper.take([event]) == []
        else:
            doing = type(event).__name__
            events.append(event)
        if gpu is not None:
            waits[doing] += Counter({name: n for name, n in gpu.waits.items() if name not in PACE})
            gpu.waits.clear()
    return Outcome(figures(events), tensors_of(path), waits)


@pytest.mark.parametrize("kind", RECIPES)
def test_a_run_is_that_of_a_cpu_and_no_iteration_waits(
    kind: str, digits: Dataset, tmp_path: Path, dropping: Callable[[], None], caplog: pytest.LogCaptureFixture
) -> None:
    recipe = dict(RECIPES[kind])
    if recipe.pop("dropout", False):
        dropping()
    spec = make_spec(**recipe)
    expected = watched(spec, digits, CPU, tmp_path / "cpu.pt")
    assert len(expected.figures) == 3  # two epochs and the end
    for where in ("resident", "streamed"):
        with pretended_gpu() as gpu:
            data = place(digits, GPU) if where == "resident" else digits
            found = watched(spec, data, GPU, tmp_path / f"{where}.pt", gpu)
        assert found.figures == expected.figures
        assert equal(found.tensors, expected.tensors)
        assert found.waits["Step"] == found.waits["first Step"] == {}
        assert found.waits["Epoch"].keys() == A_POINT.keys() | (STREAMED.keys() if where == "streamed" else set())
    assert not caplog.records  # a graph that can't be captured


@pytest.mark.parametrize("resident", [True, False], ids=["resident", "streamed"])
def test_where_the_host_waits(digits: Dataset, tmp_path: Path, resident: bool) -> None:
    with pretended_gpu() as gpu:
        waits = watched(make_spec(), place(digits, GPU) if resident else digits, GPU, tmp_path / "c.pt", gpu).waits
    once = {name: count / 2 for name, count in waits["Epoch"].items()}
    assert waits["first Step"] == {}
    assert once == (A_POINT if resident else A_POINT | STREAMED)
    assert waits["Checkpointed"] == A_CHECKPOINT


@pytest.mark.parametrize("after", [1, 4])
def test_a_run_that_was_stopped_goes_on(digits: Dataset, tmp_path: Path, after: int) -> None:
    spec = make_spec(precision="bf16", augment="imagenet")
    expected = watched(spec, digits, CPU, tmp_path / "cpu.pt")
    asked = iter([False] * after + [True])  # evaluations ask too
    with pretended_gpu() as gpu:
        data = place(digits, GPU)
        first = watched(spec, data, GPU, tmp_path / "gpu.pt", gpu, stop=lambda: next(asked))
        found = watched(spec, data, GPU, tmp_path / "gpu.pt", gpu)
    assert "Interrupted" in first.waits
    assert first.figures + found.figures == expected.figures
    assert equal(found.tensors, expected.tensors)
    assert found.waits["Step"] == {}


def test_runs_beside_each_other(digits: Dataset, tmp_path: Path) -> None:
    """Nets that differ, each with the bits that it has alone; no iteration waits but for the last but one."""
    specs = [make_spec(0), make_spec(1, depth=14, precision="bf16")]
    for spec in specs:
        watched(spec, digits, CPU, tmp_path / f"cpu-{spec.seed}.pt")
    with pretended_gpu() as gpu:
        data = place(digits, GPU)
        courses = [run_steps(spec, data, GPU, CheckpointPlan(tmp_path / f"gpu-{spec.seed}.pt")) for spec in specs]
        stepper = Stepper(GPU)
        while steps := [step for each in courses if (step := next_step(each)) is not None]:
            gpu.waits.clear()
            assert stepper.take(steps) == []
            assert gpu.waits.keys() <= PACE
    for spec in specs:
        found, expected = (tensors_of(tmp_path / f"{device}-{spec.seed}.pt") for device in ("gpu", "cpu"))
        assert equal(found, expected)


def test_the_host_is_two_iterations_ahead_at_most(digits: Dataset) -> None:
    with pretended_gpu() as gpu:
        data = place(digits, GPU)
        with on_stream(own_stream(GPU)):
            state = build_state(make_spec(), data, GPU)
        stepper = Stepper(GPU)
        for taken in range(6):
            with on_stream(state.stream):
                step = prepare(state)
            gpu.waits.clear()
            assert stepper.take([step]) == []
            assert gpu.waits == (dict.fromkeys(PACE, 1) if taken >= 2 else {})


def next_step(events: Iterator[Event | Step]) -> Step | None:
    return next((event for event in events if isinstance(event, Step)), None)


def test_speed_and_memory_are_measured(digits: Dataset) -> None:
    with pretended_gpu():
        speed = measure_speed(make_spec(), place(digits, GPU), GPU, replicas=4)
    assert min(speed.step, speed.joined, speed.image, speed.memory) > 0
    assert (speed.gpu, speed.room) == (2, 39)  # a peak of 9 MiB, of which 1 was there before, of four runs
    assert speed.fits == 17


def test_memory_is_measured_while_each_run_evaluates(digits: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each stream has a cache of its own, so that what one run evaluates with is of no use to the next."""
    streams = set()
    real = speed_module.evaluate
    monkeypatch.setattr(
        speed_module, "evaluate", lambda *given: (streams.add(torch.cuda.current_stream()), real(*given))[1]
    )
    monkeypatch.setattr(speed_module, "SECONDS", 0.0)
    with pretended_gpu() as gpu:
        measure_speed(make_spec(), place(digits, GPU), GPU, replicas=3)
        assert len(streams - {gpu.stream(0)}) == len(streams) == 3


@pytest.mark.parametrize("views", ["center", "ten-crop", "multi-scale"])
def test_predictions(digits: Dataset, tmp_path: Path, views: str) -> None:
    spec = make_spec(augment="imagenet")
    watched(spec, digits, CPU, tmp_path / "c.pt")
    expected = load_predictor(spec, tmp_path / "c.pt", CPU).probabilities(digits.test.images, views)
    with pretended_gpu() as gpu:
        predictor = load_predictor(spec, tmp_path / "c.pt", GPU)
        gpu.waits.clear()
        found = predictor.probabilities(digits.test.images, views)
    assert torch.equal(found, expected)
    assert gpu.waits == {
        "train/evaluate.py predict_probabilities: copied from the host": 1,
        "inference.py Predictor.probabilities: copied to the host": 1,
    }


UNEQUAL = {"surface": (1e-2, 1e-4), "surface_summary": (1e-2, 1e-4), "ranks": (1e-12, 0.0)}
"""Tables that differ in last digits, and tolerances: all points at once, and eigenvalues by another routine."""


def test_probes(digits: Dataset, tmp_path: Path) -> None:
    spec = make_spec(architecture="plain", iterations=3, augment="none")
    probes = Probes(steps=(0, 2), images=30, points=3, noise=(0.1,), rates=(1.0,), continuation=0.4)
    plan = ProbePlan(probes=probes, names=PROBES, targets=(14,))

    def measure(device: torch.device) -> dict[str, Any]:
        events = run_steps(
            spec, place(digits, device), device, CheckpointPlan(tmp_path / device.type), probe=Prober(plan)
        )
        found, stepper = {}, Stepper(device)
        for event in events:
            if isinstance(event, Step):
                assert stepper.take([event]) == []
            elif isinstance(event, Probed):
                found |= {(event.step, name): columns for name, columns in event.tables.items()}
        return found

    expected = measure(CPU)
    with pretended_gpu():
        found = measure(GPU)
    assert {name for _, name in found} > {"responses", "gradients", "shattering", "lesion", "surface", "curvature"}
    for key, columns in expected.items():
        if key[1] not in UNEQUAL:
            assert found[key] == columns, key
            continue
        relative, absolute = UNEQUAL[key[1]]
        assert found[key].keys() == columns.keys()
        for name, values in columns.items():
            if not isinstance(values[0], str):
                near = pytest.approx(list(values), rel=relative, abs=absolute, nan_ok=True)
                assert list(found[key][name]) == near, name


FAULTS: dict[str, tuple[Callable[[Tensor], Tensor], str]] = {
    "a value is read": (lambda x: x * x.max().item(), "item"),
    "a branch on a value": (lambda x: x if x.max() > 0 else -x, "__bool__"),
    "a mask": (lambda x: x[x.flatten(1).sum(1) > -1e9], "indexed by a mask"),
    "a copy": (lambda x: x + torch.zeros(8).to(x.device), "copied from the host"),
    "a constant": (lambda x: x * torch.tensor(1.0, device=x.device), "made on the host"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_wait_that_is_put_into_an_iteration_is_found(
    fault: str, digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change, kind = FAULTS[fault]
    real = CropFlip.apply
    monkeypatch.setattr(CropFlip, "apply", lambda *given: change(real(*given)))
    with pretended_gpu() as gpu:
        waits = watched(make_spec(), place(digits, GPU), GPU, tmp_path / "c.pt", gpu).waits
    assert waits["Step"] == {f"data/batches.py TrainBatches.fetch: {kind}": 4, NO_GRAPH: 1}


@pytest.mark.parametrize("where", ["batch", "net", "loss"])
def test_a_tensor_of_the_host_that_is_put_into_an_iteration_is_found(
    where: str, digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_host = torch.zeros(8)
    if where == "batch":
        real = CropFlip.apply
        monkeypatch.setattr(CropFlip, "apply", lambda *given: real(*given) + on_host)

    def iterate() -> None:
        events = run_steps(make_spec(), place(digits, GPU), GPU, CheckpointPlan(tmp_path / "c.pt"))
        step = next_step(events)
        assert step is not None
        if where == "net":
            step.state.net.register_forward_pre_hook(lambda _net, inputs: (inputs[0] + on_host,))
        elif where == "loss":
            step.state.loss_sum = torch.zeros(1)
        for failed in Stepper(GPU).take([step]):
            raise failed.error

    with pretended_gpu(), pytest.raises(DeviceMismatch):
        iterate()
