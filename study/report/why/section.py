"""The section "Why" as a whole: its chapters in the order of the argument."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from study.report.page import Part
from study.report.why.chapter import ChapterBuilder, Evidence
from study.report.why.construction import construction_chapter
from study.report.why.continuation import continuation_chapter
from study.report.why.gradients import gradients_chapter
from study.report.why.lesion import lesion_chapter
from study.report.why.overfitting import overfitting_chapter
from study.report.why.ranks import ranks_chapter
from study.report.why.remedies import remedies_chapter
from study.report.why.responses import responses_chapter
from study.report.why.shattering import shattering_chapter
from study.report.why.slowness import slowness_chapter
from study.report.why.surface import surface_chapter
from study.verdict import selection as c

CHAPTERS: tuple[ChapterBuilder, ...] = (
    overfitting_chapter,
    gradients_chapter,
    responses_chapter,
    shattering_chapter,
    construction_chapter,
    continuation_chapter,
    slowness_chapter,
    surface_chapter,
    lesion_chapter,
    ranks_chapter,
    remedies_chapter,
)
"""What isn't the cause first, then what is, then what helps."""


def why_section(
    runs: pd.DataFrame,
    curves: pd.DataFrame,
    probes: Mapping[str, pd.DataFrame],
    smallest_effect: float,
    folder: Path,
) -> tuple[Part, ...]:
    """Return the chapters that a study has evidence for; figures go into `folder`.

    Args:
        runs: all runs of one study, as `load_runs` gives them.
        curves: as `load_curves` gives them.
        probes: as `load_probes` gives them.
        smallest_effect: smallest effect of interest, in points of training error.
        folder: the report's folder of figures.
    """
    variant = c.variants(runs)[0]
    judged = c.counted(c.of_variant(runs, variant))
    evidence = Evidence(
        runs=judged,
        curves=curves[curves["run_id"].isin(judged["run_id"])] if len(curves) else curves,
        others=c.counted(runs[~runs["variant"].isin(c.budgets(runs))]),
        probes=probes,
        smallest_effect=smallest_effect,
    )
    chapters = (chapter(evidence, folder) for chapter in CHAPTERS)
    return tuple(chapter for chapter in chapters if chapter is not None)
