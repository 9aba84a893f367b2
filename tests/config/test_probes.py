"""The settings of probes: what is accepted, of which runs they are made, and what is told of mistakes."""

import re

import pytest

from study.config import PROBES, Grid, parse_grid
from study.errors import GridError

GRID = """name: g
dataset: digits
recipe: {epochs: 1}
grid: {net: [plain-8, plain-20, plain-32, resnet-20, vgg-16], seed: [5, 3]}
"""
CASES = [
    ("probes: [surfaces]", "not 'surfaces' (did you mean 'surface'?)"),
    ("probes: surface", "'probes' must be a mapping of keys to values"),
    ("probes: []", "'measure' must name a probe; without any, leave 'probes' out"),
    ("probes: {imags: 3}", "unknown key 'imags' under 'probes' (did you mean 'images'?)"),
    ("probes: {points: 40}", "'points' must be odd, not 40"),
    ("probes: {points: 1}", "'points' should be greater than or equal to 3"),
    ("probes: {images: 1}", "'images' should be greater than or equal to 2"),
    ("probes: {steps: [-1]}", "'steps' should be greater than or equal to 0"),
    ("probes: {noise: [-0.1]}", "'noise' should be greater than or equal to 0"),
    ("probes: {continuation: 11}", "'continuation' should be less than or equal to 10"),
    ("probes: {only: {surface: [plain-9]}}", "no net has depth 9"),
    ("probes: {only: {surface: [plain-14]}}", "this grid has no plain-14"),
    ("probes: {measure: [surface], only: {lesion: [plain-8]}}", "'only' names 'lesion', which isn't among"),
    ("probes: {only: {surfac: [plain-8]}}", "not 'surfac' (did you mean 'surface'?)"),
]


@pytest.mark.parametrize(("line", "fragment"), CASES)
def test_bad_settings(line: str, fragment: str) -> None:
    with pytest.raises(GridError, match=rf"^g\.yaml:5: .*{re.escape(fragment)}"):
        parse_grid(GRID + line, "g.yaml")


def made(grid: Grid) -> dict[tuple[str, int], tuple[str, ...]]:
    """Return the probes of each run of a grid that has any."""
    plans = {(str(spec.net), spec.seed): grid.probes_of(spec) for spec in grid.runs()}
    return {run: plan.names for run, plan in plans.items() if plan is not None}


def test_without_the_section_nothing_is_measured() -> None:
    assert made(parse_grid(GRID, "g.yaml")) == {}


def test_costly_probes_are_made_of_the_first_seeds_and_none_of_vgg() -> None:
    found = made(parse_grid(GRID + "probes: {}", "g.yaml"))
    assert set(found) == {(net, seed) for net in ("plain-8", "plain-20", "plain-32", "resnet-20") for seed in (3, 5)}
    assert all(found[net, 3] == PROBES and found[net, 5] == ("responses", "gradients") for net, _ in found)
    assert made(parse_grid(GRID + "probes: {seeds: 2}", "g.yaml"))["plain-8", 5] == PROBES


def test_a_probe_may_be_of_some_nets_only() -> None:
    found = made(parse_grid(GRID + "probes: {measure: [surface], only: {surface: [plain-8, resnet-20]}}", "g.yaml"))
    assert found == {("plain-8", 3): ("surface",), ("resnet-20", 3): ("surface",)}


def test_a_plain_net_is_made_into_each_deeper_plain_net_of_the_grid() -> None:
    grid = parse_grid(GRID + "probes: [construction]", "g.yaml")
    targets = {str(spec.net): plan.targets for spec in grid.runs() if (plan := grid.probes_of(spec)) is not None}
    assert targets == {"plain-8": (20, 32), "plain-20": (32,), "plain-32": (), "resnet-20": ()}


def test_a_list_can_be_added_to_from_the_command_line() -> None:
    probes = parse_grid(GRID + "probes: [surface]", "g.yaml", ("probes.points=5",)).probes
    assert probes is not None
    assert (probes.measure, probes.points) == (("surface",), 5)


def test_probes_change_no_run_key() -> None:
    bare, probed = (parse_grid(GRID + more, "g.yaml") for more in ("", "probes: [lesion]"))
    assert [spec.run_key("f") for spec in bare.runs()] == [spec.run_key("f") for spec in probed.runs()]


def test_of_a_remedy_only_the_cheap_ones_are_made_unless_it_is_all_there_is() -> None:
    text = "name: g\ndataset: digits\nrecipe: {epochs: 1}\nprobes: {}\ngrid: {net: plain-8, initialisation: %s}\n"
    grid = parse_grid(text % "[he, dirac]", "g.yaml")
    plans = [grid.probes_of(spec) for spec in grid.runs()]
    assert [plan.names for plan in plans if plan is not None] == [PROBES, ("responses", "gradients")]
    alone = parse_grid(text % "dirac", "g.yaml")
    plan = alone.probes_of(alone.runs()[0])
    assert plan is not None
    assert plan.names == PROBES
