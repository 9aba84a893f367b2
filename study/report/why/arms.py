"""Nets with a remedy beside the paper's: the rise of each with depth, what it removes of theirs, and doses of one."""

import math
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from study.report.why.chapter import Evidence
from study.report.why.gradients import run_growths
from study.statistics.interval import Direction, Interval, mean_interval
from study.statistics.welch import difference_in_differences, excess
from study.verdict import selection as c
from study.verdict.findings import METRIC
from study.verdict.variant import Variant

Effect = Literal["removes", "partly", "not", "worse", "fails", "same", "unclear", "alone"]
"""On the rise: leaves none, leaves some, removes none, adds to it. `fails`: it's smaller, but the deep net is no better
than the plain one, as the shallow net is worse. `same`: there is none, with or without the remedy. `alone`: there is
nothing to compare with."""
Array = NDArray[np.float64]
WITHIN: tuple[Direction, ...] = ("no more", "less")
SCALE_FIELD = "shortcut_scale"
DOSES = ["depth", SCALE_FIELD, "error", "diverged"]
WORDS = {
    "batch_norm=none": "no batch norm",
    "preactivation=True": "pre-activation",
    "scaling=rezero": "ReZero",
    "scaling=skipinit": "SkipInit",
    "scaling=fixup": "Fixup",
    "activation=tanh": "tanh",
    "activation=tat": "TAT",
    "activation=dks": "DKS",
}
"""What remedies are called in sentences and figures, where a table of runs has `activation=tanh`."""


class Arm(NamedTuple):
    """One variant of one architecture at the shallowest and the deepest depth that it has; errors are (seeds,)."""

    variant: str
    """Empty for the paper's nets."""
    architecture: str
    shallow: int
    """That of the paper's shallowest plain net where the variant has one depth only and they have a lesser one."""
    deep: int
    deep_net: str
    shallow_errors: Array
    deep_errors: Array
    diverged: int
    """Seeds of the deep net, which count with the error of guessing."""
    rates: tuple[float, ...]
    """Learning rates of the deep net."""
    rise: Interval
    """Deep minus shallow."""
    plain_rise: Interval
    """The same of the paper's plain nets of these depths."""
    removed: Interval
    """The plain nets' rise minus this one."""
    beside_plain: Interval
    """The paper's plain net of the deep depth minus this one's: positive where this one is better."""
    borrowed: bool
    """Whether the shallow net is the paper's plain one."""
    growth: Interval
    """Factor by which gradients grow a layer toward the input at initialisation, over seeds of the deep net."""
    effect: Effect

    @property
    def base(self) -> bool:
        """Whether these are the paper's nets."""
        return not self.variant

    @property
    def name(self) -> str:
        """What a sentence calls it: ``orthogonal weights (plain-56)``, ``the shortcut (resnet-56)``."""
        paper = "the shortcut" if self.architecture == "residual" else "nothing"
        return f"{in_words(self.variant) or paper} ({self.deep_net})"

    @property
    def share(self) -> float:
        """Part of the plain nets' rise that is removed; NaN where they have none."""
        rise = self.plain_rise
        return self.removed.estimate / rise.estimate if rises(rise) else math.nan


def rises(rise: Interval) -> bool:
    """Return whether there is a rise: the interval, or with one seed the estimate, is above 0."""
    return (rise.estimate if math.isnan(rise.low) else rise.low) > 0


def arms(evidence: Evidence) -> tuple[Arm, ...]:
    """Return the paper's plain and residual nets, and every other variant by architecture.

    Plain nets that the options of a shortcut share are the paper's, under whatever variant they stand.
    """
    gradients = evidence.probes.get("gradients")
    at_start = gradients[gradients["step"] == 0] if gradients is not None else pd.DataFrame()
    growths = run_growths(at_start) if len(at_start) else pd.Series(dtype=float)
    plain = evidence.runs[evidence.runs["architecture"] == "plain"]
    resolution = c.resolution(evidence.others, METRIC)
    nets = [
        _arm(str(variant), runs[runs["architecture"] == kind], plain, growths, resolution)
        for variant, runs in (("", evidence.runs), *evidence.modified.groupby("variant"))
        for kind in c.architectures(runs)
        if kind != "vgg"  # which has no shortcut, nor any of the remedies
    ]
    return tuple(arm._replace(effect=_effect(arm, evidence.smallest_effect)) for arm in nets)


