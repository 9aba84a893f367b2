"""From frames of runs to figures, tables and a page, with the verdict on top."""

from study.report.build import build_report
from study.report.comparison_section import conclusions, warnings
from study.report.data_section import write_data_figures
from study.report.joined import Joined, join
from study.report.tables.results import results_table
from study.verdict.comparison import Comparison, compare_runs

__all__ = [
    "Comparison",
    "Joined",
    "build_report",
    "compare_runs",
    "conclusions",
    "join",
    "results_table",
    "warnings",
    "write_data_figures",
]
