"""How long points of the curves wait before they go to MLflow, several in one call."""

import time
from collections.abc import Callable, Collection

from study.launch.scheduler.job import AT_ONCE_SECONDS, Job

FLUSH_SECONDS = 10.0
"""Points wait so long where there is no reason to wait longer."""
LATE_SECONDS = 120.0
"""They wait at most so long, however many runs there are."""
SHARE = 0.25
"""Of the launcher's time that goes into logging points, about, where it's more than they need."""
FEW = 20
"""Calls whose time is averaged."""


class Pace:
    """Lets points wait longer the more runs there are and the slower MLflow is.

    Most of a call's cost is that of the call, and the launcher must have time for all else that a thousand runs ask.
    """

    def __init__(self) -> None:
        """Begin with MLflow as fast as can be."""
        self._call_seconds = 0.0

    def flush(self, jobs: Collection[Job], flush: Callable[[Job], None]) -> None:
        """Flush the jobs whose points have waited enough, the longest wait first, for a few seconds at most."""
        wait = min(max(FLUSH_SECONDS, len(jobs) * self._call_seconds / SHARE), LATE_SECONDS)
        began = time.perf_counter()
        for job in sorted((job for job in jobs if job.due(wait) and job.ours), key=lambda job: job.sent_at):
            before = time.perf_counter()
            flush(job)
            took = min(time.perf_counter() - before, AT_ONCE_SECONDS)  # whatever it took while MLflow was away
            self._call_seconds += (took - self._call_seconds) / FEW
            if time.perf_counter() - began > AT_ONCE_SECONDS:
                break
