"""What the tests of MLflow's records share."""

import pytest

from tests import databases


@pytest.fixture(scope="session", autouse=True)
def _copied_tables() -> None:
    databases.copy_tables()
