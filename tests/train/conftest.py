"""What the tests of training share: small real data."""

import pytest

from study.config import DatasetSpec
from study.data import Dataset, load_dataset

DATA = DatasetSpec(name="digits", train_limit=300, test_limit=80)


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load_dataset(DATA)
