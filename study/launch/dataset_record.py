"""Write the data set of a grid to MLflow, once: a table of its images, their statistics, and pictures."""

from typing import Any

import pandas as pd

from study.data import Dataset
from study.data.describe import describe
from study.launch.display import Display
from study.track.database import StoredRun
from study.track.datasets import DatasetRecord, save_dataset
from study.track.store import Store

LARGE_BYTES = 2**30
"""Bytes of images above which a message is shown: describing them takes a while."""


def record_data(store: Store, dataset: Dataset, root: str | None, records: list[StoredRun], display: Display) -> None:
    """Write the description of a data set to MLflow, unless MLflow has it with its files; `root` is the data's folder.

    Training works without it: errors are shown as a warning, and the next start of the grid tries again.
    """
    known = [record for record in records if record.kind == "dataset" and record.key == dataset.fingerprint]
    if any(record.outcome == "finished" and store.has_files(record.run_id) for record in known):
        return
    if sum(split.nbytes for split in dataset.splits().values()) > LARGE_BYTES:
        display.say("describing the images, once for each data set")
    try:
        save_dataset(store, describe_record(dataset), root=root, earlier=known[0].run_id if known else "")
    except Exception as error:  # disk, server, writers of three formats
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        display.warn(f"the description of the data isn't in MLflow ({reason}); it is made again with the next start")


def describe_record(dataset: Dataset) -> DatasetRecord:
    """Return the description of a data set, with every text in UTF-8."""
    description = describe(dataset)
    table = pd.DataFrame({column: _plain(values) for column, values in description.table.items()})
    return DatasetRecord(
        dataset.name,
        dataset.fingerprint,
        table,
        _plain(description.statistics),
        description.samples,
        description.sample_labels,
        description.mean_image,
    )


def _plain(value: Any) -> Any:
    r"""Return a value with every text in UTF-8: other bytes of a file's name are written as ``\udcff``."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return {_plain(key): _plain(item) for key, item in value.items()} if isinstance(value, dict) else value
