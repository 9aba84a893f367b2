import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from study.data import Dataset, load_dataset
from study.data.dataset import BadFile
from study.launch.dataset_record import describe_record, record_data
from study.launch.display import Display
from study.launch.plan.cells import DataFacts
from study.track.datasets import load_datasets
from study.track.store import Store
from tests.track.test_store import uri


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load_dataset("digits")


def record(store: Store, dataset: Dataset) -> str:
    """Record the data as `study run` does; return what was said."""
    out = io.StringIO()
    record_data(store, dataset, None, store.records(), Display(Console(file=out, width=200)))
    return out.getvalue()


def test_a_data_set_is_written_once(tmp_path: Path, digits: Dataset) -> None:
    store = Store("g", uri(tmp_path))
    assert record(store, digits) == ""
    before = [one.run_id for one in store.records()]
    assert record(store, digits) == ""
    assert [one.run_id for one in store.records()] == before
    (found,) = load_datasets("g", uri(tmp_path))
    assert len(found.table) == 1797
    assert list(found.statistics["classes"]) == [str(i) for i in range(10)]
    assert np.unique(found.sample_labels).tolist() == list(range(10))


def test_other_data_are_another_record(tmp_path: Path, digits: Dataset) -> None:
    store = Store("g", uri(tmp_path))
    record(store, digits)
    record(store, replace(digits, fingerprint="other"))
    assert [one.fingerprint for one in load_datasets("g", uri(tmp_path))] == [digits.fingerprint, "other"]


def test_training_goes_on_without_it_and_the_next_start_tries_again(
    tmp_path: Path, digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store("g", uri(tmp_path))

    def full(*_: object, **__: object) -> None:
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(pd.DataFrame, "to_parquet", full)
        said = record(store, digits)
    assert "isn't in MLflow (no space left)" in said
    assert [one.status for one in store.records()] == ["FAILED"]
    assert record(store, digits) == ""
    assert [(one.kind, one.status) for one in store.records()] == [("dataset", "FINISHED")]
    assert len(load_datasets("g", uri(tmp_path))) == 1


def test_ctrl_c_leaves_nothing_running(tmp_path: Path, digits: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store("g", uri(tmp_path))

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pd.DataFrame, "to_parquet", stop)
    with pytest.raises(KeyboardInterrupt):
        record(store, digits)
    assert [one.outcome for one in store.records()] == ["interrupted"]


def test_skipped_files_are_counted_and_named_whatever_their_names(tmp_path: Path, digits: Dataset) -> None:
    dataset = replace(digits, skipped=(BadFile("caf\udce9.jpg", "not an image"),))  # latin-1 on a UTF-8 system
    assert DataFacts.of(dataset).skipped == 1
    assert describe_record(dataset).statistics["skipped"] == [{"name": r"caf\udce9.jpg", "reason": "not an image"}]
    store = Store("g", uri(tmp_path))
    assert record(store, dataset) == ""
    assert load_datasets("g", uri(tmp_path))[0].statistics["skipped"][0]["name"] == r"caf\udce9.jpg"
    assert store.client.get_run(store.records()[0].run_id).data.metrics["skipped_images"] == 1
