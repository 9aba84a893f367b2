"""Checkpoints by way of the artifact store, here MLflow's store of a folder: whatever is lost, a whole one is there."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from study.config import DatasetSpec, Recipe, RunSpec
from study.data import load_dataset
from study.events import Checkpointed, Diverged, Epoch, Event, Finished, Interrupted, Unsaved
from study.launch.messages import RESUME
from study.launch.worker import checkpoint_sync as module
from study.launch.worker.checkpoint_sync import WEIGHTS, Courier, carried
from study.track.artifacts import ArtifactPlace
from study.track.uri import Unreachable
from study.train import CheckpointPlan, Step, load_checkpoint, run_steps
from study.train.checkpoint import save_checkpoint
from study.train.step import take_step

CPU = torch.device("cpu")
SPEC = RunSpec(
    dataset=DatasetSpec(name="digits", train_limit=200, test_limit=50),
    architecture="plain",
    depth=8,
    recipe=Recipe(epochs=4, batch_size=50, lr=0.05, precision="fp32", augment="none"),
    seed=0,
)

DONE = Finished(7, 0.0, 0.0, 0.0, 0.0, 0.0, None, None, None, 1.0)


@pytest.fixture
def place(tmp_path: Path) -> ArtifactPlace:
    (tmp_path / "store").mkdir()
    return ArtifactPlace((tmp_path / "store").as_uri(), "")


def checkpoint(folder: Path, step: int) -> Path:
    save_checkpoint(folder / "checkpoint.pt", {"step": step})
    return folder / "checkpoint.pt"


def step_of(path: Path) -> int:
    return int(load_checkpoint(path, CPU)["step"])


def sent(courier: Courier) -> None:
    courier.send()
    courier.wait(lambda: False)
    assert courier.problem == ""


def test_the_newest_whole_one_is_fetched_on_another_machine(place: ArtifactPlace, tmp_path: Path) -> None:
    here = Courier(place, tmp_path / "a" / "checkpoint.pt")
    here.fetch()
    for step in (1, 2, 3):
        checkpoint(tmp_path / "a", step)
        sent(here)
    stored = tmp_path / "store" / RESUME
    assert sorted(step_of(path) for path in stored.iterdir()) == [2, 3]

    there = Courier(place, tmp_path / "b" / "checkpoint.pt")
    there.fetch()
    assert step_of(tmp_path / "b" / "checkpoint.pt") == 3
    checkpoint(tmp_path / "b", 4)
    sent(there)  # over the older of the two
    assert sorted(step_of(path) for path in stored.iterdir()) == [3, 4]

    newest = next(path for path in stored.iterdir() if step_of(path) == 4)
    newest.write_bytes(newest.read_bytes()[:-100])  # its machine was lost while it was stored
    third = Courier(place, tmp_path / "c" / "checkpoint.pt")
    third.fetch()
    assert step_of(tmp_path / "c" / "checkpoint.pt") == 3
    checkpoint(tmp_path / "c", 5)
    sent(third)
    assert {step_of(path) for path in stored.iterdir()} == {3, 5}


def test_a_newer_one_on_this_machine_stands(place: ArtifactPlace, tmp_path: Path) -> None:
    courier = Courier(place, checkpoint(tmp_path / "a", 1))
    sent(courier)
    path = checkpoint(tmp_path / "a", 2)
    again = Courier(place, path)
    again.fetch()
    assert step_of(path) == 2


def happenings(place: ArtifactPlace, folder: Path, stop_after: int = 10**6, keep: bool = True) -> Iterator[Event]:
    """Yield what a run says that is carried, stopped after so many steps."""
    taken = 0
    plan = CheckpointPlan(folder / "checkpoint.pt", every_seconds=0)
    dataset = load_dataset(SPEC.dataset)

    def stop() -> bool:
        return taken >= stop_after

    steps = run_steps(SPEC, dataset, CPU, plan, stop=stop)
    for happened in carried(steps, Courier(place, plan.path), keep=keep, stop=stop):
        if isinstance(happened, Step):
            taken += 1
            take_step(happened)
        else:
            yield happened


def curve(events: list[Event]) -> list[tuple[int, float, float]]:
    return [(point.step, point.train_loss, point.test_loss) for point in events if isinstance(point, Epoch)]


def test_a_run_goes_on_where_nothing_of_its_disk_is_left(place: ArtifactPlace, tmp_path: Path) -> None:
    whole = list(happenings(ArtifactPlace((tmp_path / "other").as_uri(), ""), tmp_path / "w"))
    first = list(happenings(place, tmp_path / "a", stop_after=9))
    assert first[-1] == Interrupted(9)
    shutil.rmtree(tmp_path / "a")
    rest = list(happenings(place, tmp_path / "b"))
    assert rest[0].step == 9  # type: ignore[union-attr] # Started
    assert curve(first) + curve(rest) == curve(whole)
    assert isinstance(rest[-1], Finished)
    assert step_of(tmp_path / "store" / WEIGHTS / "checkpoint.pt") == 12


def test_a_trials_weights_are_not_kept(place: ArtifactPlace, tmp_path: Path) -> None:
    assert isinstance(list(happenings(place, tmp_path / "a", keep=False))[-1], Finished)
    assert not (tmp_path / "store" / WEIGHTS).exists()


@pytest.mark.parametrize("end", [DONE, Diverged(7, 90.0, 1.0)])
def test_nothing_is_on_its_way_when_a_run_is_said_to_be_over(
    end: Event, place: ArtifactPlace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its launcher deletes then what was there to go on from."""
    put = ArtifactPlace.put

    def slow(self: ArtifactPlace, file: Path, folder: str) -> None:
        time.sleep(0.5)
        put(self, file, folder)

    monkeypatch.setattr(ArtifactPlace, "put", slow)
    courier = Courier(place, checkpoint(tmp_path / "a", 7))
    for happened in carried(iter([Checkpointed(7), end]), courier, keep=False, stop=lambda: False):
        if happened == end:
            assert not courier.busy
            assert [step_of(path) for path in (tmp_path / "store" / RESUME).iterdir()] == [7]


