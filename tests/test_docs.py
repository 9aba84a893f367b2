"""What the documents say of the program is what the program says of itself."""

import re
from pathlib import Path

import pytest

from study.config import DatasetSpec, Probes, Recipe, Tune, parse_grid, shipped_grids
from study.config.recipe import Strict
from study.config.reference import reference
from tests.conftest import run_study

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("model", [Recipe, Tune, DatasetSpec, Probes])
def test_the_reference_is_that_of_the_code(model: type[Strict]) -> None:
    assert reference(model) in README


def test_the_grid_in_the_readme_is_one() -> None:
    block = re.search(r"\n    name: digits .*?(?=\n\n)", README, re.DOTALL)
    assert block is not None
    text = "\n".join(line.removeprefix("    ") for line in block.group(0).strip("\n").splitlines())
    grid = parse_grid(text, "README.md")
    nets = {str(spec.net) for spec in grid.runs()}
    assert nets == {"plain-20", "plain-32", "plain-56", "resnet-8", "resnet-20", "resnet-32", "resnet-56", "resnet-110"}
    assert len(grid.runs()) == 3 * len(nets)  # three seeds


def test_commands_and_files_that_documents_name_exist(tmp_path: Path) -> None:
    text = README + (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    commands = set(re.findall(r"\bstudy (run|report|compare|status|nets|grids)\b", text))
    out = run_study(tmp_path, "--help").stdout
    assert commands
    assert all(command in out for command in commands)
    for target in re.findall(r"\]\((?!http)([^)]+)\)", README):
        assert (ROOT / target).exists(), target
    for target in re.findall(r"\bmake (\w+)", text):
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE), target
    for name in re.findall(r"--grid ([a-z0-9-]+)(?=[` ])", text):
        assert name in shipped_grids()
