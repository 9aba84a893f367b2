"""Secrets in addresses: a study leaves none of them anywhere, and no command prints one."""

import sqlite3
from pathlib import Path

import pytest

from tests.conftest import run_here, run_study
from tests.test_errors import FORMS, SECRET

GRID = """
name: g
dataset: {name: digits, train_limit: 200, test_limit: 50}
recipe: {epochs: 1, batch_size: 64, lr: 0.1}
grid: {net: plain-8}
# used to be:
"""


@pytest.mark.slow
def test_no_byte_that_a_study_leaves_holds_a_secret(tmp_path: Path) -> None:
    """Not the databases, not the artifacts, not the report, not the terminal."""
    study = tmp_path / "study"
    study.mkdir()
    (tmp_path / "g.yaml").write_text(GRID + "".join(f"#   storage: {form}\n" for form in FORMS))
    storage = f"tune.storage=sqlite:///{study}/leases.db?timeout=20&password={SECRET}&token={SECRET}"
    run = run_study(study, "run", "--grid", "../g.yaml", "--set", storage, "--workers", "1")
    assert run.returncode == 0, run.stderr
    assert (study / "leases.db").exists()
    report = run_study(study, "report", "--mlflow-ui", f"http://bob:{SECRET}@127.0.0.1:1")
    assert report.returncode == 0, report.stderr
    page = (study / "reports" / "g" / "index.html").read_text()
    assert "--mlflow-ui" in page
    assert "http://127.0.0.1:1/#/experiments/" in page
    with sqlite3.connect(study / "mlflow.db") as database:
        assert "***" in str(database.execute("SELECT value FROM experiment_tags").fetchall())
    database.close()
    held = [str(path) for path in study.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]
    assert held == []
    assert SECRET not in "".join([run.stdout, run.stderr, report.stdout, report.stderr])


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "words",
    [["status"], ["report", "-e", "x"], ["predict", "--run", "x", "--images", "."], ["run", "--grid", "digits"]],
)
def test_no_command_prints_a_secret_of_mlflows_address(
    form: str, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", form)
    done = run_here(tmp_path, *words)
    assert done.returncode == 2
    assert "***" in done.stderr
    assert "Traceback" not in done.stderr
    assert SECRET not in done.stderr + done.stdout


@pytest.mark.parametrize("form", [form for form in FORMS if not form.startswith("http")])
def test_no_command_prints_a_secret_of_optunas_address(form: str, tmp_path: Path) -> None:
    (tmp_path / "g.yaml").write_text(GRID)
    done = run_here(tmp_path, "run", "--grid", "g.yaml", "--set", f"tune.storage={form}")
    assert done.returncode == 2
    assert "***" in done.stderr
    assert SECRET not in done.stderr + done.stdout
