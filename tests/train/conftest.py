"""What the tests of training share: small real data."""

from typing import Any

import pytest
import torch
from torch import nn

from study.config import DatasetSpec
from study.data import Dataset, load_dataset

DATA = DatasetSpec(name="digits", train_limit=300, test_limit=80)


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load_dataset(DATA)


@pytest.fixture
def nets_with_dropout(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have runs train a small net with dropout, whatever their architecture."""

    def build(*_: Any, generator: torch.Generator, **__: Any) -> nn.Module:
        net = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.Dropout(0.5), nn.Linear(32, 10))
        for weight in net.parameters():
            nn.init.normal_(weight, std=0.1, generator=generator)
        return net

    monkeypatch.setattr("study.train.state.build_net", build)
