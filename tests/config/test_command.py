"""Commands that are stored with a study, and those that go deeper from there."""

import shlex
from datetime import UTC, datetime

import pytest

from study.config import parse_grid
from study.config.command import Command
from study.names import NetName, parse_net

AXES = """
name: s
dataset: digits
recipe: {epochs: 1, lr: tune}
grid: {architecture: [plain, residual], depth: [8, 20], seed: [0, 1, 2]}
include: [{architecture: residual, depth: 32}]
"""
NAMES = AXES.replace("architecture: [plain, residual], depth: [8, 20]", "net: [plain-8, resnet-8]").partition("inc")[0]
PLAIN, RESIDUAL = ([parse_net(f"{kind}-{depth}") for depth in (80, 110)] for kind in ("plain", "resnet"))


def deeper(words: str, nets: list[NetName], grid: str = AXES) -> str:
    return Command(at=datetime.now(UTC), command=f"study {words}", grid=grid).deeper(nets)


def test_all_architectures_of_the_grid_take_its_depths() -> None:
    command = deeper("run --grid pets.yaml", [*PLAIN, *RESIDUAL])
    assert command == "study run --grid pets.yaml --set grid.depth=80,110"


def test_one_of_them_is_named() -> None:
    command = deeper("run --grid pets.yaml", RESIDUAL)
    assert command == "study run --grid pets.yaml --set grid.architecture=residual --set grid.depth=80,110"
    alone = AXES.replace("[plain, residual]", "residual")
    assert deeper("run --grid pets.yaml", RESIDUAL, alone) == "study run --grid pets.yaml --set grid.depth=80,110"


def test_nets_by_name() -> None:
    command = deeper("run --grid pets.yaml", [*PLAIN, *RESIDUAL], NAMES)
    assert command == "study run --grid pets.yaml --set grid.net=plain-80,plain-110,resnet-80,resnet-110"


def test_changes_stay_but_of_the_depths() -> None:
    words = "tune --grid 'my pets.yaml' --set grid.depth=8 --set recipe.epochs=2 --set 'name=a b'"
    command = deeper(words, [*PLAIN, *RESIDUAL])
    assert command == ""  # no study has such a name
    command = deeper(words.replace("a b", "t"), [*PLAIN, *RESIDUAL])
    assert command == ("study run --grid 'my pets.yaml' --set recipe.epochs=2 --set name=t --set grid.depth=80,110")
    changes = shlex.split(command)[5::2]
    assert {spec.depth for spec in parse_grid(AXES, "s", tuple(changes)).points} == {32, 80, 110}


@pytest.mark.parametrize(
    ("words", "grid"),
    [
        ("run", AXES),
        ("run --grid", AXES),
        ("run --grid 'pets.yaml", AXES),
        ("run --grid pets.yaml --lr-from other", AXES),
        ("run --grid pets.yaml --set grid.seed=[0]", AXES),
        ("run --grid pets.yaml", "name: [torn"),
        ("run --grid pets.yaml", ""),
        ("run --grid pets.yaml", AXES.replace("recipe:", "probes: {only: {lesion: [plain-20]}}\nrecipe:")),
    ],
)
def test_none_where_it_would_not_do(words: str, grid: str) -> None:
    assert deeper(words, [*PLAIN, *RESIDUAL], grid) == ""


def test_none_without_nets() -> None:
    assert deeper("run --grid pets.yaml", []) == ""
