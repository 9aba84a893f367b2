"""What probes of a run leave in MLflow, and whether a run has all that are asked for."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from study.config import ProbePlan
from study.events import Probed
from study.track import tags as tag
from study.track.scratch import scratch_folder
from study.track.store import Store
from study.track.tags import PROBE_TABLES


def told(plan: ProbePlan | None) -> dict[str, str]:
    """Return the tags of a run that these probes are made of."""
    return {tag.PROBES: ",".join(plan.names)} if plan is not None else {}


def names(tags: Mapping[str, str]) -> set[str]:
    """Return the probes that are made of a run."""
    return set(filter(None, tags.get(tag.PROBES, "").split(",")))


def covers(made: Iterable[str], plan: ProbePlan | None) -> bool:
    """Whether a run that these probes were made of needs no other."""
    return plan is None or set(plan.names) <= set(made)


def save_tables(store: Store, run_id: str, probed: Sequence[Probed]) -> None:
    """Write a file of each table: the rows of all iterations, with a column `step`."""
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
    """Return each table's columns, the rows of each iteration after those of the one before."""
    found: dict[str, dict[str, list[Any]]] = {}
    for one in sorted(probed, key=lambda probe: probe.step):
        for name, columns in one.tables.items():
            rows = len(next(iter(columns.values())))
            table = found.setdefault(name, {"step": [], **{column: [] for column in columns}})
            table["step"] += [one.step] * rows
            for column, values in columns.items():
                table[column] += list(values)
    return found
