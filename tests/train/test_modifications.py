"""Modifications in training: each trains, none leaks into others, and kept weights predict as the run did."""

from pathlib import Path
from typing import Any

import pytest
import torch

from study.config import Recipe, RunSpec
from study.data import Dataset
from study.events import Epoch, Finished
from study.inference import load_predictor
from study.nets import PAPER
from study.train import CheckpointPlan, Group, build_spec_net, design_of, run
from study.train.state import build_state
from tests.train.conftest import DATA

CPU = torch.device("cpu")
MODIFICATIONS: list[tuple[str, dict[str, Any]]] = [
    ("residual", {"shortcut_scale": 0.5}),
    ("residual", {"shortcut_scale": 0, "shortcut": "B"}),
    ("residual", {"preactivation": True, "shortcut": "B"}),
    ("plain", {"preactivation": True}),
    ("residual", {"scaling": "rezero"}),
    ("residual", {"scaling": "skipinit", "shortcut": "B"}),
    ("residual", {"scaling": "fixup"}),
    ("plain", {"scaling": "fixup"}),
    ("plain", {"batch_norm": "none"}),
    ("plain", {"initialisation": "xavier"}),
    ("plain", {"initialisation": "orthogonal"}),
    ("plain", {"initialisation": "delta-orthogonal", "activation": "tanh", "batch_norm": "none"}),
    ("plain", {"initialisation": "dirac"}),
    ("plain", {"activation": "tat", "batch_norm": "none"}),
    ("plain", {"activation": "dks", "batch_norm": "none", "preactivation": True}),
]

pytestmark = pytest.mark.usefixtures("one_thread")


def make_spec(architecture: str, **recipe: Any) -> RunSpec:
    fields = {"iterations": 2, "batch_size": 64, "lr": 0.01, "precision": "fp32"} | recipe
    return RunSpec(dataset=DATA, architecture=architecture, depth=8, recipe=Recipe(**fields), seed=0)  # type: ignore[arg-type]


@pytest.mark.parametrize(("architecture", "recipe"), MODIFICATIONS, ids=str)
def test_two_steps_and_the_kept_weights_predict(
    architecture: str, recipe: dict[str, Any], digits: Dataset, tmp_path: Path
) -> None:
    spec = make_spec(architecture, **recipe)
    *_, point, _, finished = run(spec, digits, CPU, CheckpointPlan(tmp_path / "c.pt"))
    assert isinstance(point, Epoch)
    assert isinstance(finished, Finished)
    assert 0 < point.train_loss < 10
    # As the command gets it: the specification in JSON, and the file.
    predictor = load_predictor(RunSpec.model_validate_json(spec.model_dump_json()), tmp_path / "c.pt", CPU)
    wrong = predictor.probabilities(digits.test.images).argmax(1) != digits.test.labels
    assert 100 * wrong.double().mean().item() == pytest.approx(finished.final_test_error)


def test_each_modification_is_another_net_to_join_and_to_keep(digits: Dataset) -> None:
    specs = [
        make_spec("plain"),
        make_spec("residual"),
        *(make_spec(architecture, **recipe) for architecture, recipe in MODIFICATIONS),
    ]
    states = [build_state(spec, digits, CPU) for spec in specs]
    architectures = [state.architecture for state in states]
    assert len(set(architectures)) == len(specs) - 2  # a plain net has no branch to scale, and one order of layers
    joinable = [design_of(spec).is_common for spec in specs]
    assert [state.can_join for state in states] == joinable
    assert joinable.count(True) == 10


def test_a_specification_without_modifications_is_the_papers() -> None:
    assert design_of(make_spec("plain")) == PAPER
    assert design_of(make_spec("residual")) == PAPER


@pytest.mark.parametrize("scaling", ["skipinit", "fixup", "rezero"])
def test_a_plain_net_ignores_how_branches_are_scaled(scaling: str) -> None:
    plain, scaled = (
        build_spec_net(spec, 10, 1, torch.Generator().manual_seed(0)).state_dict()
        for spec in (make_spec("plain"), make_spec("plain", scaling=scaling, shortcut_scale=0.5))
    )
    assert list(plain) == list(scaled)
    assert all(torch.equal(plain[key], scaled[key]) for key in plain)


def test_nothing_is_shared_where_there_is_no_batch_norm(digits: Dataset) -> None:
    spec = make_spec("plain", batch_norm="none", gpus_per_run=2)
    names = {type(module).__name__ for module in build_state(spec, digits, CPU, Group()).net.modules()}
    assert not any("Norm" in name for name in names)
