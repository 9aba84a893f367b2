import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from study.track import tags as tag
from study.track.datasets import DatasetRecord, load_datasets, read_files, save_dataset, write_files
from study.track.find import list_studies
from study.track.frames import load_runs, load_trials
from study.track.store import Store
from tests.track.test_store import begin, uri

pytestmark = pytest.mark.usefixtures("database")

NUMBERS = {"images": 4, "mean": [0.5], "variance": [0.04], "std": [0.2]}
RECORD = DatasetRecord(
    "digits",
    "f" * 20,
    pd.DataFrame(
        {
            "name": ["0", "1", "2", "3"],
            "class": ["a", "b", "a", "b"],
            "height": [8, 8, 8, 9],
            "width": [8, 8, 8, 8],
            "path": ["train/0", "train/1", "train/2", "test/3"],
            "split": ["train", "train", "train", "test"],
        }
    ),
    {
        "dataset": "digits",
        "fingerprint": "f" * 20,
        "channels": ["grey"],
        "definition": "by hand",
        "classes": {"a": 2, "b": 2},
        "splits": {"train": 3, "test": 1},
        "height": {"least": 8, "median": 8.0, "greatest": 9},
        "width": {"least": 8, "median": 8.0, "greatest": 8},
        "training": {**NUMBERS, "images": 3},
        "skipped": [{"name": "bad.png", "reason": "not an image"}],
        **NUMBERS,
    },
    np.arange(2 * 64, dtype=np.uint8).reshape(2, 8, 8, 1),
    np.array([0, 1]),
    np.full((8, 8, 1), 100, dtype=np.uint8),
)


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("artifacts/*") if path.is_file())


def test_what_is_written_is_read(tmp_path: Path) -> None:
    store = Store("digits", uri(tmp_path))
    save_dataset(store, RECORD, root=None)
    (found,) = load_datasets("digits", uri(tmp_path))
    assert (found.name, found.fingerprint, found.statistics) == (RECORD.name, RECORD.fingerprint, RECORD.statistics)
    pd.testing.assert_frame_equal(found.table, RECORD.table)
    for name in ("samples", "sample_labels", "mean_image"):
        np.testing.assert_array_equal(getattr(found, name), getattr(RECORD, name))
    assert [path.name for path in files(tmp_path)] == ["images.parquet", "pictures.npz", "statistics.json"]
    run = store.client.get_run(store.records()[0].run_id)
    assert (run.info.run_name, run.info.status) == ("data: digits", "FINISHED")
    assert run.data.metrics == {"images": 4, "skipped_images": 1}
    assert run.inputs.dataset_inputs[0].dataset.digest == RECORD.fingerprint


def test_it_is_no_run_and_no_trial(tmp_path: Path) -> None:
    store = Store("digits", uri(tmp_path))
    save_dataset(store, RECORD, root=None)
    assert load_runs("digits", uri(tmp_path)).empty
    assert load_trials("digits", uri(tmp_path)).empty
    assert list_studies(uri(tmp_path)) == []
    store.end(begin(store), "finished")
    assert len(load_runs("digits", uri(tmp_path))) == 1


def test_a_run_says_what_it_was_trained_on(tmp_path: Path) -> None:
    store = Store("digits", uri(tmp_path))
    run = begin(store, skipped_images=3)
    store.add_dataset(run, "digits", "f" * 20, None, {})
    begin(store, "other")
    runs = load_runs("digits", uri(tmp_path)).set_index("run_key")
    assert runs["fingerprint"].to_dict() == {"k": "f" * 20, "other": ""}
    assert runs["skipped_images"].to_dict() == {"k": 3, "other": 0}


def test_what_is_half_written_is_not_read_and_written_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store("digits", uri(tmp_path))

    def full(*_: object) -> None:
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(Store, "add_folder", full)
        with pytest.raises(OSError, match="no space"):
            save_dataset(store, RECORD, root=None)
    (record,) = store.records()
    assert (record.kind, record.key, record.outcome) == ("dataset", RECORD.fingerprint, "failed")
    assert record.tags[tag.REASON] == "no space left"
    assert load_datasets("digits", uri(tmp_path)) == []
    save_dataset(store, RECORD, root=None, earlier=record.run_id)
    assert len(load_datasets("digits", uri(tmp_path))) == 1
    assert [record.outcome for record in store.records()] == ["finished"]


