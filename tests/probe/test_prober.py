"""Probes in the course of a real run on digits."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from study.config import PROBES, DatasetSpec, ProbePlan, Probes, Recipe, RunSpec
from study.data import Dataset, load_dataset
from study.events import Epoch, Event, Finished, Interrupted, Probed, Started
from study.probe import Prober
from study.train import CheckpointPlan, load_checkpoint, run

CPU = torch.device("cpu")
DATA = DatasetSpec(name="digits", train_limit=200, test_limit=50)
PLAN = ProbePlan(
    probes=Probes(steps=(0, 1, 4), images=60, points=3, noise=(0.0, 0.1), rates=(1.0,), continuation=0.5),
    names=PROBES,
    targets=(14,),
)


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load_dataset(DATA)


def spec(architecture: str = "plain", depth: int = 8, **recipe: Any) -> RunSpec:
    fields = {"epochs": 3, "batch_size": 64, "lr": 0.05, "precision": "fp32"} | recipe
    return RunSpec(dataset=DATA, architecture=architecture, depth=depth, recipe=Recipe(**fields), seed=0)  # type: ignore[arg-type]


def events(
    one: RunSpec, digits: Dataset, path: Path, plan: ProbePlan | None = PLAN, stop: Callable[[], bool] | None = None
) -> list[Event]:
    more: dict[str, Any] = {"probe": Prober(plan)} if plan is not None else {}
    if stop is not None:
        more["stop"] = stop
    return list(run(one, digits, CPU, CheckpointPlan(path), **more))


def figures(happened: list[Event]) -> list[Any]:
    """Return what must be the same in every attempt: times and speeds left out."""
    points = [event for event in happened if isinstance(event, Epoch)]
    ends = [event for event in happened if isinstance(event, Finished)]
    timeless = [replace(point, seconds=0, images_per_second=0, memory_mib=0, time=0) for point in points]
    return timeless + [replace(end, seconds=0) for end in ends]


def measured(happened: list[Event]) -> list[Probed]:
    return [event for event in happened if isinstance(event, Probed)]


@pytest.fixture(scope="module")
def whole(digits: Dataset, tmp_path_factory: pytest.TempPathFactory) -> list[Event]:
    return events(spec(), digits, tmp_path_factory.mktemp("whole") / "c.pt")


def test_each_probe_is_made_at_its_iterations(whole: list[Event]) -> None:
    # 180 images in batches of 64: 2 iterations an epoch, 6 in all
    assert [(found.probe, found.step) for found in measured(whole)] == [
        ("responses", 0),
        ("gradients", 0),
        ("shattering", 0),
        ("curvature", 0),
        ("responses", 1),
        ("gradients", 1),
        ("curvature", 1),
        ("responses", 4),
        ("gradients", 4),
        ("curvature", 4),
        *((name, 6) for name in PROBES),
    ]


def test_every_table_is_there_and_its_columns_are_equally_long(whole: list[Event]) -> None:
    tables = {name: table for found in measured(whole) for name, table in found.tables.items()}
    assert set(tables) == {
        "responses",
        "gradients",
        "shattering",
        "construction",
        "continuation",
        "lesion",
        "surface",
        "surface_summary",
        "curvature",
        "ranks",
    }  # fmt: skip (plain-8 has no two blocks of one shape to swap)
    for table in tables.values():
        assert len({len(column) for column in table.values()}) == 1
        assert all(isinstance(value, int | float | str | bool) for column in table.values() for value in column)
    assert len(tables["surface"]["loss"]) == 2 * 9
    assert tables["construction"]["statistics"] == ["unit", "measured"]
    assert tables["continuation"]["target"] == [14] * 8 + [8] * 4
    assert set(tables["continuation"]["rate"]) == {0.05}
    assert tables["continuation"]["iteration"] == [0, 1, 2, 3] * 3


def test_the_built_net_has_the_training_error_of_the_shallow_one(whole: list[Event]) -> None:
    built = next(found.tables["construction"] for found in measured(whole) if found.probe == "construction")
    finished = whole[-1]
    assert isinstance(finished, Finished)
    assert list(built["error"]) == list(built["shallow_error"]) == [finished.final_train_error] * 2
    assert max(map(float, built["largest_difference"])) < 1e-4
    assert list(built["changed"]) == [0, 0]
    assert (list(built["images"]), list(built["training_images"])) == ([180] * 2, [128] * 2)  # 2 batches of 64 an epoch
    assert all(0 <= int(changed) <= 128 for changed in built["training_changed"])
    assert min(map(float, built["training_largest_difference"])) > max(map(float, built["largest_difference"]))


def test_curvature_is_measured_with_the_loss_beside_it_and_ranks_at_the_end(whole: list[Event]) -> None:
    followed = [found.tables for found in measured(whole) if found.probe == "curvature"]
    assert [set(tables) for tables in followed] == [{"curvature"}] * 3 + [{"curvature", "ranks"}]
    losses = [float(tables["curvature"]["loss"][0]) for tables in followed]
    assert losses[0] > math.log(10) > losses[-1]  # batch statistics: even at first they are those of the images
    assert all(float(tables["curvature"]["eigenvalue"][0]) > 0 for tables in followed)


def test_weights_turn_from_where_they_were_drawn(whole: list[Event]) -> None:
    turns = [list(found.tables["gradients"]["turn"]) for found in measured(whole) if found.probe == "gradients"]
    assert turns[0] == [0.0] * 7
    assert all(0 < float(early) < float(late) for early, late in zip(turns[1], turns[-1], strict=True))


def test_a_run_goes_as_if_nothing_were_measured(whole: list[Event], digits: Dataset, tmp_path: Path) -> None:
    alone = events(spec(), digits, tmp_path / "c.pt", plan=None)
    assert measured(alone) == []
    assert figures(alone) == figures(whole)


class Asked:
    """Says stop when it has been asked so often."""

    def __init__(self, most: float = math.inf) -> None:
        self.most = most
        self.times = 0

    def __call__(self) -> bool:
        self.times += 1
        return self.times > self.most


@pytest.fixture(scope="module")
def asked(digits: Dataset, tmp_path_factory: pytest.TempPathFactory) -> int:
    """How often a whole run asks whether to stop."""
    asked = Asked()
    events(spec(), digits, tmp_path_factory.mktemp("asked") / "c.pt", stop=asked)
    return asked.times


@pytest.mark.parametrize("part", [0.02, 0.2, 0.5, 0.9])
def test_a_run_stopped_anywhere_measures_everything_once(
    whole: list[Event], digits: Dataset, tmp_path: Path, asked: int, part: float
) -> None:
    """Also where it is stopped in the middle of a probe."""
    stop = Asked(part * asked)
    first = events(spec(), digits, tmp_path / "c.pt", stop=stop)
    assert isinstance(first[-1], Interrupted)
    second = events(spec(), digits, tmp_path / "c.pt")
    started = second[0]
    assert isinstance(started, Started)
    assert [*started.probed, *measured(second)] == measured(whole)
    assert figures([*started.history, *second]) == figures(whole)


def test_the_checkpoint_holds_what_was_measured(digits: Dataset, tmp_path: Path) -> None:
    plan = PLAN.model_copy(update={"names": ("gradients",)})
    found = measured(events(spec(), digits, tmp_path / "c.pt", plan=plan))
    kept = load_checkpoint(tmp_path / "c.pt", CPU)["probed"]
    assert [one["step"] for one in kept] == [one.step for one in found] == [0, 1, 4, 6]


def test_what_does_not_apply_to_a_net_has_no_table(digits: Dataset, tmp_path: Path) -> None:
    plan = PLAN.model_copy(update={"names": ("construction", "lesion")})
    found = measured(events(spec("residual"), digits, tmp_path / "c.pt", plan=plan))
    tables = {one.probe: one.tables for one in found}
    assert tables["construction"] == {}
    assert list(tables["lesion"]) == ["lesion"]


def test_a_diverged_run_keeps_what_was_measured_before(digits: Dataset, tmp_path: Path) -> None:
    happened = events(spec(lr=1e30), digits, tmp_path / "c.pt", plan=PLAN.model_copy(update={"names": ("gradients",)}))
    assert measured(happened)[0].step == 0
    assert not any(found.step == 6 for found in measured(happened))
