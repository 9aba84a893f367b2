"""What a shell completes, and the example under each command's help."""

from pathlib import Path

import pytest
import typer

from study.cli import complete
from study.cli.app import app
from tests.conftest import run_here


def test_grids_are_files_and_shipped_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cifar-mine.yaml").touch()
    assert complete.grids("cifar1") == ["cifar10-laptop", "cifar10-paper", "cifar10-quick", "cifar100"]
    assert "cifar-mine.yaml" in complete.grids("")
    assert complete.grids("nothing") == []


def test_settings_are_keys_of_a_grid() -> None:
    assert complete.settings("recipe.l") == ["recipe.lr="]
    assert "grid.split_seed=" in complete.settings("grid.s")
    assert "dataset.root=" in complete.settings("")


def test_studies_are_those_of_the_folder(small_study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(small_study)
    assert complete.studies("sm") == ["small"]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "nonsense://here")
    assert complete.studies("") == []


def test_each_command_has_an_example() -> None:
    commands = dict(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    for name, group in list(commands.items()):
        commands |= {f"{name} {inner}": command for inner, command in getattr(group, "commands", {}).items()}
    assert len(commands) == 17
    for name, command in commands.items():
        assert command.epilog.startswith(f"Example: study {name} ")


def test_help_shows_the_example(tmp_path: Path) -> None:
    assert "Example: study data stats --root photographs" in run_here(tmp_path, "data", "stats", "--help").stdout


def test_the_fields_of_a_grid_are_printed(tmp_path: Path) -> None:
    reference = Path(__file__).resolve().parents[2] / "docs" / "reference.md"
    assert run_here(tmp_path, "grids", "fields").stdout == reference.read_text(encoding="utf-8")
