"""The probes of a run in MLflow: the tag that names them, and their tables."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from study.config import ProbePlan
from study.events import Probed
from study.track import tags as tag
from study.track.processes import scratch_folder
from study.track.store import Store
from study.track.tags import PROBE_TABLES


def probe_tags(plan: ProbePlan | None) -> dict[str, str]:
    """Return the tags of a run with these probes."""
    return {tag.PROBES: ",".join(plan.names)} if plan is not None else {}


def probes_in(tags: Mapping[str, str]) -> set[str]:
    """Return the names of a run's probes, by its tags."""
    return set(filter(None, tags.get(tag.PROBES, "").split(",")))


def has_all(probes: Iterable[str], plan: ProbePlan | None) -> bool:
    """Whether a run with these probes has all that are planned."""
    return plan is None or set(plan.names) <= set(probes)


def save_tables(store: Store, run_id: str, probed: Sequence[Probed]) -> None:
    """Write a Parquet file for each table of `tables`."""
    columns = tables(probed)
    if not columns:
        return
    import pandas as pd

    with scratch_folder("study-files-") as folder:
        inner = Path(folder) / PROBE_TABLES
        inner.mkdir()
        for name, values in columns.items():
            pd.DataFrame(values).to_parquet(inner / f"{name}.parquet", index=False)
        store.add_folder(run_id, Path(folder))


def tables(probed: Sequence[Probed]) -> dict[str, dict[str, list[Any]]]:
    """Return the columns of each table: the rows of all iterations, in order, with a column `step`."""
    joined: dict[str, dict[str, list[Any]]] = {}
    for event in sorted(probed, key=lambda event: event.step):
        for name, columns in event.tables.items():
            rows = len(next(iter(columns.values())))
            table = joined.setdefault(name, {"step": [], **{column: [] for column in columns}})
            table["step"] += [event.step] * rows
            for column, values in columns.items():
                table[column] += list(values)
    return joined
