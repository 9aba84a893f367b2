"""How hard the fuzzing tries: little by default, as much as is asked for by STUDY_FAULTS."""

import os


def injections(few: int) -> int:
    """Return how many inputs a fuzz makes: `few`, or as many as STUDY_FAULTS says (100000, say, takes minutes each)."""
    return int(os.environ.get("STUDY_FAULTS") or few)
