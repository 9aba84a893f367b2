import pytest
import yaml

from study.config import load_grid, parse_grid, resolved, shipped_grids

GRID = """
name: s
dataset: digits
recipe: {epochs: 3}
grid: {architecture: [plain, residual], depth: [8, 14], seed: [0, 1]}
include:
  - {architecture: residual, depth: 20, warmup: 40}
"""


def test_defaults_are_filled_in_and_points_named():
    whole = yaml.safe_load(resolved(parse_grid(GRID, "s.yaml")))
    assert whole["name"] == "s"
    assert whole["runs"] == 10
    assert whole["recipe"]["epochs"] == 3
    assert whole["recipe"]["momentum"] == 0.9  # a default
    assert whole["dataset"]["validation"] == 0.1
    assert whole["tune"]["trials"] == 8
    assert "warmup" not in whole["recipe"]  # the runs differ in it
    assert whole["nets"] == [
        *({"net": f"plain-{depth}", "warmup": 0, "shortcut": "none", "seeds": [0, 1]} for depth in (8, 14)),
        *({"net": f"resnet-{depth}", "warmup": 0, "shortcut": "A", "seeds": [0, 1]} for depth in (8, 14)),
        {"net": "resnet-20", "warmup": 40, "shortcut": "A", "seeds": [0, 1]},
    ]


@pytest.mark.parametrize("name", shipped_grids())
def test_every_run_of_a_shipped_grid_is_told_once(name):
    grid = load_grid(name)
    whole = yaml.safe_load(resolved(grid))
    told = [(net["net"], seed) for net in whole["nets"] for seed in net["seeds"]]
    assert sorted(told) == sorted((str(spec.net), spec.seed) for spec in grid.points)
    assert whole["runs"] == len(told)
