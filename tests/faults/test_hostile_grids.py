"""Grid files from strangers: whatever one holds, it is a grid, or soon a `GridError` of one line."""

import json
import random

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from study.config import Grid, load_grid, parse_grid
from study.config.source import MAX_MESSAGE
from study.errors import GridError
from tests.config.test_grid_fuzz import GRIDS, HEAD, KEYS, WORDS

from .limits import below, within
from .scale import injections

PIECES = [
    *WORDS,
    "&a {a: *a}",
    "<<: *a",
    "!!python/object/apply:os.system [id]",
    "!!python/name:os.system",
    "%TAG ! x:",
    '"\\e[2J"',
    '"\\0"',
    '"\\u202e"',
    "? ",
    "|\n  ",
    "1:59:59",
    "0b1",
    "0o9",
    "~",
    "=",
    "!",
    "!<x> 1",
    "../../etc",
    "9" * 30,
    "1e-400",
    "-.inf",
    "99999999999999999999",
    "plain-99998",
    "[8, 8.0, true]",
    "\x85",
    "\u2028",
    "\ufeff",
]
VALUES = {
    "name": ["a", "../a", "/etc/passwd", "a/b", "C:\\x", "a\0", "\x1b[31m", "", ".", "..", "x" * 200],
    "dataset": ["digits", "image-folder", "../digits", {"name": "image-folder", "root": "~nobody\0"}],
    "net": ["plain-8", "resnet-20", "vgg-16", "plain-99998", "plain-0", "\x1b[2J", "plain-8\n"],
    "architecture": ["plain", "residual", "vgg", "<script>"],
    "depth": [8, 14, 20, -2, 6 * 10**15 + 2, 8.0, True],
    "seed": [0, 1, -1, 2**64 - 1, 2**64, 0.5],
    "lr": [0.1, "tune", 1e-300, 1e308, -0.0],
}


def read(text: str, *changes: str) -> Grid | str:
    """Return the grid, or the message with which it was refused; anything else that comes out fails the test."""
    with within(10):
        try:
            grid = parse_grid(text, "g.yaml", changes)
        except GridError as error:
            message = str(error)
            assert message.isprintable(), message  # one line, and nothing that steers a terminal
            assert 0 < len(message) <= MAX_MESSAGE + 3
            return message
    assert isinstance(grid, Grid)
    assert 0 < len(grid.points) <= 20_000
    return grid


hostile = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)


def value_of(key: str) -> st.SearchStrategy:
    usual = st.sampled_from(VALUES[key]) if key in VALUES else hostile
    return usual | st.lists(usual, max_size=4) | hostile


axes = st.lists(st.sampled_from([*KEYS, "net", "depth"]), max_size=4, unique=True).flatmap(
    lambda keys: st.fixed_dictionaries({key: value_of(key) for key in keys})
)
grids = st.fixed_dictionaries(
    {"name": value_of("name"), "dataset": value_of("dataset"), "grid": axes | hostile},
    optional={
        "recipe": st.just({"epochs": 1}) | axes,
        "include": st.lists(axes, max_size=2) | hostile,
        "exclude": st.lists(axes, max_size=2) | hostile,
        "tune": axes | st.just({"trials": 4}) | hostile,
    },
)


@given(
    values=grids, flow=st.sampled_from([True, False, None]), piece=st.sampled_from(["", *PIECES]), at=st.floats(0, 1)
)
@settings(
    max_examples=injections(250) // 2,
    database=None,
    suppress_health_check=list(HealthCheck),
)
def test_grids_of_any_values(values, flow, piece, at):
    """Every key may have any value, and anything may stand anywhere in the text."""
    text = yaml.safe_dump(values, default_flow_style=flow, allow_unicode=True)
    read(text)
    if piece:
        place = int(at * len(text))
        read(text[:place] + piece + text[place:])


