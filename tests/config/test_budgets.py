import re
from pathlib import Path

import pytest

from study.config import parse_grid
from study.errors import GridError
from study.launch.plan.cells import DataFacts, make_cells
from study.track.frames import load_runs, load_trials
from tests.conftest import run_study
from tests.launch.processes import uri

GRID = """
name: g
dataset: {name: digits, train_limit: 200, test_limit: 50}
recipe: {epochs: 1, batch_size: 32, lr: tune}
tune: {trials: 1, widen: 0, sampler: none}
budgets: [1, 3]
grid:
  architecture: [plain, residual]
  depth: [8, 14, 20]
  seed: [0]
"""
FACTS = DataFacts("f", 180, 50, 10, (1, 8, 8))


def names(text):
    return [cell.name for cell in make_cells(parse_grid(text, "g.yaml"), FACTS)]


def test_the_ends_of_each_architecture_train_for_longer_too():
    longer = [name for name in names(GRID) if "budget" in name]
    assert longer == [f"{net} (budget=3)" for net in ("plain-8", "plain-20", "resnet-8", "resnet-20")]
    assert len(names(GRID)) == 6 + 4
    assert len(names(GRID.replace("budgets: [1, 3]", ""))) == 6
    assert len(names(GRID.replace("budgets: [1, 3]", "budgets: [1, 3, 10]"))) == 6 + 8
    assert len(names(GRID.replace("[8, 14, 20]", "[8]"))) == 2


def test_modified_nets_and_given_runs_are_left_as_they_are():
    text = GRID + "include:\n  - {net: plain-26, initialisation: dirac}\n"
    text = text.replace("  architecture: [plain, residual]\n  depth: [8, 14, 20]", "  net: [plain-8, plain-20]")
    assert [name for name in names(text) if "budget" in name] == ["plain-8 (budget=3)", "plain-20 (budget=3)"]
    axis = GRID.replace("budgets: [1, 3]\n", "").replace("  seed: [0]", "  seed: [0]\n  budget: [1, 3]")
    assert len([name for name in names(axis) if "budget" in name]) == 6
    assert sorted(names(axis.replace("grid:", "budgets: [1, 3]\ngrid:"))) == sorted(names(axis))


def test_a_deepest_net_with_its_own_warm_up_is_a_headline_net():
    text = GRID.replace("lr: tune", "lr: 0.1") + "include:\n  - {depth: 26, warmup: 4}\n"
    longer = {name.split(" (")[0] for name in names(text) if "budget" in name}
    assert longer == {"plain-8", "plain-26", "resnet-8", "resnet-26"}


def test_a_longer_training_has_the_search_of_the_training_once_as_long():
    cells = {cell.name: cell for cell in make_cells(parse_grid(GRID, "g.yaml"), FACTS)}
    once, longer = cells["plain-20"], cells["plain-20 (budget=3)"]
    assert once.search_key == longer.search_key
    assert (once.owns_search, longer.owns_search) == (True, False)
    assert longer.trial_cost == 0
    assert longer.run_cost == pytest.approx(3 * once.run_cost)


def test_the_schedule_is_scaled():
    text = GRID.replace("epochs: 1", "iterations: 40, warmup: 4, milestones: [20, 0.75]").replace("lr: tune", "lr: 1.0")
    spec = next(spec for spec in parse_grid(text, "g.yaml").points if spec.recipe.budget == 3)
    total = spec.recipe.total_iterations(180)
    assert total == 120
    assert [round(spec.recipe.lr_at(step, total), 3) for step in (0, 11, 12, 59, 60, 89, 90)] == [
        0.1,
        0.1,
        1,
        1,
        0.1,
        0.1,
        0.01,
    ]


@pytest.mark.parametrize(
    ("budgets", "message"),
    [
        ("[3]", "'budgets' must hold 1, the recipe's own length: [1, 3]"),
        ("[1, 0.5]", "'budgets' are multiples of the recipe's length from 1 to 1000, such as [1, 3], not 0.5"),
        ("[1, true]", "not True"),
        ("[1, x]", "not 'x'"),
        ("{once: 3}", "not {'once': 3}"),
        ("", "not None"),
    ],
)
def test_bad_budgets(budgets, message):
    with pytest.raises(GridError, match=rf"^g\.yaml:6: .*{re.escape(message)}"):
        parse_grid(GRID.replace("[1, 3]", budgets), "g.yaml")


def test_budgets_run_at_the_rate_of_one_search(tmp_path: Path):
    (tmp_path / "g.yaml").write_text(GRID.replace("[8, 14, 20]", "[8, 14]").replace("[plain, residual]", "[plain]"))
    done = run_study(tmp_path, "run", "--grid", "g.yaml", "--workers", "2")
    assert done.returncode == 0, done.stderr
    runs = load_runs("g", uri(tmp_path))
    assert sorted(runs["net"] + runs["variant"]) == ["plain-14", "plain-14budget=3", "plain-8", "plain-8budget=3"]
    assert runs.groupby("net")["lr"].nunique().max() == 1
    assert dict(zip(runs["variant"], runs["total_iterations"], strict=True)) == {"": 5, "budget=3": 15}
    assert set(load_trials("g", uri(tmp_path))["variant"]) == {""}
    again = run_study(tmp_path, "run", "--grid", "g.yaml")
    assert "4 runs were done before" in again.stderr
