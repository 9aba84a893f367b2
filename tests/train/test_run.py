import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from study.config import Recipe, RunSpec
from study.data import (
    Dataset,
    Normalizer,
    TrainBatches,
    derived_seed,
    evaluation_batches,
    load_dataset,
)
from study.events import Checkpointed, Diverged, Epoch, Event, Finished, Interrupted, Started
from study.nets import build_net
from study.train import CheckpointPlan, load_checkpoint, run
from study.train.arithmetic import resolve_precision
from tests.train.child import begin
from tests.train.conftest import DATA

CPU = torch.device("cpu")

pytestmark = pytest.mark.usefixtures("one_thread")


def make_spec(architecture: str = "residual", depth: int = 8, seed: int = 0, **recipe: Any) -> RunSpec:
    fields = {"epochs": 3, "batch_size": 64, "lr": 0.05, "precision": "fp32"} | recipe
    return RunSpec(dataset=DATA, architecture=architecture, depth=depth, recipe=Recipe(**fields), seed=seed)  # type: ignore[arg-type]


def curve(events: list[Event]) -> list[Any]:
    """Return all figures that must be the same in every attempt: times and speeds left out."""
    points = [replace(e, seconds=0, images_per_second=0, memory_mib=0, time=0) for e in events if isinstance(e, Epoch)]
    return points + [replace(e, seconds=0) for e in events if isinstance(e, Finished)]


def weights(path: Path) -> dict[str, torch.Tensor]:
    net: dict[str, torch.Tensor] = load_checkpoint(path, CPU)["net"]
    return net


def test_the_stream_of_an_undisturbed_run(digits: Dataset, tmp_path: Path) -> None:
    events = list(run(make_spec(), digits, CPU, CheckpointPlan(tmp_path / "c.pt")))
    # 270 training images (a tenth of 300 held out) in batches of 64 are 4 iterations an epoch
    assert [type(e) for e in events] == [Started, Epoch, Epoch, Epoch, Checkpointed, Finished]
    started, finished = events[0], events[-1]
    assert isinstance(started, Started)
    assert isinstance(finished, Finished)
    assert (started.step, started.total) == (0, 12)
    assert [e.step for e in events if isinstance(e, Epoch)] == [4, 8, 12]
    assert finished.step == 12
    assert finished.final_train_error_augmented == finished.final_train_error  # no augmentation


def test_the_curve_is_that_of_a_plain_training_loop(digits: Dataset, tmp_path: Path) -> None:
    """Written again from PyTorch's parts: same batches, same rate, same weights at the end, same errors."""
    spec = make_spec("plain", 14, augment="crop-flip", weight_decay=5e-4, nesterov=True)
    events = list(run(spec, digits, CPU, CheckpointPlan(tmp_path / "c.pt")))
    generator = torch.Generator().manual_seed(derived_seed(spec.seed, "weights"))
    net = build_net("plain-14", 10, in_channels=1, generator=generator).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(net.parameters(), lr=1, momentum=0.9, weight_decay=5e-4, nesterov=True)
    normalizer = Normalizer.fit(digits.train, "channel")
    batches = TrainBatches(digits.train, normalizer, batch_size=64, augment="crop-flip", seed=0)
    wrong = []
    for step in range(12):
        optimizer.param_groups[0]["lr"] = spec.recipe.lr_at(step, 12)
        images, labels = batches.batch(step)
        logits = net(images)
        optimizer.zero_grad()
        F.cross_entropy(logits, labels).backward()
        optimizer.step()
        wrong.append((logits.argmax(1) != labels).sum().item())
    errors = [100 * sum(wrong[i : i + 4]) / 256 for i in (0, 4, 8)]
    assert [e.train_error for e in events if isinstance(e, Epoch)] == pytest.approx(errors)
    for name, value in weights(tmp_path / "c.pt").items():
        torch.testing.assert_close(value, net.state_dict()[name], rtol=1e-4, atol=1e-5)

    # the verdict's training error: clean images, evaluation mode, the whole training split, the last step
    net.load_state_dict(weights(tmp_path / "c.pt"))
    net.eval()

    def error(pairs: Any) -> float:
        results = [net(images).argmax(1) != labels for images, labels in pairs]
        return 100 * torch.cat(results).float().mean().item()

    finished = events[-1]
    assert isinstance(finished, Finished)
    with torch.no_grad():
        clean = error(evaluation_batches(digits.train, normalizer, augment="crop-flip"))
        shown = evaluation_batches(digits.train, normalizer, augment="crop-flip", seed=0, batch_size=100)
        assert finished.final_train_error == pytest.approx(clean)
        assert finished.final_train_error_augmented == pytest.approx(error(shown))
        assert digits.validation is not None
        held_out = error(evaluation_batches(digits.validation, normalizer, augment="crop-flip"))
        assert finished.final_validation_error == pytest.approx(held_out)
        assert finished.final_test_error == pytest.approx(
            error(evaluation_batches(digits.test, normalizer, augment="crop-flip"))
        )