def _arm(variant: str, runs: pd.DataFrame, plain: pd.DataFrame, growths: "pd.Series[float]", resolution: float) -> Arm:
    """Compare one variant; its effect is still to be judged."""
    shallow, deep = c.depths(runs)[0], c.depths(runs)[-1]
    borrowed = shallow == deep and len(plain) > 0 and c.depths(plain)[0] < deep
    if borrowed:
        shallow = c.depths(plain)[0]
    high = c.values(runs, deep, METRIC)
    plain_high, plain_low = (c.values(plain, depth, METRIC) for depth in (deep, shallow))
    low = plain_low if borrowed else c.values(runs, shallow, METRIC)
    several = shallow < deep
    ends = runs[runs["depth"] == deep]
    beside_plain = excess(plain_high, high, resolution)
    return Arm(
        variant=variant,
        architecture=str(runs["architecture"].iloc[0]),
        shallow=shallow,
        deep=deep,
        deep_net=str(ends["net"].iloc[0]),
        shallow_errors=low,
        deep_errors=high,
        diverged=int((ends["outcome"] == "diverged").sum()),
        rates=tuple(sorted({float(f"{lr:.3g}") for lr in ends["lr"].dropna()})),
        rise=excess(high, low if several else [], resolution)._replace(unit=c.unit(runs)),
        plain_rise=excess(plain_high, plain_low if several else [], resolution),
        # Of a rise from the same net, the shallow net's error falls out.
        removed=beside_plain if borrowed else difference_in_differences(plain_high, plain_low, high, low, resolution),
        beside_plain=beside_plain,
        borrowed=borrowed,
        growth=mean_interval(growths[growths.index.isin(ends["run_id"])]),
        effect="alone",
    )


def _effect(arm: Arm, smallest: float) -> Effect:
    """Judge by intervals; where one seed has none, by the estimates."""
    if math.isnan(arm.rise.estimate) or math.isnan(arm.removed.estimate):
        return "alone"
    none_left, beside = arm.rise.direction(smallest) in WITHIN, arm.beside_plain.direction(smallest)
    if none_left and arm.plain_rise.direction(smallest) in WITHIN:
        return "same"
    removed = arm.removed
    single = math.isnan(removed.low)
    low, high = removed[1:3]
    if single:
        low, high = removed.estimate - smallest, removed.estimate + smallest
    if none_left or low > 0:
        better: Effect = "removes" if none_left else "partly"
        return "fails" if beside in WITHIN else "unclear" if beside == "unclear" else better
    if high < 0:
        return "worse"
    return "not" if (removed.estimate if single else high) <= smallest else "unclear"


def in_words(variant: str) -> str:
    """Return a variant as people call it: ``orthogonal weights``, ``no batch norm + delta-orthogonal + DKS``.

    What isn't known stays as it is.
    """
    fields = Variant.parse(variant)
    return " + ".join(_word(field, value, alone=len(fields) == 1) for field, value in fields.items())


def _word(field: str, value: str, *, alone: bool) -> str:
    if field == "initialisation":
        return f"{value.capitalize() if value == 'dirac' else value}{' weights' * alone}"
    if field == "shortcut_scale":
        return f"shortcut times {value}"
    if field == "shortcut":
        return f"option {value}"
    return WORDS.get(f"{field}={value}", f"{field}={value}")


def doses(evidence: Evidence) -> pd.DataFrame:
    """Return the nets that differ in the scale of the shortcut alone: `DOSES`, a row a depth, scale and seed.

    `diverged` counts the seeds of that net that did. Depths are those that have a scale between 0 and 1. The paper's
    plain nets stand at 0 and its residual nets at 1, unless those scales were trained themselves.
    """
    base = evidence.runs
    scaled = evidence.modified[evidence.modified["architecture"] == "residual"]
    alike = Variant.parse(str(base["variant"].iloc[0]))
    scales = {name: scale for name in set(scaled["variant"]) if (scale := _scale(str(name), alike)) is not None}
    scaled = scaled[scaled["variant"].isin(scales)]
    rows = []
    for depth in c.depths(scaled):
        paper = base[base["depth"] == depth]
        cells = {scale: paper[paper["architecture"] == name] for name, scale in (("plain", 0.0), ("residual", 1.0))}
        nets = scaled[scaled["depth"] == depth]
        cells |= {scales[str(name)]: part for name, part in nets.groupby("variant")}
        used = {scale: part for scale, part in sorted(cells.items()) if len(part)}
        if len(used) > 2 or (len(used) == 2 and not set(used) <= {0.0, 1.0}):
            for scale, part in used.items():
                diverged = int((part["outcome"] == "diverged").sum())
                rows += [(depth, scale, error, diverged) for error in c.values(part, depth, METRIC)]
    return pd.DataFrame(rows, columns=DOSES)


def _scale(variant: str, alike: Variant) -> float | None:
    """Return the scale in a variant's name, None where it differs in anything else from the nets that are judged."""
    fields = Variant.parse(variant)
    try:
        return float(fields.get(SCALE_FIELD, "")) if fields.without(SCALE_FIELD) == alike else None
    except ValueError:
        return None
