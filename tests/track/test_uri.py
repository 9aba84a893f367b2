"""Where a study lies: addresses of databases in folders of any name, and what shows MLflow's pages there."""

import json
import urllib.request
from pathlib import Path

import pytest
from sqlalchemy.engine import URL, make_url

from study.track.pages import serve_pages
from study.track.uri import database_path, sqlite_uri, tracking_uri
from tests.conftest import run_here, run_study

NAMES = (
    "a%20b",
    "a%2Fb",
    "it's",
    'say "x"',
    "what?",
    "no#1",
    "a;b",
    "a&b=c",
    "\u00fcn\u00ef c\u00f6de",
    "100%",
    "a@b:c",
    "{x}[y]",
    "a+b",
)
ODD = '50%25 it\'s #1? a%2Fb; "x" {y} \u00fc'
TINY = (
    "--set recipe.lr=0.1 --set recipe.epochs=1 --set grid.depth=[8] --set grid.seed=[0] --set grid.architecture=plain"
)
TINY += " --set dataset.train_limit=200 --set dataset.test_limit=50"


@pytest.mark.parametrize("name", NAMES)
def test_addresses_are_those_of_sqlalchemy(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / name
    folder.mkdir()
    address = sqlite_uri(folder / "mlflow.db")
    assert address == URL.create("sqlite", database=str(folder / "mlflow.db")).render_as_string()
    assert make_url(address).database == str(folder / "mlflow.db")
    assert database_path(address) == folder / "mlflow.db"
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(folder)
    assert tracking_uri() == address
    for given in (address, f"sqlite:///{Path('mlflow.db')}"):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", given)
        assert tracking_uri() == address


def test_options_of_an_address_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///a.db?timeout=5")
    assert tracking_uri() == f"{sqlite_uri(tmp_path.resolve() / 'a.db')}?timeout=5"
    assert database_path(tracking_uri()) == tmp_path.resolve() / "a.db"


@pytest.mark.slow
def test_a_study_in_a_folder_with_an_odd_name_beside_a_file_store_of_an_older_mlflow(tmp_path: Path) -> None:
    """It is run, shown and reported on, nothing is left outside the folder, and its pages show it."""
    folder = tmp_path / ODD.replace("/", "")
    (folder / "mlruns" / "0").mkdir(parents=True)
    (folder / "mlruns" / "0" / "meta.yaml").write_text("experiment_id: '0'\nname: Default\n")
    done = run_study(folder, "run", "--grid", "digits", *TINY.split(), "--workers", "1")
    assert done.returncode == 0, done.stderr
    status = run_here(folder, "status")
    assert (status.returncode, "1 runs finished" in status.stdout) == (0, True), status.stderr
    report = run_here(folder, "report")
    assert report.returncode == 0, report.stderr
    assert {path.name for path in folder.iterdir()} == {"mlflow.db", "optuna.db", "mlruns", "reports"}
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]
    assert list((folder / "mlruns" / "digits").rglob("spec.json"))
    assert done.stderr.strip().endswith("every curve: study ui --experiment digits")
    with serve_pages(sqlite_uri(folder / "mlflow.db"), 5000) as (address, _):
        wanted = f"{address}/api/2.0/mlflow/experiments/search?max_results=9"
        with urllib.request.urlopen(wanted, timeout=60) as answer:
            assert "digits" in {experiment["name"] for experiment in json.load(answer)["experiments"]}
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]
