"""Probes of a run over several processes: each measures all, and finds what one process alone finds."""

from pathlib import Path
from typing import Any

import pytest
import torch

from study.config import PROBES, DatasetSpec, ProbePlan, Probes, Recipe, RunSpec
from study.data import load_dataset
from study.events import Probed
from study.probe import Prober
from study.train import CheckpointPlan, run
from study.train.parallel import ALONE, Group
from tests.train.pair import Pair

DATA = DatasetSpec(name="digits", train_limit=100, test_limit=50)
PLAN = ProbePlan(
    probes=Probes(steps=(0,), images=40, points=3, noise=(0.0,), continuation=0.5), names=PROBES, targets=(14,)
)


def measured(group: Group, path: Path, ranks: int) -> list[Probed]:
    recipe = Recipe(iterations=2, batch_size=32, lr=0.05, precision="fp32", gpus_per_run=ranks, batch_norm="shared")
    spec = RunSpec(dataset=DATA, architecture="plain", depth=8, recipe=recipe, seed=0)
    happened = run(spec, load_dataset(DATA), torch.device("cpu"), CheckpointPlan(path), probe=Prober(PLAN), group=group)
    return [event for event in happened if isinstance(event, Probed)]


def test_two_processes_measure_what_one_does(pair: Pair, tmp_path: Path) -> None:
    alone = measured(ALONE, tmp_path / "one.pt", 1)
    mine, theirs = pair.do(measured, tmp_path / "two.pt", 2)
    assert repr(mine) == repr(theirs)  # NaN is not itself
    assert [(one.probe, one.step) for one in mine] == [(one.probe, one.step) for one in alone]
    for one, other in zip(alone, mine, strict=True):
        assert set(one.tables) == set(other.tables)
        if one.step == 0:  # later, rounding has grown
            for name, table in one.tables.items():
                for column, values in table.items():
                    assert close(list(values), list(other.tables[name][column])), (name, column)


def close(a: list[Any], b: list[Any]) -> bool:
    near = [pytest.approx(one, rel=1e-3, abs=1e-5, nan_ok=True) if isinstance(one, float) else one for one in b]
    return a == near
