"""Warnings about stale runs: those made by other code, with another PyTorch, of other data, or of other nets."""

from collections.abc import Collection, Iterable, Sequence

from study.errors import with_noun
from study.launch.environment import code, torch_version
from study.launch.plan.cells import Cell
from study.track import tags as tag
from study.track.database import StoredRun
from study.track.tags import DONE

MAX_VALUES = 3
"""Maximal values in a line."""


def stale_run_warnings(cells: Sequence[Cell], records: Sequence[StoredRun], data: Collection[str]) -> list[str]:
    """Return the warnings before a grid is continued; the key of a run covers its settings and data, not the code.

    Args:
        cells: the grid's cells with what is done and left of them.
        records: all records of the study.
        data: the fingerprint of each split of the data as it is now.
    """
    done = [record for cell in cells for record in cell.done]
    begun = [record for cell in cells for _, record in cell.left if record is not None]
    nets = [cell.specs[0].net.family for cell in cells if cell.specs[0].own]
    not_counted = (
        _not_counted(records, tag.DATA, data, "of other data"),
        _not_counted(records, tag.OWN_NETS, nets, "of nets by another source"),
    )
    return [line for line in (_other_code(done, begun), *not_counted) if line]


def _other_code(done: list[StoredRun], begun: list[StoredRun]) -> str:
    causes, stale = [], set()
    for key, now, cause in (
        (tag.CODE, code(), "by other code"),
        (tag.TORCH, torch_version(), "with another PyTorch"),
    ):
        differ = [record for record in (*done, *begun) if record.tags.get(key, "") != now]
        stale |= {record.run_id for record in differ}
        if differ:
            causes.append(f"{cause} ({_shown(record.tags.get(key, '') for record in differ)}; now {now})")
    if not stale:
        return ""
    cut = sum(record.run_id in stale for record in begun)
    return (
        f"warning: made {' or '.join(causes)}: {len(stale)} of {with_noun(len(done) + len(begun), 'run')}, "
        f"{cut} of them cut off; results stand, what was cut off goes on; give the grid another name to make all again"
    )


def _not_counted(records: Sequence[StoredRun], key: str, now: Collection[str], made: str) -> str:
    """Return the warning that runs whose tag `key` is none of those of `now` don't count, or an empty text."""
    runs = [record for record in records if record.kind == "run" and record.outcome in DONE]
    differ = [value for record in runs if (value := record.tags.get(key, "")) not in ("", *now)]
    if not differ:
        return ""
    return (
        f"warning: not counted as done, being {made} ({_shown(differ)}; now {_shown(now) or 'none'}): "
        f"{with_noun(len(differ), 'run')}; give the grid another name to keep them apart"
    )


def _shown(values: Iterable[str]) -> str:
    """Return the distinct values, newest first, at most MAX_VALUES of them."""
    distinct = list(dict.fromkeys(value or "unknown" for value in values))
    more = f" and {len(distinct) - MAX_VALUES} more" if len(distinct) > MAX_VALUES else ""
    return " / ".join(distinct[:MAX_VALUES]) + more
