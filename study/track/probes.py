"""What probes found, from MLflow to pandas: a table a measurement, a row of it for each run and iteration."""

import io
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from mlflow.tracking import MlflowClient

from study.track import words
from study.track.connect import connect
from study.track.owner import scratch_folder
from study.track.place import tracking_uri
from study.track.read import load_runs


def load_probes(experiment: str, uri: str | None = None) -> dict[str, pd.DataFrame]:
    """Return the measurements of a study's runs by table: `gradients`, `surface`, ...

    Columns: run_id, architecture, depth, net, variant, seed, lr, step (iterations done), and the table's own, which the
    probe's docstring in `study.probe` explains.

    Raises:
        StudyError: no such experiment.
    """
    uri = uri or tracking_uri()
    return read_probes(connect(uri), load_runs(experiment, uri))


def read_probes(client: MlflowClient, runs: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the tables of `load_probes` of these runs; what is missing or damaged is left out."""
    found: dict[str, list[pd.DataFrame]] = {}
    measured = runs[runs["probes"] != ""] if "probes" in runs else runs.iloc[:0]
    for _, run in measured[measured["outcome"].isin(words.DONE)].iterrows():
        for name, table in _tables(client, str(run["run_id"])):
            told = pd.DataFrame({column: run[column] for column in words.PROBE_COLUMNS}, index=table.index)
            found.setdefault(name, []).append(pd.concat([told, table], axis="columns"))
    return {name: pd.concat(tables, ignore_index=True) for name, tables in found.items()}


def _tables(client: MlflowClient, run_id: str) -> Iterator[tuple[str, pd.DataFrame]]:
    with scratch_folder("study-files-") as folder:
        try:
            files = sorted(Path(client.download_artifacts(run_id, words.PROBE_TABLES, folder)).glob("*.parquet"))
        except Exception:  # stores raise errors of their own; a report can do without
            return
        for file in files:
            try:
                table = pd.read_parquet(io.BytesIO(file.read_bytes()))  # of a damaged file, no handle stays open
            except Exception:  # as do readers of damaged files
                continue
            if len(table) and "step" in table:
                yield file.stem, table
