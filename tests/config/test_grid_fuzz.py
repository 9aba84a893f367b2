"""Whatever a grid file holds, nothing but a `GridError` comes out of reading it."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from study.config import Grid, grid_text, parse_grid, shipped_grids
from study.errors import GridError

GRIDS = [grid_text(name)[0] for name in shipped_grids()]
WORDS = [
    "null",
    "true",
    "-1",
    "0",
    "1e999",
    ".nan",
    "''",
    "[]",
    "{}",
    "[[]]",
    "{a: 1}",
    "[null]",
    "*a",
    "&a [*a]",
    "!!int x",
    "!!bool ''",
    "!!timestamp x",
    "!!set {a}",
    "!!binary x",
    "<<",
    "? [a]",
    "- ",
    ": ",
    "#",
    "\n",
    "\t",
    "---",
    "...",
    "%",
    "0x_",
    "1_000",
    "190:20:30",
    "2001-01-01",
    "tune",
    "plain-20",
    "vgg-16",
    "net: plain-8",
    "include:",
    "grid:",
    "\ud800",
]
HEAD = "name: a\ndataset: digits\nrecipe: {epochs: 1}\n"
KEYS = [
    "name",
    "dataset",
    "recipe",
    "tune",
    "grid",
    "include",
    "exclude",
    "net",
    "depth",
    "architecture",
    "seed",
    "lr",
    "epochs",
    "milestones",
    "width",
    "family",
    "root",
    "trials",
]


def read(text: str, *settings_: str) -> None:
    with contextlib.suppress(GridError):
        assert isinstance(parse_grid(text, "g.yaml", settings_), Grid)


@given(text=st.text())
@settings(max_examples=100)
def test_any_text(text):
    read(text)


@given(value=st.text(max_size=30), key=st.sampled_from(KEYS))
@settings(max_examples=100)
def test_any_text_as_a_value(value, key):
    read(f"{HEAD}grid: {{net: plain-8}}\n{key}: {value}\n")
    read(f"{HEAD}grid: {{net: plain-8, {key}: {value}}}\n")
    read(f"{HEAD}grid: {{net: plain-8}}\ntune: {{momentum: {value}, warmup: [{value}, {value}]}}\n")


@given(data=st.data(), text=st.sampled_from(GRIDS))
@settings(max_examples=150)
def test_mutated_grids(data, text):
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        end = min(len(text), start + data.draw(st.integers(0, 12)))
        text = text[:start] + data.draw(st.sampled_from(WORDS)) + text[end:]
    read(text)


plain = st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["plain", "plain-8", "tune", "A", ""])
values = st.recursive(
    plain,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3),
    max_leaves=6,
)


@given(grid=values, include=values, exclude=values, recipe=values)
@settings(max_examples=100)
def test_any_values_in_their_places(grid, include, exclude, recipe):
    import yaml

    sections = {"grid": grid, "include": include, "exclude": exclude, "recipe": recipe}
    read("name: a\ndataset: digits\n" + yaml.safe_dump(sections))
    read(HEAD + yaml.safe_dump({"grid": {"net": "plain-8"}, "include": include, "exclude": exclude}))


@given(setting=st.text(max_size=20), key=st.sampled_from(KEYS), inner=st.sampled_from(KEYS))
@settings(max_examples=100)
def test_any_setting(setting, key, inner):
    text = f"{HEAD}grid: {{net: plain-8}}\n"
    read(text, setting)
    read(text, f"{key}={setting}")
    read(text, f"{key}.{inner}={setting}")


@pytest.mark.parametrize("bracket", ["[]", "{}"])
def test_any_depth_of_nesting(bracket):
    # Around the interpreter's limit, where one part of reading may pass and the next may not.
    opening = "[" if bracket == "[]" else "{a: "
    for depth in [*range(450, 500, 5), 2000]:
        read(f"{HEAD}grid: {{net: plain-8, lr: {opening * depth}{bracket[1] * depth}}}\n")
