"""Nets of the user's own in a grid: where their file is looked for, what is refused, and the keys of their runs."""

import json
from pathlib import Path

import pytest

from study.config import Grid, RunSpec, load_grid, parse_grid
from study.config.own_nets import OwnNetsError, read_own_nets
from study.errors import GridError
from study.verdict.selection import deeper_nets, may_go_deeper
from tests.nets.own_nets import GOOD, own

GRID = """\
name: g
dataset: digits
recipe:
  family: nets.py:build
  epochs: 2
grid:
  architecture: [plain, residual]
  depth: [2, 3]
"""


def grid(folder: Path, *changes: str, text: str = GRID) -> Grid:
    (folder / "g.yaml").write_text(text)
    return load_grid(str(folder / "g.yaml"), changes)


def keys(parsed: Grid) -> list[str]:
    return [spec.run_key("f") for spec in parsed.runs()]


def test_a_file_is_beside_the_grid_or_in_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    beside, working = tmp_path / "grids", tmp_path / "work"
    for folder in (beside, working):
        folder.mkdir()
    monkeypatch.chdir(working)
    nets = own(working)
    assert {spec.own for spec in grid(beside).runs()} == {nets}
    assert {spec.own for spec in parse_grid(GRID, "the grid").runs()} == {nets}
    other = own(beside, ("0.3", "0.2"))
    assert {spec.own for spec in grid(beside).runs()} == {other}
    assert {spec.own for spec in grid(beside, f"recipe.family={working}/nets.py:build").runs()} == {nets}


def test_the_source_is_part_of_the_keys_and_its_place_is_not(tmp_path: Path) -> None:
    own(tmp_path)
    before = keys(grid(tmp_path))
    assert len(set(before)) == 4
    (tmp_path / "nets.py").write_bytes(GOOD.replace("\n", "\r\n").encode())
    assert keys(grid(tmp_path)) == before
    (tmp_path / "moved").mkdir()
    (tmp_path / "nets.py").rename(tmp_path / "moved" / "nets.py")
    moved = grid(tmp_path, "recipe.family=moved/nets.py:build")
    assert keys(moved) == before
    own(tmp_path / "moved", ("0.3", "0.2"))
    assert not set(keys(grid(tmp_path, "recipe.family=moved/nets.py:build"))) & set(before)


def test_names_are_those_of_other_nets_and_settings_say_whose_they_are(tmp_path: Path) -> None:
    digest = own(tmp_path).digest
    specs = grid(tmp_path).runs()
    assert [str(spec.net) for spec in specs] == ["plain-2", "plain-3", "resnet-2", "resnet-3"]
    assert {spec.identity()["recipe"]["family"] for spec in specs} == {f"nets.py:build@{digest}"}
    assert [spec.shortcut for spec in specs] == ["none", "none", "own", "own"]
    by_name = grid(
        tmp_path, text=GRID.replace("architecture: [plain, residual]\n  depth: [2, 3]", "net: [plain-2, resnet3]")
    )
    assert keys(by_name) == [keys(grid(tmp_path))[0], keys(grid(tmp_path))[3]]
    left = "  net: [plain-2, plain-3, resnet-3]\nexclude:\n  - {depth: 3, architecture: residual}\n"
    named = grid(tmp_path, text=GRID.partition("  architecture")[0] + left)
    assert [str(spec.net) for spec in named.runs()] == ["plain-2", "plain-3"]


def test_functions_are_an_axis(tmp_path: Path) -> None:
    own(tmp_path)
    both = grid(tmp_path, "grid.family=[nets.py:build, nets.py:other]")
    assert len(both.runs()) == 8
    assert both.varying() == ["family"]


def test_a_specification_needs_its_source(tmp_path: Path) -> None:
    own(tmp_path)
    values = grid(tmp_path).runs()[0].model_dump(mode="json")
    assert RunSpec.model_validate_json(json.dumps(values)) == grid(tmp_path).runs()[0]
    with pytest.raises(ValueError, match="and its source don't belong together"):
        RunSpec.model_validate({**values, "own": None})


def test_no_deeper_nets_are_named_and_none_ruled_out(tmp_path: Path) -> None:
    import pandas as pd

    own(tmp_path)
    rows = [
        {"architecture": "plain", "depth": 8, "net": "plain-8", "family": family}
        for family in ("cifar", grid(tmp_path).runs()[0].net.family)
    ]
    assert [bool(deeper_nets(pd.DataFrame([row]), "plain")) for row in rows] == [True, False]
    assert [may_go_deeper(pd.DataFrame([row]), "plain") for row in rows] == [True, True]


@pytest.mark.parametrize(
    ("change", "line", "said"),
    [
        ("recipe.family=nets:py", None, "no module is called 'nets'"),
        ("recipe.family=nets.py", None, "'auto', 'cifar' or 'imagenet' or should be a function that builds nets"),
        ("recipe.family=imagnet", None, "(did you mean 'imagenet'?)"),
        ("recipe.family=net.py:build", None, "names a file that is neither in "),
        (f"recipe.family={'a' * 300}.py:build", None, "names a file that is neither in "),
        ("recipe.width=2", 3, "'width' changes nets of this program, and 'nets.py:build' builds its own"),
        ("recipe.batch_norm=none", 3, "'batch_norm' changes nets"),
        ("grid.shortcut=[A, B]", 6, "'shortcut' changes nets"),
        ("grid.architecture=[vgg]", 8, "nets of your own are plain or residual: leave vgg out"),
        ("grid.depth=[0]", None, "no net has depth 0: depths are from 1 on"),
        ("probes=[surface]", None, "probes measure layers of the families cifar and imagenet: leave 'probes' out"),
    ],
)
def test_what_cant_be_is_told_with_its_place(tmp_path: Path, change: str, line: int | None, said: str) -> None:
    own(tmp_path)
    with pytest.raises(GridError) as raised:
        grid(tmp_path, change)
    assert said in str(raised.value)
    assert str(raised.value).startswith(f"{tmp_path}/g.yaml:" if line else f"--set {change}")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "an empty file"),
        (b"\xff\xfe", "not a text file"),
        (b"#" * 1_000_001, "too long"),
        (None, "not a file"),
    ],
)
def test_a_file_that_holds_no_nets_is_told(tmp_path: Path, content: bytes | None, said: str) -> None:
    path = tmp_path / "nets.py"
    path.mkdir() if content is None else path.write_bytes(content)
    with pytest.raises(GridError, match=said) as raised:
        grid(tmp_path)
    assert str(raised.value).startswith(f"{tmp_path}/g.yaml:4: ")
    assert not isinstance(raised.value, OwnNetsError)


def test_nets_beside_those_of_the_program_have_no_probes(tmp_path: Path) -> None:
    own(tmp_path)
    text = GRID.replace("  family: nets.py:build\n", "").partition("  architecture")[0] + "  net: [plain-8]\n"
    mixed = grid(tmp_path, "grid.family=[auto, nets.py:build]", text=text + "probes: [surface]\n")
    assert [mixed.probes_of(spec) is None for spec in mixed.runs()] == [False, True]


def test_a_byte_order_mark_is_no_part_of_the_source(tmp_path: Path) -> None:
    (tmp_path / "nets.py").write_text("def build(): ...\n", encoding="utf-8-sig")
    assert read_own_nets("nets.py:build", tmp_path).source == "def build(): ...\n"
