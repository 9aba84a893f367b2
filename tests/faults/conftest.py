"""What the tests of faults share."""

import sys
from collections.abc import Iterator

import pytest
import torch
from torch import nn

from study.config import DatasetSpec, Recipe, RunSpec
from study.data import Normalizer
from study.inference import Predictor
from tests.launch.processes import STARTED


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("STUDY_CACHE", str(tmp_path / "cache"))


@pytest.fixture(autouse=True)
def _no_launcher_is_left() -> Iterator[None]:
    """End those that a test left; what all of them said is shown where the test failed."""
    yield
    while STARTED:
        launcher = STARTED.pop()
        launcher.kill_all()
        sys.stdout.write(f"{launcher.messages}:\n{launcher.messages.read_text()}")


@pytest.fixture
def predictor() -> Predictor:
    """What `study predict` has of a run, with a net that any image goes through."""
    net = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2)).eval()
    recipe = Recipe(epochs=1, precision="fp32")
    dataset = DatasetSpec(name="dogs-vs-cats", root="x")
    spec = RunSpec(dataset=dataset, architecture="plain", depth=8, recipe=recipe, seed=0)
    normalizer = Normalizer(torch.zeros(3, 1, 1), torch.ones(3, 1, 1))
    return Predictor(net, normalizer, spec, ("cat", "dog"), (3, 12, 12), torch.device("cpu"))
