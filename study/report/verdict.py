"""The verdict on a study: the findings of `rule`, one verdict a variant, told in words."""

from dataclasses import dataclass

import pandas as pd

from study.report import cells as c
from study.report.advice import next_step
from study.report.rule import SMALLEST_EFFECT, Finding, Remedy, find
from study.report.wording import Facts, line, sentences


@dataclass(frozen=True)
class Verdict:
    """The answer for one variant of the grid."""

    variant: str
    smallest_effect: float
    findings: tuple[Finding, ...]
    remedy: Remedy | None
    no_remedy: str
    """Why nothing is said of a remedy; empty where it is."""
    line: str
    """One sentence for the terminal."""
    sentences: tuple[str, ...]
    """Further sentences for the page: training error first, then test error, then what stands behind them."""
    next_step: str

    def finding(self, architecture: str) -> Finding | None:
        """Return the finding for an architecture, None where the study has no such net."""
        return next((one for one in self.findings if one.architecture == architecture), None)

    @property
    def plain(self) -> Finding | None:
        """The finding for plain nets."""
        return self.finding("plain")

    @property
    def residual(self) -> Finding | None:
        """The finding for residual nets."""
        return self.finding("residual")


def judge(runs: pd.DataFrame, smallest_effect: float = SMALLEST_EFFECT) -> list[Verdict]:
    """Apply the rule to each variant of a study; `smallest_effect` is in points of training error."""
    out = []
    for variant in c.variants(runs):
        mine = c.of_variant(runs, variant)
        kept = c.counted(mine)
        findings, remedy, no_remedy = find(mine, kept, smallest_effect)
        facts = Facts(variant, smallest_effect, findings, remedy, no_remedy, mine, kept)
        told = line(facts), sentences(facts), next_step(facts)
        out.append(Verdict(variant, smallest_effect, findings, remedy, no_remedy, *told))
    return out
