"""The data set of a grid, written to MLflow once: a table of its images, their statistics, and pictures."""

from typing import Any

import pandas as pd

from study.data import Dataset
from study.data.describe import describe
from study.launch.display import Display
from study.track.database import StoredRun
from study.track.datasets import DatasetRecord, save_dataset
from study.track.store import Store

LARGE_BYTES = 2**30
"""Data sets from this size on take long enough to describe that it is said."""


def record_data(store: Store, dataset: Dataset, root: str | None, records: list[StoredRun], display: Display) -> None:
    """Write what `dataset` holds to MLflow, unless it is there with its files; `root` is the folder that it came from.

    Training can do without: what goes wrong here is told, and the next start of the grid tries again.
    """
    known = [record for record in records if record.kind == "dataset" and record.key == dataset.fingerprint]
    if any(record.outcome == "finished" and store.has_files(record.run_id) for record in known):
        return
    if sum(split.nbytes for split in dataset.splits().values()) > LARGE_BYTES:
        display.say("describing the images, once for each data set")
    try:
        save_dataset(store, described(dataset), root=root, earlier=known[0].run_id if known else "")
    except Exception as error:  # disk, server, writers of three formats
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        display.warn(f"the description of the data isn't in MLflow ({reason}); it is made again with the next start")


def described(dataset: Dataset) -> DatasetRecord:
    """Describe a data set as it is stored, every text in UTF-8."""
    found = describe(dataset)
    table = pd.DataFrame({column: _plain(values) for column, values in found.table.items()})
    return DatasetRecord(
        dataset.name,
        dataset.fingerprint,
        table,
        _plain(found.statistics),
        found.samples,
        found.sample_labels,
        found.mean_image,
    )


def _plain(value: Any) -> Any:
    r"""Return a value with every text in UTF-8: bytes of a file's name that aren't are shown as ``\udcff``."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return {_plain(key): _plain(item) for key, item in value.items()} if isinstance(value, dict) else value
