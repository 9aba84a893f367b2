"""One run by two processes: what it computes is what one process computes, and what differs is what should."""

import copy
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from study.data import Dataset, Normalizer, TrainBatches, derived_seed, load_dataset, place
from study.events import Epoch, Event, Finished, Interrupted, Started, Unsaved
from study.train import CheckpointPlan, load_checkpoint, run
from study.train.checkpoint import save_checkpoint
from study.train.parallel import ALONE, Group
from study.train.shared_norm import share_statistics
from study.train.state import build_spec_net
from tests.train.conftest import DATA
from tests.train.pair import CPU, Pair, device_of
from tests.train.test_run import curve, make_spec, weights

pytestmark = pytest.mark.usefixtures("one_thread")


def train(
    group: Group, path: Path, recipe: dict[str, Any], stops: tuple[int | None, ...] = (None,), kind: str = "cpu"
) -> list[Event]:
    """Run and stop before the step or batch of each number, and go on; None is the end."""
    events, device = [], device_of(kind, group.rank)
    for limit in stops:
        asked = 0

        def stop(limit: int | None = limit) -> bool:
            nonlocal asked
            asked += 1
            return limit is not None and asked > limit

        spec, plan = make_spec(**{"gpus_per_run": 2} | recipe), CheckpointPlan(path, every_seconds=0)
        events += list(run(spec, place(load_dataset(DATA), device), device, plan, stop=stop, group=group))
    return events


def figures(events: list[Event]) -> list[float]:
    """Return all losses and errors, in order."""
    names = (
        "train_loss",
        "train_error",
        "test_loss",
        "test_error",
        "validation_loss",
        "final_train_loss",
        "final_train_error",
        "final_train_error_augmented",
        "final_test_loss",
    )
    return [getattr(point, name) for point in curve(events) for name in names if hasattr(point, name)]


def test_the_curve_is_that_of_one_process(pair: Pair, tmp_path: Path) -> None:
    recipe = {"batch_norm": "shared"}
    one = train(ALONE, tmp_path / "one.pt", recipe)
    two, other = pair.do(train, tmp_path / "two.pt", recipe)
    # Losses are near 1 and have 24 bits; in a dozen steps of this net a rounding grows to some 1e-7. Errors are counts.
    assert figures(two) == pytest.approx(figures(one), rel=1e-5)
    assert curve(two) == curve(other)  # ranks compute the same, to the last bit
    started = two[0]
    assert isinstance(started, Started)
    assert started.device == "2 x cpu"
    # What is kept is what one process keeps, under the same names.
    ours, theirs = (load_checkpoint(tmp_path / name, CPU) for name in ("two.pt", "one.pt"))
    assert ours.keys() == theirs.keys()
    assert list(ours["net"]) == list(theirs["net"])
    for name, value in theirs["net"].items():
        torch.testing.assert_close(ours["net"][name], value, rtol=1e-4, atol=1e-5)


def double_steps(group: Group, recipe: dict[str, Any], steps: int) -> tuple[list[Tensor], list[float]]:
    """Return the first step's gradients, and the losses of some steps, all in 64-bit floats."""
    spec, data = make_spec(**{"gpus_per_run": 2} | recipe), load_dataset(DATA)
    net = build_spec_net(spec, 10, 1, torch.Generator().manual_seed(3)).double()
    if not group.alone:
        share_statistics(net, group.size)
    model = group.wrap(net)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4)
    normalizer = Normalizer.fit(data.train, "channel")
    batches = TrainBatches(
        data.train, normalizer, batch_size=64, augment=spec.recipe.augment, seed=0, shard=group.shard
    )
    gradients, losses = [], []
    for step in range(steps):
        images, labels = batches.batch(step)
        loss = F.cross_entropy(model(images.double()), labels)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        gradients = gradients or [parameter.grad.clone() for parameter in net.parameters()]  # type: ignore[union-attr]
        optimizer.step()
        losses.append(group.total(loss.detach()).item() / group.size)
    return gradients, losses


