"""What the documents say of the program is what the program says of itself."""

import re
from pathlib import Path

from study.config import parse_grid, shipped_grids
from study.config.reference import document
from tests.conftest import run_study

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_reference_is_that_of_the_code() -> None:
    assert (ROOT / "docs" / "reference.md").read_text(encoding="utf-8") == document()


def test_the_grid_in_the_readme_is_one() -> None:
    block = re.search(r"\n    name: digits .*?(?=\n\n)", README, re.DOTALL)
    assert block is not None
    text = "\n".join(line.removeprefix("    ") for line in block.group(0).strip("\n").splitlines())
    grid = parse_grid(text, "README.md")
    nets = {str(spec.net) for spec in grid.runs()}
    assert nets == {"plain-20", "plain-32", "plain-56", "resnet-8", "resnet-20", "resnet-32", "resnet-56", "resnet-110"}
    assert len(grid.runs()) == 3 * len(nets)  # three seeds


def test_commands_and_files_that_documents_name_exist(tmp_path: Path) -> None:
    documents = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md"), *ROOT.glob("*/README.md")]
    texts = {path: path.read_text(encoding="utf-8") for path in documents}
    text = "".join(texts.values())
    commands = set(re.findall(r"\bstudy (run|report|compare|status|nets|grids|data|tune|predict)\b", text))
    out = run_study(tmp_path, "--help").stdout
    assert commands
    assert all(command in out for command in commands)
    for path, content in texts.items():
        for target in re.findall(r"\]\((?!http)([^)#]+)[^)]*\)", content):
            assert (path.parent / target).exists(), f"{path}: {target}"
    for target in re.findall(r"\bmake (quick|test|study|check|clean)\b", text):
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE), target
    for name in re.findall(r"--grid ([a-z0-9-]+)(?=[` ])", text):
        assert name in {*shipped_grids(), "my", "longer"}, name


def test_tests_that_the_documents_name_exist() -> None:
    tests = [str(path.relative_to(ROOT / "tests")) for path in (ROOT / "tests").rglob("test_*.py")]
    for path in (ROOT / "docs").glob("*.md"):
        for name in re.findall(r"`(?:tests/)?((?:\w+/)*test_\w+\.py)`", path.read_text(encoding="utf-8")):
            assert any(f"/{test}".endswith(f"/{name}") for test in tests), f"{path}: {name}"
