"""Plain and residual nets: `build_net` by name, `count` for their size."""

from study.nets.complexity import Complexity, count
from study.nets.design import PAPER, Design
from study.nets.join import can_join, join, unjoin
from study.nets.registry import build_net

__all__ = ["PAPER", "Complexity", "Design", "build_net", "can_join", "count", "join", "unjoin"]
