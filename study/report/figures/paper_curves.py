"""The paper's own curves, digitised from its Figure 6, to lie under those of a study of CIFAR-10.

Pixels of the figure (He et al. 2015, arXiv 1512.03385, Figure 6, left and middle) were read at every 1,000 iterations
from 34,000 on, plain and residual nets of 20 to 56 layers. The same reading gives residual nets test errors of 8.80,
7.53, 7.21 and 7.05% where the paper's Table 6 says 8.75, 7.51, 7.17 and 6.97%, so a test error is good to 0.1 point; a
training error, a thin dashed line, to 0.3 points and the curve's own jitter.
"""

from collections.abc import Collection
from functools import cache
from importlib.resources import files
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

DATASET = "cifar10"
ITERATIONS = 64_000
"""Length of the paper's training (section 4.2)."""
NEAR = 0.1
"""A study's training may be longer or shorter by this part: elsewhere its iterations are not the paper's."""
ERROR = {"test": 0.1, "train": 0.3}
"""Of reading the figure, in points."""
_ARCHITECTURES = {"plain": "plain", "resnet": "residual"}


class PaperLine(NamedTuple):
    """One of the paper's curves: iterations and error in percent, both (points,)."""

    architecture: str
    depth: int
    split: str
    step: NDArray[np.float64]
    error: NDArray[np.float64]


def paper_lines(runs: pd.DataFrame, nets: Collection[tuple[str, int]]) -> tuple[PaperLine, ...]:
    """Return the paper's curves of those `nets` (architecture, depth) that it shows too.

    There are none unless all `runs` are of the data set `cifar10` and as long as the paper's, within 10%: a curve of
    another length would lie beside other learning rates. A folder of images isn't known to hold CIFAR-10.
    """
    if not {"dataset", "total_iterations"} <= set(runs) or runs.empty:
        return ()
    length = pd.to_numeric(runs["total_iterations"])
    if not ((runs["dataset"] == DATASET) & ((length - ITERATIONS).abs() <= NEAR * ITERATIONS)).all():
        return ()
    return tuple(line for line in _all_lines() if (line.architecture, line.depth) in nets)


@cache
def _all_lines() -> tuple[PaperLine, ...]:
    with (files("study.report") / "data" / "paper-figure6.csv").open("r", encoding="utf-8") as file:
        table = pd.read_csv(file)
    return tuple(
        PaperLine(_ARCHITECTURES[str(family)], int(str(depth)), str(split), _array(rows, "iteration"),
                  _array(rows, "error_pct"))
        for (family, depth, split), rows in table.groupby(["family", "depth", "split"])
    )  # fmt: skip


def _array(rows: pd.DataFrame, column: str) -> NDArray[np.float64]:
    return rows[column].to_numpy(dtype=np.float64)