def test_a_store_that_is_away_is_said_and_waited_for(
    place: ArtifactPlace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[str] = []
    put = ArtifactPlace.put

    def away(self: ArtifactPlace, file: Path, folder: str) -> None:
        tries.append(folder)
        if folder == RESUME or tries.count(WEIGHTS) == 1:
            raise Unreachable("the bucket is away")
        put(self, file, folder)

    monkeypatch.setattr(ArtifactPlace, "put", away)
    monkeypatch.setattr(module, "AGAIN_SECONDS", 0.1)
    events = list(happenings(place, tmp_path / "a"))
    said = [event for event in events if isinstance(event, Unsaved)]
    assert {event.reason for event in said} == {"the bucket is away"}
    assert len(said) < 4  # not at every checkpoint
    assert isinstance(events[-1], Finished)
    assert tries.count(WEIGHTS) == 2
    assert step_of(tmp_path / "store" / WEIGHTS / "checkpoint.pt") == 12


def test_a_stop_while_the_store_is_away_leaves_the_run_to_go_on(
    place: ArtifactPlace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise Unreachable("the bucket is away")

    monkeypatch.setattr(ArtifactPlace, "put", away)
    began = time.monotonic()

    def stop() -> bool:
        return time.monotonic() - began > 0.5

    courier = Courier(place, checkpoint(tmp_path / "a", 7))
    events = list(carried(iter([Checkpointed(7), DONE]), courier, keep=True, stop=stop))
    assert events[-1] == Interrupted(7)


def test_a_store_that_does_not_answer_at_first_breaks_the_run_for_a_passing_cause(
    place: ArtifactPlace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise Unreachable("the bucket is away")

    monkeypatch.setattr(ArtifactPlace, "get", away)
    with pytest.raises(OSError, match="the bucket is away"):  # what a worker tells its launcher to try again
        next(happenings(place, tmp_path / "a"))
