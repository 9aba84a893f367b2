"""YAML with line numbers: the values of a grid file, and the line of each key and value."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from yaml.constructor import SafeConstructor

from study.errors import GridError, nearest, printable

MAX_BYTES = 1_000_000
MAX_VALUES = 100_000
MAX_DIGITS = 100
"""Maximal characters of a number: PyYAML takes quadratic time for `1:1:1:...`, YAML 1.1's notation of base 60."""
MAX_MESSAGE = 1000
"""Maximal characters of a message."""
NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")

Place = tuple[str | int, ...]
"""The way to a value from the top of the file: ``("grid", "depth", 2)``."""


class _Loader(yaml.SafeLoader):
    """Safe YAML in which `1e-3` is a number, as in YAML 1.2 (PyYAML's 1.1 reads a string)."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


@dataclass(frozen=True)
class Source:
    """A parsed grid file: its name for messages, its values, and the line of each place."""

    name: str
    values: dict[str, Any]
    lines: dict[Place, int]
    settings: dict[Place, str] = field(default_factory=dict)
    """The places that ``--set`` put over the file's, with the setting's text."""

    def where(self, place: Place) -> str:
        """Return ``file:line`` for a place, or for the nearest one above it in the file (or a setting)."""
        while place and place not in self.lines:
            place = place[:-1]
        if place in self.settings:
            return self.settings[place]
        line = self.lines.get(place)
        return f"{self.name}:{line}" if line else self.name

    def error(self, place: Place, problem: str) -> GridError:
        """Return the error for what is wrong at a place."""
        return GridError(f"{self.where(place)}: {problem}")

    def unknown_key(self, place: Place, key: str, known: list[str]) -> GridError:
        """Return the error for a key that the schema doesn't have at a place."""
        inside = f" under '{_dotted(place)}'" if place else ""
        hint = nearest(key, known) or f"; known: {', '.join(known)}"
        return self.error((*place, key), f"unknown key '{short(key)}'{inside}{hint}")

    def get(self, place: Place) -> Any:
        """Return the value at a place; None if there is none."""
        if place not in self.lines:
            return None
        value: Any = self.values
        for part in place:
            value = value[part]
        return value

    def mapping(self, place: Place) -> dict[str, Any]:
        """Return the mapping at a place; an empty one if there is none."""
        value = self.get(place)
        return {} if value is None else self.as_mapping(place, value)

    def as_mapping(self, place: Place, value: Any) -> dict[str, Any]:
        """Return a value of the place if it is a mapping."""
        if not isinstance(value, dict):
            raise self.error(place, f"'{_dotted(place)}' must be a mapping of keys to values")
        return value

    def list_at(self, key: str) -> list[Any]:
        """Return the list of mappings under a key; an empty one if there is none."""
        value = self.get((key,))
        if not isinstance(value, list | None):
            raise self.error((key,), f"'{key}' must be a list of mappings")
        return value or []

    def axis(self, place: Place) -> list[Any]:
        """Return the values of an axis; a single value is an axis of one. Milestones are lists themselves."""
        value = self.get(place)
        if place[-1] == "milestones" and isinstance(value, list) and not any(isinstance(item, list) for item in value):
            return [value]
        values = value if isinstance(value, list) else [value]
        if not values:
            raise self.error(place, f"axis '{place[-1]}' has no values")
        return values

    def put(self, keys: Place, parsed: "Source", setting: str) -> None:
        """Note that the values at `keys` are now a setting's, `parsed` from ``value: ...``."""
        for place in [place for place in self.lines if place[: len(keys)] == keys]:
            del self.lines[place]
        above = [keys[:depth] for depth in range(1, len(keys)) if keys[:depth] not in self.lines]
        below = [(*keys, *place[1:]) for place in parsed.lines if place]
        for place in above + below:
            self.lines[place] = 0
            self.settings[place] = setting


