"""The verdict on degradation: frames of runs in, findings and their sentences out."""

from study.verdict.selection import counted
from study.verdict.verdict import Verdict, judge

__all__ = ["Verdict", "counted", "judge"]
