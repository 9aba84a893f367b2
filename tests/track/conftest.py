import pytest


@pytest.fixture(scope="session", autouse=True)
def _copied_tables(copied_tables: None) -> None:
    """New databases take these tests no time."""