def read_source(text: str, name: str) -> Source:
    """Parse the text of a grid file.

    Raises:
        GridError: not YAML, not a mapping, a key given twice, or a file too large to be a grid.
    """
    if len(text) > MAX_BYTES:
        raise GridError(f"{name}: {len(text):,} characters are too many for a grid file (at most {MAX_BYTES:,})")
    lines: dict[Place, int] = {}
    try:
        node = yaml.compose(text, Loader=_Loader)
        values = None if node is None else _build(node, (), lines, name, active=set())
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise GridError(f"{name}{line}: not valid YAML: {problem}") from None
    except RecursionError:
        raise GridError(f"{name}: not valid YAML: nested too deeply") from None
    except (ValueError, OverflowError) as error:  # PyYAML's, of `"\Uffffffff"` and such
        raise GridError(f"{name}: not valid YAML: {error}") from None
    if node is None:
        raise GridError(f"{name}: the file is empty; `study grids show digits` prints one to start from")
    if not isinstance(values, dict):
        kind = "list" if isinstance(values, list) else "single value"
        raise GridError(f"{name}:1: a grid file is a mapping of keys (name, dataset, recipe, grid), not a {kind}")
    return Source(name, values, lines)


def _build(node: yaml.Node, place: Place, lines: dict[Place, int], name: str, active: set[int]) -> Any:
    """Turn a node into plain values and note the line of each; refuse repeated keys, cycles and floods of aliases."""
    line = node.start_mark.line + 1
    lines.setdefault(place, line)
    if len(lines) > MAX_VALUES:
        raise GridError(f"{name}:{line}: more than {MAX_VALUES:,} values, counting what aliases repeat")
    if id(node) in active:
        raise GridError(f"{name}:{line}: an alias that contains itself")
    if isinstance(node, yaml.ScalarNode):
        return _scalar(node, name, line)
    active.add(id(node))
    try:
        if isinstance(node, yaml.SequenceNode):
            return [_build(child, (*place, i), lines, name, active) for i, child in enumerate(node.value)]
        return _mapping(node, place, lines, name, active)
    finally:
        active.discard(id(node))


def _mapping(node: yaml.Node, place: Place, lines: dict[Place, int], name: str, active: set[int]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if key_node.tag == "tag:yaml.org,2002:merge":
            raise GridError(f"{name}:{line}: merge keys (<<) aren't used in grid files: write the keys out")
        if not isinstance(key_node, yaml.ScalarNode):
            raise GridError(f"{name}:{line}: a key must be a word")
        key = str(key_node.value)
        if key in out:
            raise GridError(f"{name}:{line}: key '{short(key)}' is given twice (first on line {lines[(*place, key)]})")
        lines[(*place, key)] = line
        out[key] = _build(value_node, (*place, key), lines, name, active)
    return out


def _scalar(node: yaml.ScalarNode, name: str, line: int) -> Any:
    if node.tag in NUMBERS and len(node.value) > MAX_DIGITS:
        raise GridError(f"{name}:{line}: {short(node.value)} is too large a number")
    try:
        value = SafeConstructor().construct_object(node)
    except (yaml.YAMLError, ValueError, OverflowError, LookupError, AttributeError):  # PyYAML's, of `!!bool x` and such
        raise GridError(f"{name}:{line}: '{short(node.value)}' isn't a plain value") from None
    if isinstance(value, int) and value.bit_length() > 64:
        raise GridError(f"{name}:{line}: {short(node.value)} is too large a number")
    if not isinstance(value, str | int | float | bool | None):
        return str(node.value)  # a date, say: let the schema refuse it as text
    return value


def short(text: str) -> str:
    """Shorten a long text to its start, for a message."""
    return text if len(text) <= 80 else f"{text[:77]}..."


@contextmanager
def in_one_line() -> Iterator[None]:
    """Make the message of a GridError one line of printable characters."""
    try:
        yield
    except GridError as error:
        text = str(error)
        text = text if len(text) <= MAX_MESSAGE else f"{text[:MAX_MESSAGE]}..."
        error.args = (printable(text),)
        raise


def _dotted(place: Place) -> str:
    return ".".join(map(str, place))


def load_text(path: Path) -> str:
    """Read a grid file, or another small text, at most one character beyond the allowed size.

    Raises:
        GridError: no such file, a folder, not readable, or not UTF-8.
    """
    try:
        with path.open(encoding="utf-8") as file:
            return file.read(MAX_BYTES + 1)
    except UnicodeDecodeError:
        raise GridError(f"{path}: not a text file (UTF-8 was expected)") from None
    except OSError as error:
        raise GridError(f"{path}: {error.strerror or error}") from None
