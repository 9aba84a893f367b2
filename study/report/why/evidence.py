"""What the argument of a report's section "Why" rests on, and what a chapter of it is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd

from study.report.figures.drawing import Picture
from study.report.tables.results import Table
from study.track import words


class Chapter(NamedTuple):
    """One step of the argument."""

    name: str
    """Part of file names and anchors: `gradients`."""
    heading: str
    """What it comes to, as a question or claim that the sentences answer."""
    sentences: tuple[str, ...]
    """What it shows here, from the numbers."""
    pictures: tuple[Picture, ...] = ()
    tables: tuple[Table, ...] = ()


@dataclass(frozen=True, eq=False)
class Evidence:
    """A study's runs, curves and measurements."""

    runs: pd.DataFrame
    """Runs that count of the variant that is judged: plain and residual nets, as `cells.counted` gives them."""
    curves: pd.DataFrame
    """Of these runs, as `load_curves` gives them."""
    others: pd.DataFrame
    """Runs that count of all variants, these included."""
    probes: Mapping[str, pd.DataFrame]
    """By table (`gradients`, ...): rows of all variants, with `words.PROBE_COLUMNS`, step (int) and the probe's own."""
    smallest_effect: float
    """In points of training error."""

    def rows(self, table: str) -> pd.DataFrame:
        """Return a probe's rows of the variant that is judged; empty where it wasn't measured."""
        found = self.probes.get(table)
        if found is None:
            return pd.DataFrame(columns=[*words.PROBE_COLUMNS, "step"])
        return found[found["run_id"].isin(self.runs["run_id"])].reset_index(drop=True)
