"""Tables in the form of the paper's, with its figures beside the study's where both are of the same nets."""

from study.report.paper_tables.architectures import architectures_table
from study.report.paper_tables.differences import differences_table
from study.report.paper_tables.errors import errors_table, training_errors_table
from study.report.paper_tables.shortcuts import shortcuts_table

__all__ = ["architectures_table", "differences_table", "errors_table", "shortcuts_table", "training_errors_table"]