def test_damaged_grids():
    """The shipped grids with pieces put in, lines doubled, ends cut off, single characters changed."""
    draw = random.Random(0)
    for _ in range(injections(150) // 2):
        text = draw.choice(GRIDS)
        for _ in range(draw.randint(1, 4)):
            text = damaged(text, draw)
        read(text)


def damaged(text: str, draw: random.Random) -> str:
    start = draw.randint(0, len(text))
    end = min(len(text), start + draw.randint(0, 30))
    kind = draw.randrange(5)
    if kind == 0:
        return text[:start] + draw.choice(PIECES) + text[end:]
    if kind == 1:
        return text[:end] + text[start:]
    if kind == 2:
        return text[:start]
    if kind == 3:
        return text[:start] + chr(draw.choice([0, 7, 27, 133, draw.randint(0, 0x2FFF)])) + text[start + 1 :]
    lines = text.splitlines(keepends=True)
    draw.shuffle(lines)
    return "".join(lines)


MANY = ", ".join(map(str, range(1000)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"grid: {{net: plain-8, seed: [{MANY}], warmup: [{MANY}]}}", "g.yaml:4: 1,000,000 runs are more than 20,000"),
        (f"grid: {{net: plain-8, seed: {'1' + ':1' * 400_000}}}", "g.yaml:4: 1:1:1:.* is too large a number"),
        (f"grid: {{net: plain-8, seed: {'9' * 900_000}}}", "g.yaml:4: 999.* is too large a number"),
        ("grid: {net: plain-8}\nx: [" + "[" * 300_000, "nested too deeply"),
        ("grid: {architecture: plain, depth: 6000000000002}", "g.yaml:4: 'depth' should be less than .* 99999"),
        (f"grid: {{net: plain-8}}\n? {'k' * 500_000}\n: 1", r"g.yaml:5: unknown key 'k+\.\.\.'"),
        (
            f"grid: {{net: plain-8, seed: [{MANY}]}}\nexclude:\n" + "- {seed: -1}\n" * 6_000,
            "g.yaml:5: 6,000 values are too many to exclude from 1,000 runs",
        ),
        (
            "grid: {net: plain-8}\ninclude:\n" + f"- {{net: plain-8, seed: [{MANY}]}}\n" * 21,
            "g.yaml:26: 21,000 runs are more than 20,000",
        ),
        ("grid: {net: plain-8}\n#" + "x" * 1_000_000, "characters are too many for a grid file"),
        ('grid: {net: "\\U99999999"}', "g.yaml: not valid YAML"),
    ],
    ids=["product", "base 60", "digits", "nesting", "depth", "long key", "exclude", "include", "size", "no letter"],
)
def test_grids_that_would_fill_memory_or_time(text, message):
    """Each is refused soon, with its count and its line."""
    with within(10), pytest.raises(GridError, match=message):
        parse_grid(HEAD + text, "g.yaml")


def test_aliases_are_counted_by_what_they_repeat():
    """A billion laughs in nine lines: values are counted as they are built, so that none is built twice over."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 10)]
    with within(10), below(100), pytest.raises(GridError, match="more than 100,000 values, counting what aliases"):
        parse_grid("\n".join(lines), "g.yaml")
    assert "contains itself" in str(read("a: &a [*a]"))


@pytest.mark.parametrize("tag", ["!!python/object/apply:os.system", "!!python/name:os.system", "!!python/module:os"])
def test_tags_that_would_run_code(tag, tmp_path):
    """YAML is loaded safely: such a tag is an error, and nothing is called."""
    assert "isn't a plain value" in str(read(f"{HEAD}grid: {{net: {tag} 'touch {tmp_path}/x'}}"))
    read(f"{HEAD}grid: {{net: {tag} ['touch {tmp_path}/x']}}")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "name", ["../up", "/etc", "a/b", "a\\b", ".", "..", "~", "a\0", "a\n", "\x1b[31m", "-rf", "x" * 101]
)
def test_study_names_that_would_leave_their_folder(name):
    """A study's name is its report's folder."""
    assert str(
        read(f"name: {json.dumps(name)}\ndataset: digits\nrecipe: {{epochs: 1}}\ngrid: {{net: plain-8}}\n")
    ).startswith("g.yaml:1: 'name' string should match pattern")


def test_messages_show_escapes_and_never_send_them():
    r"""An escape sequence in a file is shown as \x1b, in one line, and reaches no terminal."""
    assert r"unknown key '\x1b[2J\n'" in str(read(f'{HEAD}grid: {{net: plain-8}}\n"\\e[2J\\n": 1\n'))
    assert r"no net is called '\x1b]0;x\x07'" in str(read(f'{HEAD}grid: {{net: "\\e]0;x\\a"}}\n'))


def test_no_more_of_a_file_is_read_than_a_grid_may_have(tmp_path):
    """A file without end is refused after its first megabyte."""
    path = tmp_path / "g.yaml"
    with path.open("wb") as file:
        file.truncate(2**33)
    with below(50), within(10), pytest.raises(GridError, match="are too many for a grid file"):
        load_grid(str(path))