@pytest.mark.parametrize("stops", [(1,), (2, 5), (3, 3, 3), (12,)])
def test_a_run_stopped_anywhere_goes_on_bit_for_bit(digits: Dataset, tmp_path: Path, stops: tuple[int, ...]) -> None:
    spec = make_spec(augment="crop-flip", evaluate_every=3)
    whole = list(run(spec, digits, CPU, CheckpointPlan(tmp_path / "whole.pt")))
    broken: list[Event] = []
    for stop in (*stops, None):
        asked = 0

        def enough(limit: int | None = stop) -> bool:
            nonlocal asked
            asked += 1
            return limit is not None and asked > limit

        events = list(run(spec, digits, CPU, CheckpointPlan(tmp_path / "broken.pt"), stop=enough))
        started = events[0]
        assert isinstance(started, Started)
        # what was seen before is handed on with the checkpoint
        assert curve(list(started.history)) == curve([e for e in broken if isinstance(e, Epoch)])
        broken += events
        if isinstance(events[-1], Finished):
            break
        assert isinstance(events[-1], Interrupted)
    assert curve(broken) == curve(whole)
    for name, value in weights(tmp_path / "whole.pt").items():
        assert torch.equal(value, weights(tmp_path / "broken.pt")[name]), name


def test_a_run_on_streamed_images_is_the_same(digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = make_spec(augment="crop-flip", evaluate_every=3)
    resident = list(run(spec, digits, CPU, CheckpointPlan(tmp_path / "resident.pt")))
    # as if the images didn't fit on the device
    monkeypatch.setattr("study.data.stream.on_device", lambda split, device: False)
    streamed = list(run(spec, digits, CPU, CheckpointPlan(tmp_path / "streamed.pt")))
    assert curve(streamed) == curve(resident)


@pytest.mark.skipif(sys.platform != "linux", reason="needs forks")
def test_a_run_killed_at_any_moment_goes_on_bit_for_bit(digits: Dataset, tmp_path: Path) -> None:
    """SIGKILL at moments of the clock's choosing, in a step or in the middle of a checkpoint, until it ends."""
    spec = make_spec("plain", 14, epochs=12, augment="crop-flip")
    whole = list(run(spec, digits, CPU, CheckpointPlan(tmp_path / "whole.pt")))
    path, kills = tmp_path / "broken.pt", 0
    for attempt in range(30):
        child = begin(spec, path)
        assert child.stdout is not None
        child.stdout.readline()  # Started: training begins
        if attempt < 2:
            time.sleep(0.037 * (attempt + 1))
            child.kill()
            kills += child.wait() == -9
        out = child.communicate()[0]
        if "Finished" in out:
            break
    assert kills >= 1
    end = list(run(spec, digits, CPU, CheckpointPlan(path)))  # the last step's checkpoint: nothing is trained here
    started = end[0]
    assert isinstance(started, Started)
    assert started.step == started.total
    assert curve([*started.history, *end[1:]]) == curve(whole)
    for name, value in weights(tmp_path / "whole.pt").items():
        assert torch.equal(value, weights(path)[name]), name


@pytest.mark.usefixtures("nets_with_dropout")
def test_dropout_draws_the_same_after_a_stop(digits: Dataset, tmp_path: Path) -> None:
    whole = list(run(make_spec(), digits, CPU, CheckpointPlan(tmp_path / "whole.pt")))
    asks = iter([False] * 5 + [True])
    torch.rand(17)  # another state of the global generator must not matter
    first = list(run(make_spec(), digits, CPU, CheckpointPlan(tmp_path / "b.pt"), stop=lambda: next(asks)))
    second = list(run(make_spec(), digits, CPU, CheckpointPlan(tmp_path / "b.pt")))
    assert curve(first + second) == curve(whole)


def test_divergence_is_a_result(digits: Dataset, tmp_path: Path) -> None:
    events = list(run(make_spec(lr=1e30), digits, CPU, CheckpointPlan(tmp_path / "c.pt")))
    assert isinstance(events[-1], Diverged)
    assert events[-1].error == 90.0  # guessing one of ten classes
    assert not any(isinstance(e, Finished | Epoch) for e in events)


def test_seeds_decide_and_twins_start_alike(digits: Dataset, tmp_path: Path) -> None:
    def first_point(name: str, **changes: Any) -> Any:
        return curve(list(run(make_spec(**changes), digits, CPU, CheckpointPlan(tmp_path / name))))[0]

    assert first_point("a.pt") == first_point("b.pt")
    assert first_point("c.pt", seed=1) != first_point("a2.pt")


def test_without_validation_images(tmp_path: Path) -> None:
    data = DATA.model_copy(update={"validation": 0.0})
    spec = make_spec().model_copy(update={"dataset": data})
    events = list(run(spec, load_dataset(data), CPU, CheckpointPlan(tmp_path / "c.pt")))
    finished = events[-1]
    assert isinstance(finished, Finished)
    assert finished.final_validation_error is None
    assert all(e.validation_error is None for e in events if isinstance(e, Epoch))


def test_bfloat16_learns_as_fp32_does(digits: Dataset, tmp_path: Path) -> None:
    ends = {}
    for precision in ("fp32", "bf16"):
        spec = make_spec(epochs=10, precision=precision)
        ends[precision] = list(run(spec, digits, CPU, CheckpointPlan(tmp_path / f"{precision}.pt")))[-1]
    assert ends["bf16"].final_train_loss != ends["fp32"].final_train_loss  # it was really used
    assert ends["bf16"].final_train_error == pytest.approx(ends["fp32"].final_train_error, abs=5)


@pytest.mark.parametrize(("has", "expected"), [(False, "fp32"), (True, "bf16")])
def test_precision_auto_is_what_the_processor_multiplies_in(
    has: bool, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: has)
    assert resolve_precision("auto", CPU) == expected
    assert resolve_precision("fp32", CPU) == "fp32"
    assert resolve_precision("bf16", CPU) == "bf16"


def test_a_run_goes_on_in_the_format_it_began_in(
    digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = make_spec(epochs=2, precision="auto")
    plan = CheckpointPlan(tmp_path / "c.pt", every_seconds=0)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    steps = iter([False] * 3 + [True])
    begun = list(run(spec, digits, CPU, plan, stop=lambda: next(steps)))
    assert isinstance(begun[-1], Interrupted)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)  # another machine
    again = next(iter(run(spec, digits, CPU, plan)))
    assert isinstance(again, Started)
    assert (again.step, again.precision) == (3, "bf16")


# A seeded run's losses: a change that shouldn't alter results must leave them as they are.
# The tolerance is for the rounding of other processors.
LOSSES = [2.17192, 0.69146, 0.32236, 0.28591]


def test_results_are_those_of_the_last_release(digits: Dataset, tmp_path: Path) -> None:
    spec = make_spec("residual", 14, iterations=20, epochs=None, evaluate_every=5, lr=0.02)
    events = list(run(spec, digits, CPU, CheckpointPlan(tmp_path / "c.pt")))
    losses = [e.train_loss for e in events if isinstance(e, Epoch)]
    assert losses == pytest.approx(LOSSES, rel=2e-3)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_learns_as_a_cpu_does(digits: Dataset, tmp_path: Path) -> None:
    spec = make_spec(epochs=10, precision="fp32")
    on_cpu = list(run(spec, digits, CPU, CheckpointPlan(tmp_path / "cpu.pt")))[-1]
    gpu = torch.device("cuda")
    on_gpu = list(run(spec, digits.to(gpu), gpu, CheckpointPlan(tmp_path / "gpu.pt")))[-1]
    assert isinstance(on_cpu, Finished)
    assert isinstance(on_gpu, Finished)
    assert on_gpu.final_train_error == pytest.approx(on_cpu.final_train_error, abs=3)
