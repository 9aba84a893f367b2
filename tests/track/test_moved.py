"""Where a study's files lie after it was moved or copied, whole or in part: never in another study's folder."""

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from study.track import tags as tag
from study.track.database import repair_moved
from study.track.find import missing_files_warning
from study.track.frames import load_runs
from study.track.store import Store
from study.track.uri import local_path
from tests.track.test_store import begin, uri

NAMES = ["g", "a name/of two parts", "mlruns", "50% täglich"]


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def made(tmp_path: Path, database: str, name: str) -> tuple[Path, str]:
    """A study's folder, and the id of its run, which is finished and has a file."""
    here = tmp_path / "here, 100%"
    here.mkdir()
    shutil.move(database.removeprefix("sqlite:///"), here / "mlflow.db")
    store = Store(name, uri(here))
    run = begin(store)
    store.add_text(run, json.dumps({"a": 1}), "spec.json")
    store.end(run, "finished")
    return here, run


def files(folder: Path) -> dict[Path, bytes]:
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def adds_its_files_to(folder: Path, name: str) -> None:
    """Check that a new run of the study in `folder` has its files there, and that it finds them."""
    store = Store(name, uri(folder))
    run = begin(store, "new")
    store.add_text(run, "x", "note.txt")
    assert (folder / "mlruns" / name / run / "artifacts" / "note.txt").exists()
    assert Path(store.client.download_artifacts(run, "note.txt")).read_text() == "x"


def reads(folder: Path, run: str, name: str) -> bool:
    store = Store(name, uri(folder))
    place = local_path(store.place(run).uri)
    found = json.loads(Path(store.client.download_artifacts(run, "spec.json")).read_text())
    return place == folder / "mlruns" / name / run / "artifacts" and found == {"a": 1}


def test_a_moved_study_is_found_whole(tmp_path: Path, made: tuple[Path, str], name: str) -> None:
    """For reading and for new runs."""
    here, run = made
    there = tmp_path / "there"
    shutil.move(here, there)
    assert reads(there, run, name)
    adds_its_files_to(there, name)
    assert not here.exists()
    assert missing_files_warning(name, uri(there)) == ""


def test_a_copied_study_leaves_the_original_alone(tmp_path: Path, made: tuple[Path, str], name: str) -> None:
    here, run = made
    there = tmp_path / "there"
    shutil.copytree(here, there)
    before = files(here)
    assert reads(there, run, name)
    adds_its_files_to(there, name)
    assert files(here) == before
    assert reads(here, run, name)


@pytest.mark.parametrize("original", ["stays", "goes"])
def test_a_study_without_its_files_says_so(tmp_path: Path, made: tuple[Path, str], name: str, original: str) -> None:
    """Only its database was taken along: nothing goes to the original, and its folder isn't made anew."""
    here, run = made
    there = tmp_path / "there"
    there.mkdir()
    shutil.copy(here / "mlflow.db", there)
    if original == "goes":
        shutil.move(here, tmp_path / "elsewhere")
    before = files(tmp_path)
    assert len(load_runs(name, uri(there))) == 1
    said = missing_files_warning(name, uri(there))
    assert f"the files of 1 of 1 finished runs (checkpoints, probes) are gone from {there / 'mlruns' / name}" in said
    assert not Store(name, uri(there)).has_files(run)
    adds_its_files_to(there, name)
    assert {path: data for path, data in files(tmp_path).items() if not path.is_relative_to("there")} == {
        path: data for path, data in before.items() if not path.is_relative_to("there")
    }
    assert here.exists() is (original == "stays")
    shutil.copytree(
        (here if here.exists() else tmp_path / "elsewhere") / "mlruns", there / "mlruns", dirs_exist_ok=True
    )
    assert reads(there, run, name)
    assert missing_files_warning(name, uri(there)) == ""


def location(folder: Path, experiment: str) -> str:
    with closing(sqlite3.connect(folder / "mlflow.db")) as database:
        asked = "SELECT artifact_location FROM experiments WHERE name = ?"
        return str(database.execute(asked, (experiment,)).fetchone()[0])


@pytest.mark.parametrize("name", ["g"], indirect=True)
def test_of_other_experiments_only_what_is_gone_is_moved(tmp_path: Path, made: tuple[Path, str], name: str) -> None:
    here, _ = made
    client = Store(name, uri(here)).client
    places = {
        "bucket": "s3://bucket/mlruns/bucket",
        "chosen": (tmp_path / "big disk").as_uri(),
        "theirs": (tmp_path / "theirs" / "mlruns" / "7").as_uri(),
        "gone": (tmp_path / "gone" / "mlruns" / "8").as_uri(),
        "hidden": f"/{'x' * 300}/mlruns/9",  # it can't even be asked whether it is there
    }
    (tmp_path / "theirs" / "mlruns" / "7").mkdir(parents=True)
    for experiment, place in places.items():
        client.create_experiment(experiment, place)
    repair_moved(uri(here))
    now = {experiment: location(here, experiment) for experiment in places}
    moved = {"gone": (here / "mlruns" / "8").as_uri(), "hidden": (here / "mlruns" / "9").as_uri()}
    assert now == places | moved


@pytest.mark.parametrize("name", ["g"], indirect=True)
def test_a_copy_that_can_only_be_read(
    tmp_path: Path, made: tuple[Path, str], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, _ = made
    there = tmp_path / "there"
    shutil.copytree(here, there)
    monkeypatch.setattr("os.access", lambda *_: False)  # the superuser's own tests may write anywhere
    before = files(there)
    assert len(load_runs(name, uri(there))) == 1
    assert files(there) == before


@pytest.mark.parametrize("name", ["g"], indirect=True)
def test_a_finished_run_needs_its_files_to_count_as_having_them(made: tuple[Path, str], name: str) -> None:
    here, run = made
    client = Store(name, uri(here)).client
    assert client.get_run(run).data.tags[tag.KIND] == "run"
    shutil.rmtree(here / "mlruns" / name / run)
    assert "the files of 1 of 1 finished runs" in missing_files_warning(name, uri(here))
    client.delete_run(run)
    assert missing_files_warning(name, uri(here)) == ""
