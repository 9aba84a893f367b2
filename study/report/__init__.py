"""From frames of runs to a verdict, figures, tables and a page."""

from study.report.build import build_report
from study.report.cells import counted
from study.report.compare import Comparison, compare
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
    "compare",
    "conclusions",
    "counted",
    "join",
    "judge",
    "results_table",
    "warnings",
    "write_data_figures",
]