@pytest.mark.parametrize("net", [("plain", 20), ("residual", 18)])
def test_gradients_are_averaged_exactly(pair: Pair, net: tuple[str, int]) -> None:
    """In 64-bit floats nothing else is left of a difference: whatever 32-bit curves differ by grew out of roundings."""
    recipe = {"architecture": net[0], "depth": net[1], "augment": "crop-flip"} | (
        {"width": 0.25} if net[1] == 18 else {}
    )
    gradients, losses = double_steps(ALONE, recipe, 6)
    for theirs, their_losses in pair.do(double_steps, recipe, 6):
        scale = max(gradient.abs().max() for gradient in gradients)
        for mine, other in zip(gradients, theirs, strict=True):
            assert (mine - other).abs().max() <= 1e-12 * scale
        assert their_losses == pytest.approx(losses, rel=1e-9)


def test_statistics_of_each_gpu_are_of_its_own_images(pair: Pair, digits: Dataset, tmp_path: Path) -> None:
    """By hand: two halves of a batch through one net, the statistics of the first half kept, the gradients averaged."""
    spec = make_spec(gpus_per_run=2, iterations=6, epochs=None, evaluate_every=3)
    events, _ = pair.do(train, tmp_path / "two.pt", {"iterations": 6, "epochs": None, "evaluate_every": 3})
    net = build_spec_net(spec, 10, 1, torch.Generator().manual_seed(derived_seed(0, "weights")))
    optimizer = torch.optim.SGD(net.parameters(), lr=1, momentum=0.9, weight_decay=1e-4)
    batches = TrainBatches(digits.train, Normalizer.fit(digits.train, "channel"), batch_size=64, augment="none", seed=0)
    losses = []
    for step in range(6):
        optimizer.param_groups[0]["lr"] = spec.recipe.lr_at(step, 6)
        images, labels = batches.batch(step)
        second = copy.deepcopy(net)  # so that the second half leaves no trace in the statistics
        halves = [
            F.cross_entropy(each(images[here]), labels[here])
            for each, here in ((net, slice(0, 32)), (second, slice(32, 64)))
        ]
        optimizer.zero_grad()
        sum(halves).backward()  # type: ignore[union-attr]
        for parameter, other in zip(net.parameters(), second.parameters(), strict=True):
            parameter.grad = (parameter.grad + other.grad) / 2  # type: ignore[operator]
        optimizer.step()
        losses.append(sum(half.item() for half in halves) / 2)
    means = [sum(losses[:3]) / 3, sum(losses[3:]) / 3]
    assert [e.train_loss for e in events if isinstance(e, Epoch)] == pytest.approx(means, rel=1e-4)
    for name, value in weights(tmp_path / "two.pt").items():
        torch.testing.assert_close(value, net.state_dict()[name], rtol=1e-4, atol=1e-5)


def test_a_run_of_two_stopped_anywhere_goes_on_bit_for_bit(pair: Pair, tmp_path: Path) -> None:
    recipe = {"augment": "crop-flip", "evaluate_every": 3, "epochs": 2}
    whole, _ = pair.do(train, tmp_path / "whole.pt", recipe)
    # Between steps, in the midst of evaluations, and once with nothing but the final scores to do
    stops = (1, 3, 2, 1, 4, None)
    broken, _ = pair.do(train, tmp_path / "broken.pt", recipe, stops)
    assert sum(isinstance(event, Interrupted) for event in broken) >= 4
    assert isinstance(broken[-1], Finished)
    assert curve(broken) == curve(whole)
    for name, value in weights(tmp_path / "whole.pt").items():
        assert torch.equal(value, weights(tmp_path / "broken.pt")[name]), name


