"""How hard the faults are tried: little by default, as much as is asked for by the environment."""

import os


def injections(few: int, name: str = "STUDY_FAULTS") -> int:
    """Return how many faults are injected: `few`, or as many as the environment says.

    STUDY_FAULTS are hostile inputs (100000, say, takes minutes a fuzz), STUDY_KILLS killed processes (seconds each),
    STUDY_AWAY seconds that a server is away, STUDY_SEEDS seeds of each net on a cluster that loses a node.
    """
    return int(os.environ.get(name) or few)
