"""How many processors there are to use."""

import os


def cores() -> int:
    """Return how many processors this process may use."""
    # no affinity on macOS and Windows
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
