"""What is set before a study's first result, and which of several such protocols holds."""

from datetime import UTC, datetime

import pytest

from study.config import parse_grid
from study.config.protocol import RULE_VERSION, Protocol, governing, short_key, unused_changes

GRID = """
name: s
dataset: digits
recipe: {epochs: 1, lr: tune}
budgets: [1, 3]
grid: {net: [plain-8, plain-14, resnet-8], seed: [0, 3]}
"""
NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)


def protocol(*changes: str, results: int = 0, fingerprint: str = "f") -> Protocol:
    return Protocol.of(
        parse_grid(GRID, "s.yaml", changes),
        lambda spec: spec.run_key(fingerprint),
        NOON,
        {f"{n:020x}": f"{n:020x}" for n in range(results)},
    )


def test_holds_every_run_and_bound() -> None:
    made = protocol("smallest_effect=0.2", "rare_failure=0.05")
    grid = parse_grid(GRID, "s.yaml")
    assert (made.rule_version, made.smallest_effect, made.rare_failure) == (RULE_VERSION, 0.2, 0.05)
    assert (made.nets, made.seeds, made.budgets) == (("plain-8", "plain-14", "resnet-8"), (0, 3), (1.0, 3.0))
    assert set(made.keys) == {short_key(spec.run_key("f")) for spec in grid.points}
    assert len(made.keys) == len(grid.points) == 10
    assert Protocol.model_validate_json(made.model_dump_json()) == made


@pytest.mark.parametrize(
    "change",
    [
        "smallest_effect=1",
        "rare_failure=0.2",
        "budgets=[1, 2]",
        "grid.seed=[0, 4]",
        "grid.net=[plain-8, plain-14]",
        "recipe.epochs=2",
        "dataset.train_limit=100",
        "dataset.split_seed=1",
        "grid.split_seed=[0, 1]",
        "tune.trials=9",
        "tune.seed=7",
        "recipe.lr=0.1",
    ],
)
def test_whatever_is_changed_makes_another(change: str) -> None:
    assert protocol(change).id != protocol().id


def test_its_time_and_place_change_nothing() -> None:
    again = protocol("name=t", "tune.storage=postgresql://me:secret@db/optuna", results=3)
    assert again.id == protocol().id
    assert "secret" not in again.model_dump_json()
    assert protocol(fingerprint="g").id != protocol().id


def test_the_last_before_the_first_result_holds() -> None:
    first, second, late = protocol(), protocol("smallest_effect=1"), protocol("smallest_effect=2", results=4)
    assert governing([]) is None
    assert governing([first, second, late]) is second
    assert governing([late]) is late
    assert unused_changes([first, second]) == []
    assert unused_changes([first, second, late, protocol("smallest_effect=2", "grid.seed=[5]", results=9)]) == [
        "smallest_effect: 1, as set before the first result; 2 was asked for on 2026-11-27, after 4 results, and isn't "
        "used"
    ]


def test_names_the_runs_that_had_ended() -> None:
    grid = parse_grid(GRID, "s.yaml")
    tuned, given, other = (spec.run_key("f") for spec in grid.points[:3])
    made = Protocol.of(
        grid, lambda spec: spec.run_key("f"), NOON, {"r" * 20: tuned, given: "p" * 20, "q" * 20: "q" * 20}
    )
    assert made.results == 3
    assert set(made.ended) == {short_key(tuned), short_key(given)}
    assert short_key(other) in made.keys
    assert made.id == protocol().id
