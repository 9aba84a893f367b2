"""From frames of runs to a verdict, figures, tables and a page."""

from study.report.build import build_report
from study.report.data_figures import write_data_figures
from study.report.tables import results_table
from study.report.verdict import Verdict, judge

__all__ = ["Verdict", "build_report", "judge", "results_table", "write_data_figures"]
