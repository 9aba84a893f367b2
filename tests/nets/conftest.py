"""Nets this small run faster on one thread than on several."""

import pytest


@pytest.fixture(autouse=True, scope="module")
def _on_one_thread(one_thread: None) -> None:
    """Compute so in all tests of nets."""
