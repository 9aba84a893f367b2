"""What the tests of training share: small real data, and one thread, so that sums are taken in one order."""

from collections.abc import Iterator

import pytest
import torch

from study.config import DatasetSpec
from study.data import Dataset, load_dataset
from tests.train.pair import Pair

DATA = DatasetSpec(name="digits", train_limit=300, test_limit=80)


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load_dataset(DATA)


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    made = Pair(tmp_path_factory.mktemp("pair"))
    yield made
    made.close()
