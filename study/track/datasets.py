"""The data sets of a study in MLflow: each a run of its own with a table of its images, statistics and pictures."""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mlflow.tracking import MlflowClient
from numpy.typing import NDArray
from pydantic import BaseModel

from study.track import tags as tag
from study.track.client import connect
from study.track.database import StoredRun
from study.track.find import find_experiment, read_runs
from study.track.processes import scratch_folder
from study.track.store import Store
from study.track.uri import tracking_uri

TABLE, STATISTICS, PICTURES = "images.parquet", "statistics.json", "pictures.npz"
SIZES = ("height", "width")
COLUMNS = ("name", "class", *SIZES, "path", "split")


@dataclass(frozen=True, eq=False)
class DatasetRecord:
    """A data set as a study's runs used it. Legend: K samples, C channels, H height, W width."""

    name: str
    fingerprint: str
    table: pd.DataFrame
    """A row per image: name, class, height, width (of the original, in pixels), path, split."""
    statistics: Mapping[str, Any]
    """Plain values: dataset, fingerprint, images, channels, mean, variance, std, definition, classes, splits, height,
    width, training, skipped, notes."""
    samples: NDArray[np.uint8]
    """(K, H, W, C)."""
    sample_labels: NDArray[np.int64]
    """(K,): positions among the classes of `statistics`."""
    mean_image: NDArray[np.uint8]
    """(H, W, C)."""


def save_dataset(store: Store, record: DatasetRecord, *, root: str | None, earlier: str = "") -> None:
    """Store a data set as a separate run; it counts as stored once the run has ended.

    `root` is the data set's folder, `earlier` the id of a run with an unfinished attempt.
    """
    statistics = record.statistics
    tags = {tag.KIND: "dataset", tag.KEY: record.fingerprint}
    run_id = earlier or store.begin(f"data: {record.name}", {}, tags)
    if not earlier or store.reopen(run_id).bare:
        profile = {f"{split}_images": count for split, count in statistics["splits"].items()}
        store.add_dataset(run_id, record.name, record.fingerprint, root, profile)
        params = {"dataset": record.name, "fingerprint": record.fingerprint, "classes": len(statistics["classes"])}
        store.add_params(run_id, params)
    try:
        with scratch_folder("study-files-") as folder:
            write_files(record, Path(folder))
            store.add_folder(run_id, Path(folder))
    except BaseException as error:
        store.end(run_id, "interrupted" if isinstance(error, KeyboardInterrupt) else "failed", reason=str(error))
        raise
    metrics = {"images": float(statistics["images"]), "skipped_images": float(len(statistics["skipped"]))}
    store.end(run_id, "finished", metrics=metrics)


def load_datasets(experiment: str, uri: str | None = None) -> list[DatasetRecord]:
    """Return the data sets of a study, the oldest first; leave out missing or damaged ones.

    Raises:
        StudyError: no such experiment.
    """
    uri = uri or tracking_uri()
    return datasets_of(connect(uri), read_runs(find_experiment(experiment, uri), uri, "dataset"))


def datasets_of(client: MlflowClient, records: Sequence[StoredRun]) -> list[DatasetRecord]:
    """Return the data sets of a study, the oldest first; `records` are its runs of all kinds, the newest first."""
    by_fingerprint: dict[str, DatasetRecord] = {}
    for run in reversed(records):
        if run.kind == "dataset" and run.outcome == "finished":
            record = _load(client, run.run_id)
            if record is not None:
                by_fingerprint[record.fingerprint] = record
    return list(by_fingerprint.values())


def write_files(record: DatasetRecord, folder: Path) -> None:
    """Write a data set's three files into `folder`, without pickle."""
    record.table.to_parquet(folder / TABLE, index=False)
    (folder / STATISTICS).write_text(json.dumps(record.statistics, indent=2), encoding="utf-8")
    np.savez_compressed(
        folder / PICTURES, samples=record.samples, sample_labels=record.sample_labels, mean_image=record.mean_image
    )


def read_files(folder: Path) -> DatasetRecord:
    """Read a data set's three files.

    Raises:
        ValueError: the content isn't what `write_files` writes. Damaged files may raise any other error.
    """
    statistics = json.loads((folder / STATISTICS).read_text(encoding="utf-8"))
    table = pd.read_parquet(io.BytesIO((folder / TABLE).read_bytes()), columns=list(COLUMNS))
    # From bytes: of a damaged file the readers would leave a handle open.
    with np.load(io.BytesIO((folder / PICTURES).read_bytes()), allow_pickle=False) as pictures:
        samples, labels, mean_image = (pictures[name] for name in ("samples", "sample_labels", "mean_image"))
    checked = _Statistics.model_validate(statistics)
    record = DatasetRecord(checked.dataset, checked.fingerprint, table, statistics, samples, labels, mean_image)
    _check(record, checked)
    return record


def _load(client: MlflowClient, run_id: str) -> DatasetRecord | None:
    with scratch_folder("study-files-") as folder:
        try:
            for name in (TABLE, STATISTICS, PICTURES):
                client.download_artifacts(run_id, name, folder)
            return read_files(Path(folder))
        except Exception:  # readers of three formats, and a server, may raise any error; a report works without
            return None


def _check(record: DatasetRecord, statistics: "_Statistics") -> None:
    """Check that table and pictures fit the statistics, so that a report can rely on their form."""
    table, samples, labels = record.table, record.samples, record.sample_labels
    lengths = {
        len(values) for part in (statistics, statistics.training) for values in (part.mean, part.variance, part.std)
    }
    fits = {
        "channels": lengths == {len(statistics.channels)},
        "sizes": len(table) > 0 and all(table[s].dtype.kind in "iu" and table[s].min() > 0 for s in SIZES),
        "table": set(table["class"]) <= set(statistics.classes) and set(table["split"]) <= set(statistics.splits),
        "samples": samples.dtype == np.uint8 and samples.ndim == 4 and samples.size > 0,
        "sample labels": labels.shape == samples.shape[:1] and labels.dtype.kind in "iu",
        "mean image": record.mean_image.dtype == np.uint8 and record.mean_image.shape == samples.shape[1:],
    }
    problems = [name for name, fine in fits.items() if not fine]
    if problems or not 0 <= labels.min() <= labels.max() < len(statistics.classes):
        raise ValueError(f"not a data set's files: {', '.join(problems) or 'sample labels'}")


class _Range(BaseModel):
    least: float
    median: float
    greatest: float


class _Skipped(BaseModel):
    name: str
    reason: str


class _Part(BaseModel):
    images: int
    mean: list[float]
    variance: list[float]
    std: list[float]


class _Statistics(_Part):
    """The form of `statistics.json`."""

    dataset: str
    fingerprint: str
    channels: list[str]
    definition: str
    classes: dict[str, int]
    splits: dict[str, int]
    height: _Range
    width: _Range
    training: _Part
    skipped: list[_Skipped]
    notes: list[str] = []
