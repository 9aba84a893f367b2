"""The top of the page: an abstract of two sentences, and what the verdict rests on: data, learning rate, length."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from study.errors import with_noun
from study.report.metrics import ERROR_WORDS
from study.report.tables.results import results_table
from study.report.text import span, write
from study.verdict import selection as c
from study.verdict.explanations import rate_setting
from study.verdict.text import listed, points
from study.verdict.variant import Variant
from study.verdict.verdict import Verdict
from study.verdict.words import say

LISTED = 5
"""Depths that the abstract names; of more the first and the last."""
BASIS = ("Data", "Learning rate", "Length")


def abstract(runs: pd.DataFrame) -> tuple[str, ...]:
    """Return what was trained on what, for how long, with how many seeds and when; and the span of final errors."""
    counted = _own_length(runs)
    variants = [Variant.parse(variant) for variant in sorted(set(counted["variant"]))]
    return write(
        "abstract",
        nets=_nets(counted),
        units=_units(counted),
        variants=len(variants),
        studies=any("study" in variant for variant in variants),
        datasets=_names(counted, "dataset"),
        lengths=_numbers(counted, "total_iterations"),
        days=_days(counted["start_time"].dropna()),
        errors={name: ends for metric, name in ERROR_WORDS.items() if (ends := _ends(counted, metric))},
    )


def basis(runs: pd.DataFrame, verdicts: Sequence[Verdict]) -> tuple[tuple[str, str], ...]:
    """Return a name and text for each of data, learning rate and length: what the verdicts rest on.

    Of a single verdict, they also say what test images, and longer trainings, say of the same nets.
    """
    counted = _own_length(runs)
    alone = verdicts[0] if len(verdicts) == 1 else None
    longer = [part for part in alone.explanations if part.name == "training length"] if alone else []
    texts = write(
        "basis",
        datasets=_names(counted, "dataset"),
        splits=counted["split_seed"].nunique() if "split_seed" in counted else 1,
        images={split: _numbers(counted, f"{split}_images") for split in ("train", "test")},
        classes=_numbers(counted, "classes"),
        test=_test_error(alone) if alone else "",
        rates=say("how_rates_were_set", rate_setting(counted, _rates_from(verdicts))),
        lengths=_numbers(counted, "total_iterations"),
        others=_numbers(c.counted(runs[runs["variant"].isin(c.budgets(runs))]), "total_iterations"),
        longer=longer[0].sentence if longer else "",
    )
    return tuple(zip(BASIS, texts, strict=True))


def _rates_from(verdicts: Sequence[Verdict]) -> str:
    """Return the study whose searches found the rates of all verdicts; empty where they differ in it."""
    sources = {verdict.rates_from for verdict in verdicts}
    return sources.pop() if len(sources) == 1 else ""


def _own_length(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the runs that count without those of longer budgets."""
    return c.counted(runs[~runs["variant"].isin(c.budgets(runs))])


def _nets(counted: pd.DataFrame) -> str:
    """Name the nets: ``plain and residual nets of 8, 20 and 56 layers``."""
    by_depths: dict[tuple[int, ...], list[str]] = {}
    for kind in c.architectures(counted):
        depths = tuple(c.depths(counted[counted["architecture"] == kind]))
        by_depths.setdefault(depths, []).append(kind)
    return listed([f"{listed(kinds)} nets of {_layers(depths)} layers" for depths, kinds in by_depths.items()])


def _layers(depths: tuple[int, ...]) -> str:
    return listed([str(depth) for depth in depths]) if len(depths) <= LISTED else f"{depths[0]} to {depths[-1]}"


def _units(counted: pd.DataFrame) -> str:
    """Return what each net was trained with: ``2 to 3 seeds``, ``5 splits of 2 seeds``."""
    unit = c.unit(counted)
    column = "seed" if unit == "seed" else "split_seed"
    counts = span(counted.groupby(["variant", "architecture", "depth"])[column].nunique())
    noun, blank, rest = unit.partition(" ")
    return f"{counts} {noun if counts == '1' else f'{noun}s'}{blank}{rest}"


def _names(counted: pd.DataFrame, column: str) -> list[str]:
    known = counted[column].dropna() if column in counted else ()
    return sorted({str(name) for name in known} - {"", "None"})


def _numbers(counted: pd.DataFrame, column: str) -> list[int]:
    """Return the least and the greatest number of a column; one where they are equal, none where it isn't known."""
    known = counted[column].dropna() if column in counted else pd.Series(dtype=float)
    return sorted({int(known.min()), int(known.max())}) if len(known) else []


def _days(moments: pd.Series) -> list[str]:
    """Return the first and the last day; one where they are the same."""
    days = (moments.min(), moments.max()) if len(moments) else ()
    return list(dict.fromkeys(f"{moment.day} {moment:%B %Y}" for moment in days))


def _ends(counted: pd.DataFrame, metric: str) -> list[str]:
    """Return the least and the greatest mean error, each with its net or how many nets share it."""
    rows = results_table(counted)
    rows = rows[rows[f"{metric}_estimate"].notna()]
    several = rows["variant"].nunique() > 1
    shown: dict[str, list[str]] = {}
    for _, row in rows.sort_values(f"{metric}_estimate", kind="stable").iterrows():
        name = f"{row['net']}, {row['variant']}" if several and row["variant"] else str(row["net"])
        shown.setdefault(points(float(row[f"{metric}_estimate"])), []).append(name)
    ends = list(shown.items())
    ends = ends[:: max(1, len(ends) - 1)]
    return [f"{error}% ({listed(nets) if len(nets) < 3 else with_noun(len(nets), 'net')})" for error, nets in ends]


def _test_error(verdict: Verdict) -> str:
    """Return the verdict's sentence on the test images, of its first architecture."""
    findings: list[Any] = [finding for finding in verdict.findings if finding.headline]
    if not findings:
        return ""
    first = findings[0]
    return say("test_error", first, first.match(first.headline, first.test), verdict.rule.smallest_effect).strip()
