"""What all chapters of the section "Why" share: their evidence, and how parts become a chapter."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from study.report.figures.drawing import Drawing
from study.report.moments import END, at_moments
from study.report.page import Part
from study.report.tables.writer import Table
from study.report.text import write
from study.track.tags import PROBE_COLUMNS
from study.verdict import selection as c


@dataclass(frozen=True, eq=False)
class Evidence:
    """A study's runs, curves and measurements."""

    runs: pd.DataFrame
    """Runs that count of the variant that is judged: plain and residual nets, as `selection.counted` gives them."""
    curves: pd.DataFrame
    """Of these runs, as `load_curves` gives them."""
    others: pd.DataFrame
    """Runs that count of all variants, these included, but for longer trainings: they change no net."""
    probes: Mapping[str, pd.DataFrame]
    """By table (`gradients`, ...): rows of all variants, with `PROBE_COLUMNS`, step (int) and the probe's own."""
    smallest_effect: float
    """In points of training error."""

    def rows(self, table: str) -> pd.DataFrame:
        """Return a probe's rows of the variant that is judged; empty where it wasn't measured."""
        rows = self.probes.get(table)
        if rows is None:
            return pd.DataFrame(columns=[*PROBE_COLUMNS, "step"])
        return rows[rows["run_id"].isin(self.runs["run_id"])].reset_index(drop=True)

    @property
    def modified(self) -> pd.DataFrame:
        """Runs that count of the other variants; plain nets that options of a shortcut share aren't among them."""
        return self.others[~self.others["run_id"].isin(self.runs["run_id"])]

    def at_moments(self, table: str) -> pd.DataFrame:
        """Return a probe's rows with the `moment` at which they were measured."""
        return at_moments(self.rows(table), self.runs)

    def ended(self, table: str) -> pd.DataFrame:
        """Return a probe's rows at the end of runs that finished; empty where there are none."""
        rows = self.at_moments(table)
        return rows[rows["moment"] == END].reset_index(drop=True)

    def compared(self, table: str, column: str) -> pd.DataFrame:
        """Return the rows of `ended` of plain and residual nets, in their order, in which a column is finite."""
        rows = self.ended(table)
        if rows.empty:
            return rows
        return c.ordered(rows[rows["architecture"].isin(["plain", "residual"]) & np.isfinite(rows[column])])


class Findings(NamedTuple):
    """What a chapter is made of."""

    facts: Mapping[str, Any]
    """What its template tells, by name."""
    drawings: Iterable[Drawing] = ()
    tables: Iterable[Table] = ()


ChapterBuilder = Callable[[Evidence, Path], Part | None]
"""Makes a chapter, a step of the argument, with its figures in a folder; None where there is nothing to tell."""


def chapter(name: str, heading: str) -> Callable[[Callable[[Evidence], Findings | None]], ChapterBuilder]:
    """Make a function that finds something, or None, one that makes the chapter: its template is `why/{name}.j2`.

    The `heading` is a question or claim that the chapter's sentences answer.
    """

    def builder(find: Callable[[Evidence], Findings | None]) -> ChapterBuilder:
        @wraps(find)
        def build(evidence: Evidence, folder: Path) -> Part | None:
            findings = find(evidence)
            if findings is None:
                return None
            variant = str(evidence.runs["variant"].iloc[0])
            pictures = tuple(drawing.save(folder, variant) for drawing in findings.drawings)
            sentences, tables = write(f"why/{name}", **findings.facts), tuple(findings.tables)
            return Part(heading, f"why-{name}", sentences=sentences, pictures=pictures, tables=tables)

        return build

    return builder
