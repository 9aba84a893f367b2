"""Nets that differ in the scale of the shortcut alone: from the plain net (0) to the residual net (1)."""

from typing import NamedTuple

import pandas as pd

from study.report.figures.remedies import DoseLine
from study.report.why.chapter import Evidence
from study.verdict import selection as c
from study.verdict.rule import METRIC
from study.verdict.variant import Variant

FIELD = "shortcut_scale"


class Doses(NamedTuple):
    """A line a depth, shallowest first."""

    lines: tuple[DoseLine, ...]

    @property
    def deepest(self) -> DoseLine:
        """The deepest net's."""
        return self.lines[-1]


def doses(evidence: Evidence) -> Doses | None:
    """Return the lines of all depths that have a scale between 0 and 1; None where there are none.

    The paper's plain nets stand at 0 and its residual nets at 1, unless those scales were trained themselves.
    """
    base = evidence.runs
    scaled = evidence.others[
        (evidence.others["architecture"] == "residual") & ~evidence.others["run_id"].isin(base["run_id"])
    ]
    alike = Variant.parse(str(base["variant"].iloc[0]))
    found = {name: scale for name in set(scaled["variant"]) if (scale := _scale(str(name), alike)) is not None}
    scaled = scaled[scaled["variant"].isin(found)]
    lines = []
    for depth in c.depths(scaled):
        cells = {kind: base[(base["architecture"] == name) & (base["depth"] == depth)]
                 for name, kind in (("plain", 0.0), ("residual", 1.0))}  # fmt: skip
        mine = scaled[scaled["depth"] == depth]
        cells |= {found[str(name)]: part for name, part in mine.groupby("variant")}
        used = {scale: part for scale, part in sorted(cells.items()) if len(part)}
        if len(used) > 2 or (len(used) == 2 and not set(used) <= {0.0, 1.0}):
            lines.append(_line(depth, used))
    return Doses(tuple(lines)) if lines else None


def _line(depth: int, cells: dict[float, pd.DataFrame]) -> DoseLine:
    return DoseLine(
        depth, tuple(cells), tuple(c.values(part, depth, METRIC) for part in cells.values()),
        tuple(int((part["outcome"] == "diverged").sum()) for part in cells.values()),
    )  # fmt: skip


def _scale(variant: str, alike: Variant) -> float | None:
    """Return the scale in a variant's name, None where it differs in anything else from the nets that are judged."""
    fields = Variant.parse(variant)
    try:
        return float(fields.get(FIELD, "")) if fields.without(FIELD) == alike else None
    except ValueError:
        return None
