"""What of a study was made otherwise than it would be made now: by other code, with another PyTorch, of other data."""

from collections.abc import Iterable, Sequence

from study.launch.environment import code, torch_version
from study.launch.plan.cells import CellPlan
from study.track import tags as tag
from study.track.database import StoredRun
from study.track.tags import DONE

NAMED = 3
"""Values that a line names."""


def made_otherwise(cells: Sequence[CellPlan], records: Sequence[StoredRun], fingerprint: str) -> list[str]:
    """Return what to warn of before a grid goes on, a line each: a run's key tells its settings and data, not the code.

    Args:
        cells: the grid set against what is there.
        records: all that the study has.
        fingerprint: of the data as it is now.
    """
    done = [record for cell in cells for record in cell.done]
    begun = [record for cell in cells for _, record in cell.left if record is not None]
    return [line for line in (_by_others(done, begun), _of_other_data(records, fingerprint)) if line]


def _by_others(done: list[StoredRun], begun: list[StoredRun]) -> str:
    causes, others = [], set()
    for key, now, cause in (
        (tag.CODE, code(), "by other code"),
        (tag.TORCH, torch_version(), "with another PyTorch"),
    ):
        differ = [record for record in (*done, *begun) if record.tags.get(key, "") != now]
        others |= {record.run_id for record in differ}
        if differ:
            causes.append(f"{cause} ({_named(record.tags.get(key, '') for record in differ)}; now {now})")
    if not others:
        return ""
    cut = sum(record.run_id in others for record in begun)
    whole = len(others) - cut
    fates = [f"{whole} {'stands as it is' if whole == 1 else 'stand as they are'}"] if whole else []
    fates += [f"{cut} cut off {'goes on where it' if cut == 1 else 'go on where they'} stopped"] if cut else []
    return (
        f"warning: {len(others)} of {len(done) + len(begun)} runs {'was' if len(others) == 1 else 'were'} made "
        f"{' or '.join(causes)}: {' and '.join(fates)}; give the grid another name to make all again"
    )


def _of_other_data(records: Sequence[StoredRun], fingerprint: str) -> str:
    runs = [record for record in records if record.kind == "run" and record.outcome in DONE]
    differ = [known for record in runs if (known := record.tags.get(tag.DATA, "")) not in ("", fingerprint)]
    if not differ:
        return ""
    one = len(differ) == 1
    return (
        f"warning: {len(differ)} run{'s' * (not one)} of this study {'is' if one else 'are'} of other data "
        f"({_named(differ)}; now {fingerprint}) and {'does' if one else 'do'} not count as done; "
        "give the grid another name to keep them apart"
    )


def _named(values: Iterable[str]) -> str:
    """Return the different values, the newest first, or as many of them as a line holds."""
    known = list(dict.fromkeys(value or "unknown" for value in values))
    more = f" and {len(known) - NAMED} more" if len(known) > NAMED else ""
    return " / ".join(known[:NAMED]) + more
