"""Every shallow net against every deeper one of its architecture, with Holm's adjustment inside the architecture."""

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import pandas as pd

from study.report.cells import resolution, values, with_gap
from study.report.statistics import Difference, difference, holm


class Pair(NamedTuple):
    """A deep net against a shallow one; a positive difference means that the deep net errs more."""

    variant: str
    architecture: str
    metric: str
    shallow: int
    deep: int
    shallow_net: str
    deep_net: str
    difference: Difference
    p_holm: float


def pairs(cells: pd.DataFrame, planned: dict[int, str], metric: str, *, others: Sequence[float] = ()) -> list[Pair]:
    """Compare all depths of one architecture in one variant.

    `planned` are the depths, with their nets' names, that the study has runs of, ended or not: a pair that can't be
    tested yet still counts in Holm's adjustment. So do `others`, the p-values of further tests of the same claim.
    """
    if cells.empty:
        return []
    variant, architecture = str(cells["variant"].iloc[0]), str(cells["architecture"].iloc[0])
    cells, step = with_gap(cells), resolution(cells, metric)
    couples = list(combinations(sorted(planned), 2))
    found = [difference(values(cells, deep, metric), values(cells, shallow, metric), step) for shallow, deep in couples]
    adjusted = holm([*(one.p for one in found), *others])[: len(found)]
    return [
        Pair(variant, architecture, metric, shallow, deep, planned[shallow],
             planned[deep], one, p)
        for (shallow, deep), one, p in zip(couples, found, adjusted, strict=True)
    ]  # fmt: skip
