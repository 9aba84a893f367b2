"""The verdict on degradation: frames of runs in, findings and their sentences out."""

from study.verdict.overall import Overall, overall
from study.verdict.rule import Rule
from study.verdict.selection import counted
from study.verdict.verdict import Verdict, judge

__all__ = ["Overall", "Rule", "Verdict", "counted", "judge", "overall"]
