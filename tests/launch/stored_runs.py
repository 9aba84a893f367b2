"""Runs as the store returns them, made from what a plan looks at."""

from collections.abc import Mapping

from study.track import tags as tag
from study.track.database import StoredRun


def stored_run(run_id: str, kind: str, key: str, outcome: str, status: str, tags: Mapping[str, str]) -> StoredRun:
    """Return a run with these tags."""
    return StoredRun(run_id, "", status, 0, {tag.KIND: kind, tag.KEY: key, tag.OUTCOME: outcome} | tags, {}, {})
