"""From frames of runs to a verdict, figures, tables and a page.

A name is loaded when it is first asked for: a verdict needs no figures, and what draws them takes a second.
"""

from typing import TYPE_CHECKING

from study.later import later

if TYPE_CHECKING:
    from study.report.build import build_report
    from study.report.cells import counted
    from study.report.compare import Comparison, compare_runs
    from study.report.compare_words import conclusions, warnings
    from study.report.data_figures import write_data_figures
    from study.report.several import Joined, join
    from study.report.tables import results_table
    from study.report.verdict import Verdict, judge

__all__ = [
    "Comparison",
    "Joined",
    "Verdict",
    "build_report",
    "compare_runs",
    "conclusions",
    "counted",
    "join",
    "judge",
    "results_table",
    "warnings",
    "write_data_figures",
]

__getattr__ = later(
    __name__,
    {
        "build": ("build_report",),
        "cells": ("counted",),
        "compare": ("Comparison", "compare_runs"),
        "compare_words": ("conclusions", "warnings"),
        "data_figures": ("write_data_figures",),
        "several": ("Joined", "join"),
        "tables": ("results_table",),
        "verdict": ("Verdict", "judge"),
    },
)
