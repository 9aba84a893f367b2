"""What the tests of training share: small real data, and two processes that train one net."""

from collections.abc import Iterator

import pytest

from study.config import DatasetSpec
from study.data import Dataset, load_dataset
from tests.train.pair import Pair

DATA = DatasetSpec(name="digits", train_limit=300, test_limit=80)


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load_dataset(DATA)


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    made = Pair(tmp_path_factory.mktemp("pair"))
    yield made
    made.close()
