"""Tables in the form of the paper's, with its figures beside the study's where both are of the same nets."""

from study.report.tables.paper.architectures import architectures_table
from study.report.tables.paper.differences import differences_table
from study.report.tables.paper.errors import errors_table, training_errors_table
from study.report.tables.paper.shortcuts import shortcuts_table

__all__ = ["architectures_table", "differences_table", "errors_table", "shortcuts_table", "training_errors_table"]
