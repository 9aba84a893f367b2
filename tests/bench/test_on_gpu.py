"""What the benches measure on a GPU, on a pretended one: their code runs there, and their rows are what they say."""

import json
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

from tests.gpu.pretended import GPU, pretended_gpu
from tests.gpu.recorder import Recorder

BENCH = Path(__file__).resolve().parents[2] / "bench"

pytestmark = pytest.mark.usefixtures("one_thread")


class Counted(Recorder):
    """Counts replays."""

    replays = 0

    def replay(self) -> None:
        Counted.replays += 1
        super().replay()


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the function that imports a file of `bench/`."""
    monkeypatch.syspath_prepend(str(BENCH))
    return import_module


@pytest.fixture
def graphs(bench: Any, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module: ModuleType = bench("graphs")
    for name, value in {"SECONDS": 0.0, "WINDOWS": 1, "COUNTED": 2, "BATCH": 16, "BATCHES": 8}.items():
        monkeypatch.setattr(module, name, value)
    Counted.replays = 0
    return module


def test_runs_are_timed_kernel_by_kernel_and_as_graphs(graphs: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    replays = []
    with pretended_gpu():
        monkeypatch.setattr("study.train.graph.CudaGraph", Counted)
        ways = []
        for way in graphs.measure_ways("plain-8", 8, "fp32", [1, 2], GPU):
            ways.append(way)
            replays.append(Counted.replays)
    assert [(way.how, way.runs) for way in ways] == [
        ("kernel by kernel", 1),
        ("a graph", 1),
        ("2 graphs on 2 streams", 2),
    ]
    # each of a graph's iterations is a replay, those before it is captured aside: 2 timed, 2 counted
    assert replays == [0, 2 + 4, 2 + 4 + 2 * (2 + 4)]
    for way in ways:
        assert way.images_per_second == pytest.approx(1000 * 16 / way.ms)
        assert way.mib == 8 / way.runs  # of the pretended GPU
        assert len(way.line().split("|")) == 7


@pytest.mark.parametrize(
    "full",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        torch.AcceleratorError("CUDA error: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_full_gpu_is_said_in_the_row(
    graphs: ModuleType, full: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def capture(*_: object) -> None:
        raise full

    with pretended_gpu():
        monkeypatch.setattr("study.train.graph.CudaGraph", Counted)
        monkeypatch.setattr(Counted, "capture", capture)
        (eager, graph) = graphs.measure_ways("plain-8", 8, "fp32", [1], GPU)
    assert eager.problem == ""
    assert graph.problem in str(full)
    assert "failed" in graph.line()
    assert json.dumps(graph.figures()) == json.dumps({"how": "a graph", "runs": 1, "problem": graph.problem})


def test_launches_are_those_of_the_host(graphs: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = {
        "cudaLaunchKernel": 30,
        "cudaLaunchKernelExC": 4,
        "cudaMemcpyAsync": 2,
        "aten::conv2d": 99,
        "void k()": 36,
    }

    class Profile:
        def __init__(self, **_: object) -> None: ...

        def __enter__(self) -> "Profile":
            return self

        def __exit__(self, *_: object) -> None: ...

        def key_averages(self) -> list[SimpleNamespace]:
            return [SimpleNamespace(key=key, count=count) for key, count in counts.items()]

    monkeypatch.setattr(graphs, "profile", Profile)
    steps: list[int] = []
    with pretended_gpu():
        assert graphs.launches_of(lambda: steps.append(1), GPU) == 36 / 2
    assert len(steps) == 2


@pytest.mark.parametrize("precision", ["tf32", "fp32", "bf16"])
def test_the_peak_is_that_of_a_product_or_a_convolution(
    bench: Any, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    peak = bench("peak")
    monkeypatch.setattr(peak, "PRODUCTS", {"cuda": (8,)})
    monkeypatch.setattr(peak, "CONVOLUTIONS", {"cuda": ((2, 3, 4),)})
    monkeypatch.setattr(peak, "_fastest", lambda call: (call(), 0.5)[1])
    with pretended_gpu():
        assert peak.peak_rate(GPU, precision, 1) == max(8**3, 9 * 3 * 2 * 3 * 4 * 4) / 0.5


def test_the_textbook_loop_on_a_gpu(bench: Any, tmp_path: Path) -> None:
    train = bench("train")
    train.random_tree(tmp_path, 256, 8)
    with pretended_gpu() as gpu:
        result = train.textbook("plain-8", tmp_path, GPU, 2, 8)
    assert result.speed > 0
    assert gpu.waits["item"] == 2  # one an iteration, as its progress bar has


def test_a_cpu_leaves_graphs_out_and_says_so(bench: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench("replicas").graph_ways("plain-8", 8, [1], torch.device("cpu")) == []
    assert capsys.readouterr().out == "left out: launches, CUDA graphs and their streams, which need a GPU\n"


def test_who_trains_on_a_gpu(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    crews = bench("train").crews(GPU, None)
    assert {
        name: (len(crew.workers.devices), crew.workers.per_card, crew.replicas) for name, crew in crews.items()
    } == {
        "one run": (1, 1, 1),
        "4 at once, one process": (1, 1, 4),
        "4 processes": (4, 4, 1),
    }
    assert list(bench("train").crews(GPU, 1)) == ["one run"]


def test_the_rate_of_several_runs_of_a_worker(bench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is that of the worker: about as many images a second as one run has, not twice as many."""
    monkeypatch.setenv("STUDY_CACHE", str(tmp_path / "cache"))
    train = bench("train")
    train.random_tree(tmp_path / "images", 256, 8)
    workers = train.Workers([("cpu",)], 1)
    told: list[float] = []
    median = train.statistics.median
    monkeypatch.setattr(train.statistics, "median", lambda values: told.append(median(values)) or told[-1])
    result = train.ours("plain-8", tmp_path / "images", "fp32", train.Crew(workers, 2), 8, 8)
    assert len(told) == 2
    assert result.speed == pytest.approx(sum(told) / 2)
    assert result.first > 0