def test_an_older_study_has_none(tmp_path: Path) -> None:
    begin(Store("digits", uri(tmp_path)))
    assert load_datasets("digits", uri(tmp_path)) == []


def test_a_moved_study_keeps_its_data(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    save_dataset(Store("digits", uri(here)), RECORD, root=None)
    shutil.move(here, there)
    assert [record.fingerprint for record in load_datasets("digits", uri(there))] == [RECORD.fingerprint]


@pytest.mark.parametrize("name", ["images.parquet", "statistics.json", "pictures.npz"])
@pytest.mark.parametrize("damage", ["gone", "empty", "cut", "noise", "other"])
def test_damaged_files_are_left_out(tmp_path: Path, name: str, damage: str) -> None:
    store = Store("digits", uri(tmp_path))
    other = replace(RECORD, fingerprint="a" * 20, statistics={**RECORD.statistics, "fingerprint": "a" * 20})
    save_dataset(store, other, root=None)
    file = next(path for path in files(tmp_path) if path.name == name)
    save_dataset(store, RECORD, root=None)
    whole = file.read_bytes()
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes({"empty": b"", "cut": whole[:-20], "noise": bytes(range(256)) * 9, "other": b"[1]"}[damage])
    assert [record.fingerprint for record in load_datasets("digits", uri(tmp_path))] == [RECORD.fingerprint]


@pytest.mark.parametrize(
    "changes",
    [
        {"table": RECORD.table.assign(**{"class": "unknown"})},
        {"table": RECORD.table.assign(height=0)},
        {"table": RECORD.table.assign(height="8")},
        {"table": RECORD.table.iloc[:0]},
        {"table": RECORD.table.drop(columns="path")},
        {"samples": RECORD.samples.astype(float)},
        {"samples": RECORD.samples[0]},
        {"sample_labels": np.array([0, 2])},
        {"sample_labels": np.array([0])},
        {"mean_image": RECORD.mean_image[:4]},
        {"statistics": {**RECORD.statistics, "std": [0.1, 0.2]}},
        {"statistics": {**RECORD.statistics, "classes": ["a", "b"]}},
        {"statistics": {key: value for key, value in RECORD.statistics.items() if key != "training"}},
    ],
)
def test_files_that_do_not_fit_each_other(tmp_path: Path, changes: dict[str, object]) -> None:
    write_files(replace(RECORD, **changes), tmp_path)
    with pytest.raises(Exception, match=r"not a data set's files|validation error|No match for FieldRef"):
        read_files(tmp_path)


def test_no_pickle_is_read_or_written(tmp_path: Path) -> None:
    write_files(RECORD, tmp_path)
    with np.load(tmp_path / "pictures.npz", allow_pickle=False) as pictures:
        assert set(pictures) == {"samples", "sample_labels", "mean_image"}
    np.savez(tmp_path / "pictures.npz", samples=np.array([{}], dtype=object), sample_labels=[0], mean_image=[0])
    with pytest.raises(ValueError, match="allow_pickle=False"):
        read_files(tmp_path)


def test_a_study_records_its_data_once(small_study: Path) -> None:
    address = f"sqlite:///{small_study / 'mlflow.db'}"
    (record,) = load_datasets("small", address)
    runs = load_runs("small", address)
    assert set(runs["fingerprint"]) == {record.fingerprint}
    assert (runs["skipped_images"] == 0).all()
    assert record.name == "digits"
    assert dict(record.table["split"].value_counts()) == record.statistics["splits"]
    assert record.statistics["splits"] == {"train": 360, "validation": 40, "test": 100}
    assert record.samples.shape == (40, 8, 8, 1)
    json.dumps(record.statistics)
