"""Time added up over the calls of a function: what benches that watch a program from inside have in common."""

import functools
import time
from collections.abc import Callable
from typing import Any


def timed(
    call: Callable[..., Any], label: str, spent: dict[str, float], clock: Callable[[], float] = time.perf_counter
) -> Callable[..., Any]:
    """Return the same function, whose seconds by `clock` are added to `spent[label]`."""

    @functools.wraps(call)
    def watched(*given: Any, **named: Any) -> Any:
        began = clock()
        try:
            return call(*given, **named)
        finally:
            spent[label] = spent.get(label, 0.0) + clock() - began

    return watched
