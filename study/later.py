"""Names of a package that are loaded when they're first asked for (PEP 562)."""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module


def later(package: str, places: Mapping[str, Sequence[str]]) -> Callable[[str], object]:
    """Return a package's `__getattr__`: `places` are the names that each of its modules has."""
    place = {name: module for module, names in places.items() for name in names}

    def load(name: str) -> object:
        if name not in place:
            raise AttributeError(f"module '{package}' has no attribute '{name}'")
        return getattr(import_module(f"{package}.{place[name]}"), name)

    return load