def spoiled(group: Group, path: Path, recipe: dict[str, Any]) -> list[Event]:
    """Stop, damage the newest checkpoint, go on from the one before."""
    train(group, path, recipe, (3,))
    if group.rank == 0:
        path.write_bytes(path.read_bytes()[:-9])
    group.agree(bool)  # so that no rank looks before
    return train(group, path, recipe)


def test_ranks_go_on_from_the_same_checkpoint(pair: Pair, tmp_path: Path) -> None:
    mine, theirs = pair.do(spoiled, tmp_path / "c.pt", {})
    assert [event.step for event in (mine[0], theirs[0])] == [2, 2]
    assert len(mine[0].damaged) == 1
    assert isinstance(mine[-1], Finished)
    assert curve(mine) == curve(theirs)


def without_room(group: Group, path: Path) -> list[Event]:
    """Train where the disk has room again only at the third try after the last step."""
    tries = 0

    def save(*given: Any) -> None:
        nonlocal tries
        tries += 1
        if tries < 7:
            raise OSError(28, "No space left on device")
        save_checkpoint(*given)

    module = import_module("study.train.run")  # `study.train` has a function of this name
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "save_checkpoint", save)
        patch.setattr(module, "AGAIN_SECONDS", 0.01)
        return train(group, path, {"epochs": 1})


def test_all_ranks_wait_for_a_disk(pair: Pair, tmp_path: Path) -> None:
    mine, theirs = pair.do(without_room, tmp_path / "c.pt")
    assert sum(isinstance(event, Unsaved) for event in mine) == 6  # at iterations 0 to 4, and once more
    assert [type(event) for event in mine] == [type(event) for event in theirs]
    assert isinstance(mine[-1], Finished)
    assert (tmp_path / "c.pt").exists()


def train_streamed(group: Group, path: Path, recipe: dict[str, Any]) -> list[Event]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("study.data.stream.on_device", lambda split, device: False)
        return train(group, path, recipe)


def test_the_imagenet_recipe_from_images_that_are_streamed(pair: Pair, tmp_path: Path) -> None:
    recipe = {
        "depth": 18,
        "width": 0.125,
        "augment": "imagenet",
        "test_views": "ten-crop",
        "batch_norm": "shared",
        "epochs": 2,
        "lr": 0.001,
        "deterministic": True,
    }
    one = train(ALONE, tmp_path / "one.pt", recipe)
    resident, _ = pair.do(train, tmp_path / "resident.pt", recipe)
    streamed, _ = pair.do(train_streamed, tmp_path / "streamed.pt", recipe)
    assert curve(streamed) == curve(resident)
    assert figures(streamed) == pytest.approx(figures(one), rel=1e-4)
    ends = [events[-1] for events in (one, streamed)]
    assert all(isinstance(end, Finished) and end.final_test_error_views is not None for end in ends)
    assert ends[0].final_test_error_views == ends[1].final_test_error_views  # type: ignore[union-attr]


def test_in_bfloat16_two_processes_learn_too(pair: Pair, tmp_path: Path) -> None:
    one, _ = pair.do(train, tmp_path / "fp32.pt", {"epochs": 6})
    two, _ = pair.do(train, tmp_path / "bf16.pt", {"epochs": 6, "precision": "bf16"})
    assert two[-1].final_train_loss != one[-1].final_train_loss  # it was really used
    assert two[-1].final_train_error == pytest.approx(one[-1].final_train_error, abs=10)


@pytest.mark.gpu
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="fewer than two CUDA devices")
@pytest.mark.parametrize("statistics", ["per_gpu", "shared"])
def test_two_gpus_compute_what_two_processors_do(pair: Pair, tmp_path: Path, statistics: str) -> None:
    recipe = {"batch_norm": statistics, "epochs": 1}
    expected, _ = pair.do(train, tmp_path / "cpu.pt", recipe)
    found, _ = pair.do(train, tmp_path / "gpu.pt", recipe, (None,), "cuda", kind="cuda")
    assert figures(found) == pytest.approx(figures(expected), rel=1e-2)
