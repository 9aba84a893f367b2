"""Does more training undo it? The rise between two depths after a longer training, beside that of the study's own.

Three words, with a rule set beforehand: after the longer training the rise

- vanishes: its 95% interval ends below the smallest effect;
- shrinks: the rise of the study's own length is larger beyond doubt (the 95% interval of the difference of both rises
  lies above 0), and it doesn't vanish;
- stays: it is shown by the rule, and doesn't shrink;

else what it does is open. He et al. (2015, section 4.1) trained three times as long and found that it stays.
"""

import math
from typing import Literal, NamedTuple

import pandas as pd

from study.statistics.interval import Interval
from study.statistics.welch import difference_in_differences
from study.verdict import selection as c
from study.verdict.findings import METRIC, Finding
from study.verdict.pairs import Pair
from study.verdict.variant import Variant

LENGTHS = ("epochs", "iterations", "budget")
"""Fields of a variant that set the length of training alone."""
Change = Literal["vanishes", "shrinks", "stays", "open"]


class Longer(NamedTuple):
    """The runs of a variant that differs in the length of training alone, and trained for longer."""

    variant: str
    times: float
    """Its iterations as a multiple."""
    findings: tuple[Finding, ...]
    counted: pd.DataFrame


class LongerRise(NamedTuple):
    """The rise of the headline's two nets after a longer training."""

    variant: str
    times: float
    shallow_net: str
    deep_net: str
    difference: Interval
    removed: Interval
    """The rise of the study's own length minus this one, in points."""
    change: Change
    rates_of_once: bool
    """Whether its rates were tuned for the study's own length."""


def but_length(variant: str) -> Variant:
    """Return a variant without what sets the length of training."""
    return Variant.parse(variant).without(*LENGTHS)


def of_all_lengths(runs: pd.DataFrame, variant: str) -> pd.DataFrame:
    """Return the counted runs of a variant and of those that differ from it in the length of training alone.

    Empty where one of these is shorter: the runs belong to that one.
    """
    names = dict.fromkeys((*c.variants(runs), *c.budgets(runs)))
    alike = [name for name in names if but_length(name) == but_length(variant)]
    frames = {name: c.counted(c.of_variant(runs, name)) for name in alike}
    lengths = {name: frame["total_iterations"].median() for name, frame in frames.items() if len(frame)}
    if not lengths or min(lengths, key=lengths.__getitem__) != variant:
        return runs.iloc[:0]
    return pd.concat([frames[name] for name in lengths], ignore_index=True)


def have_rates_of_once(counted: pd.DataFrame, variant: str) -> bool:
    """Tell whether rates of a variant's counted runs were tuned for another length, that of the recipe."""
    return bool(counted["lr_tuned"].astype(bool).any()) and "budget" in Variant.parse(variant)


def longer_rises(headline: Pair, counted: pd.DataFrame, longer: tuple[Longer, ...]) -> list[LongerRise]:
    """Return what each longer training makes of a rise, the shortest first.

    Args:
        headline: the pair whose rise is shown.
        counted: the counted runs of its variant.
        longer: longer trainings; those without two seeds of each of the two nets are left out.
    """
    return [rise for other in longer if (rise := _rise(headline, counted, other)) is not None]


def _rise(headline: Pair, counted: pd.DataFrame, other: Longer) -> LongerRise | None:
    there = next((finding for finding in other.findings if finding.architecture == headline.architecture), None)
    pair = there.match(headline, there.train) if there is not None else None
    if pair is None or math.isnan(pair.difference.low):
        return None
    cells = [
        c.values(frame, depth, METRIC, headline.architecture)
        for frame in (counted, other.counted)
        for depth in (headline.deep, headline.shallow)
    ]
    removed = difference_in_differences(cells[0], cells[1], cells[2], cells[3], c.resolution(counted, METRIC))
    return LongerRise(
        variant=other.variant,
        times=other.times,
        shallow_net=pair.shallow_net,
        deep_net=pair.deep_net,
        difference=pair.difference,
        removed=removed,
        change=_change(pair, removed),
        rates_of_once=have_rates_of_once(other.counted, other.variant),
    )


def _change(pair: Pair, removed: Interval) -> Change:
    if pair.harmless:
        return "vanishes"
    if removed.low > 0:
        return "shrinks"
    return "stays" if pair.worse else "open"
