"""Plain and residual nets: `build_net` by name, `build_own` by the user's function, `count` for their size."""

from study.nets.complexity import Complexity, count, count_any
from study.nets.design import PAPER, Design
from study.nets.join import can_join, join, unjoin
from study.nets.own import build_own
from study.nets.registry import build_net

__all__ = [
    "PAPER",
    "Complexity",
    "Design",
    "build_net",
    "build_own",
    "can_join",
    "count",
    "count_any",
    "join",
    "unjoin",
]
