"""All that a verdict's words may rest on."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import pandas as pd

from study.verdict.edges import Edges
from study.verdict.rate_sensitivity import Choice
from study.verdict.rule import Finding
from study.verdict.shortcut_effect import Remedies

Outcome = Literal["excluded", "not excluded", "open"]


@dataclass(frozen=True)
class Explanation:
    """Another explanation of a rise in training error, with what the numbers say of it."""

    name: Literal["overfitting", "learning rate", "training length"]
    architecture: str
    status: Outcome
    sentence: str
    numbers: Mapping[str, Any]
    """What the sentence is written from; in points of error unless a name says otherwise."""


class Longer(NamedTuple):
    """A variant of the study that differs in the length of training alone, and trained for longer."""

    variant: str
    times: float
    """Its iterations as a multiple."""
    findings: tuple[Finding, ...]


class Facts(NamedTuple):
    """A variant's runs and all that was found about them."""

    variant: str
    smallest: float
    findings: tuple[Finding, ...]
    remedies: Remedies
    runs: pd.DataFrame
    kept: pd.DataFrame
    edges: Edges
    searched: bool
    """Whether the searches of its rates are known."""
    choices: tuple[Choice, ...]
    curves: pd.DataFrame | None
    longer: tuple[Longer, ...]

    def finding(self, architecture: str) -> Finding | None:
        """Return the finding for an architecture, if the study has such nets."""
        return next((one for one in self.findings if one.architecture == architecture), None)

    def cells(self, architecture: str) -> pd.DataFrame:
        """Return the counted runs of an architecture."""
        return self.kept[self.kept["architecture"] == architecture]
