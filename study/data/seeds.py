"""Seeds made from seeds: every random draw has a name, and its seed is a hash of that name.

A separate file, since it counts as code that decides results and `splits` doesn't: see `study.launch.environment`.
"""

import hashlib
import json


def derived_seed(seed: int, *words: str | int) -> int:
    """Return a 63-bit seed for the draw that `words` name, in the run or split that `seed` names.

    The same arguments give the same seed on every machine, and no two names share a stream:
    `derived_seed(0, "order", 3)` shuffles the fourth epoch of a run with seed 0.
    """
    name = json.dumps([seed, *words], separators=(",", ":"))
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") >> 1
