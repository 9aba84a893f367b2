"""The rise of training error with depth under three choices of the rate: tuned, shared by all nets, the paper's.

Tuned rates are judged by the study's runs; the others by trials, with their seeds and length, under the same rule.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

import pandas as pd

from study.config.tune import PAPER_RATE
from study.statistics.interval import Interval
from study.statistics.welch import difference_in_differences, difference_in_percent
from study.verdict import selection as c
from study.verdict.edges import Edges
from study.verdict.findings import METRIC, find
from study.verdict.rule import Rule
from study.verdict.searches import ENDED
from study.verdict.shortcut_effect import UNLIKE, shortcut_effects

ENDS = ("plain", "residual")


class Choice(NamedTuple):
    """The rise between the same two depths under one choice of the rates."""

    name: str
    """`tuned`, `shared` or `paper`."""
    point: Mapping[str, float] | None
    """The point that all nets share; None where each has its own."""
    shallow: int
    deep: int
    rises: Mapping[str, Interval]
    """Deep minus shallow by architecture; an architecture whose nets weren't trained alike is left out."""
    contrast: Interval | None
    """Rise of plain nets minus that of residual nets; None where it wouldn't be fair or one of them lacks."""
    status: str
    """What the rule says of `judged`; empty where it can't say anything."""
    reason: str
    """Why it can't: `one seed`, `no result`, `unequal training` and so on; or why the status is inconclusive."""
    judged: str
    """The architecture that the status is about: plain, or residual where there are no plain nets."""
    part: float
    """Iterations as a part of the runs'; NaN where not known."""


def choices(
    runs: pd.DataFrame, seeds: pd.DataFrame, trials: pd.DataFrame, rule: Rule, edges: Edges | None = None
) -> tuple[Choice, ...]:
    """Return what holds under each choice, of one variant.

    Args:
        runs: the variant's runs.
        seeds: its trials, a row a seed.
        trials: the same, a row a trial (`tuning.by_trial`).
        rule: what counts as an effect.
        edges: nets whose tuned rate is the last one tried on a side; a rate that all share is on none.
    """
    planned = runs[_nets(runs).isin(set(_nets(trials)))]
    ends = _ends(planned)
    if ends is None:
        return ()
    out = [_choice("tuned", None, planned, c.counted(planned), ends, rule, edges)]
    for name, key in (("shared", best_shared(trials)), ("paper", paper_point(trials))):
        if key is None:
            continue
        numbers = trials.loc[(trials["key"] == key) & trials["state"].isin(("complete", "diverged"))]
        counted = as_runs(seeds, numbers, planned)
        point = trials.loc[trials["key"] == key, "point"].iloc[0]
        out.append(_choice(name, point, planned, counted, ends, rule))
    return tuple(out) if len(out) > 1 else ()


def best_shared(trials: pd.DataFrame) -> str | None:
    """Return the key of the point with the least mean error over all nets.

    None of them may have pruned it, and one at least didn't diverge there.
    """
    known = trials[trials["error"].notna()].drop_duplicates(["architecture", "depth", "key"])
    known = known.assign(trained=known["state"] == "complete")
    nets = trials[["architecture", "depth"]].drop_duplicates()
    means = known.groupby("key").agg(
        error=("error", "mean"), nets=("error", "size"), lr=("lr", "first"), trained=("trained", "any")
    )
    shared = means[(means["nets"] == len(nets)) & means["trained"].astype(bool)]
    shared = shared.sort_values(["error", "lr"], kind="stable")
    return str(shared.index[0]) if len(shared) and len(nets) > 1 else None


def paper_point(trials: pd.DataFrame) -> str | None:
    """Return the key of the point at the paper's rate that most nets tried, None where none did."""
    ended = trials[trials["state"].isin(ENDED) & ((trials["lr"] - PAPER_RATE).abs() < 1e-3 * PAPER_RATE)]
    if ended["key"].nunique() == 0:
        return None
    return str(ended.groupby("key").size().sort_values(ascending=False, kind="stable").index[0])


def as_runs(seeds: pd.DataFrame, trials: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """Return the seeds of `trials` as runs that count, with what the study's runs say of the data."""
    columns = ["architecture", "depth", "number", "lr"]
    keys = set(trials[columns].itertuples(index=False, name=None))
    chosen = [key in keys for key in seeds[columns].itertuples(index=False, name=None)]
    counted = seeds[pd.Series(chosen, index=seeds.index, dtype=bool)]
    counted = counted.assign(outcome=["diverged" if state == "diverged" else "finished" for state in counted["state"]])
    counted = counted.assign(
        total_iterations=counted["step"].where(counted["outcome"] == "finished"),  # a diverged one was stopped before
        start_time=pd.Timestamp(0),
    )
    data = runs.drop_duplicates(["architecture", "depth"])
    of_data = ["architecture", "depth", "dataset", "train_images", "test_images"]
    return c.counted(counted.merge(data[of_data], on=["architecture", "depth"], how="left"))


def _nets(frame: pd.DataFrame) -> "pd.Series[str]":
    return frame["architecture"].astype(str) + " " + frame["depth"].astype(str)


def _ends(runs: pd.DataFrame) -> tuple[int, int] | None:
    """Return the shallowest and the deepest depth that plain and residual nets have in common, else plain nets' own."""
    known = {kind: set(c.depths(runs[runs["architecture"] == kind])) for kind in ENDS}
    several = [depths for depths in known.values() if len(depths) > 1]
    common = sorted(set.intersection(*several)) if several else []
    if len(common) < 2:
        common = sorted(known["plain"])
    return (common[0], common[-1]) if len(common) > 1 else None


def _choice(
    name: str,
    point: Mapping[str, float] | None,
    planned: pd.DataFrame,
    counted: pd.DataFrame,
    ends: tuple[int, int],
    rule: Rule,
    edges: Edges | None = None,
) -> Choice:
    shallow, deep = ends
    findings = find(planned, counted, rule, edges)
    lacking = shortcut_effects(counted, findings).lacking
    by_architecture = {finding.architecture: finding for finding in findings if finding.architecture in ENDS}
    fair = [kind for kind, finding in by_architecture.items() if not finding.reason.startswith("unequal")]
    step = c.resolution(counted, METRIC)
    deeps, shallows = ({kind: c.values(counted, depth, METRIC, kind) for kind in fair} for depth in (deep, shallow))
    rises = {kind: difference_in_percent(deeps[kind], shallows[kind], step) for kind in fair}
    contrast = None
    if set(fair) == set(ENDS) and not lacking.startswith(UNLIKE):
        contrast = difference_in_differences(
            deeps["plain"], shallows["plain"], deeps["residual"], shallows["residual"], step
        )
    judged = by_architecture[next(kind for kind in ENDS if kind in by_architecture)]
    says = judged.reason in ("", "imprecise")
    return Choice(
        name=name,
        point=point,
        shallow=shallow,
        deep=deep,
        rises=rises,
        contrast=contrast,
        status=judged.status if says else "",
        reason=judged.reason,
        judged=judged.architecture,
        part=_part(counted, planned),
    )


def _part(counted: pd.DataFrame, runs: pd.DataFrame) -> float:
    """Return the iterations of what is judged as a part of the runs'."""
    full = runs[["architecture", "depth", "total_iterations"]].drop_duplicates(["architecture", "depth"])
    both = counted.merge(full, on=["architecture", "depth"], suffixes=("", "_full"))
    both = both[(both["total_iterations"] > 0) & (both["total_iterations_full"] > 0)]
    parts = both["total_iterations"] / both["total_iterations_full"]
    return float(parts.median()) if len(parts) else math.nan
