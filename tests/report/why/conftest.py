import pytest


@pytest.fixture(autouse=True, scope="module")
def _chapters_are_sketched(all_sketched: None) -> None:
    """What a chapter says rests on numbers; `tests/report/figures` draw them."""
