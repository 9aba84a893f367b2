"""What the trials of a search say: error by rate, good ranges, winners, and two nets at the points that both tried.

Errors are final training errors of the trials: last step, whole training split, clean images, evaluation mode, mean
over a trial's seeds. A diverged trial has the error of guessing; a pruned one has no final error.
"""

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from study.verdict import selection as c

LEAST_TOLERANCE = 1.0
"""Points of training error above its best within which a rate is good, at least; a larger smallest effect counts."""
LEAST_JUMP = 5.0
"""Points of training error by which neighbouring rates disagree wildly; ten smallest effects count if larger."""
ENDED = ("complete", "pruned", "diverged")
MEANS = {
    "error": "final_train_error",
    "loss": "final_train_loss",
    "validation": "final_validation_error",
    "running": "train_error",
    "value": "value",
}
"""Columns of a trial and what they are means of; `running` is the last running training error, as trained."""
POINT = ("architecture", "depth", "net", "number", "lr", "point", "key", "state", "seeds")
OUTCOME = ("error_low", "error_high", "chosen", "edge", "outside", "low", "high", "step")
TRIAL = [*POINT, *MEANS, *OUTCOME]


class Good(NamedTuple):
    """The stretch of rates around the best in which the error stays within the tolerance of the best."""

    low: float
    high: float
    decades: float
    open_low: bool
    """Whether it reaches the lowest rate tried, so that it may reach further."""
    open_high: bool
    others: tuple[float, ...]
    """Rates of trials outside this stretch that are within the tolerance too."""


class Best(NamedTuple):
    """A trial that is the best of its net by some measure."""

    rate: float
    error: float
    validation: float
    seeds: int


class Searched(NamedTuple):
    """A net's search: its best trials by three measures, its good range and what became of the trials."""

    architecture: str
    depth: int
    net: str
    best: Best | None
    """By training error; of equal trials, that of least loss, then of the smallest rate."""
    good: Good | None
    by_loss: Best | None
    by_validation: Best | None
    """Of equal trials, that whose rate is nearest to that of `by_loss`."""
    chosen: Best | None
    """The trial whose rate the search chose; None while it goes on."""
    counts: Mapping[str, int]
    """Trials in each state: complete, pruned, diverged, failed, open."""
    outside: int
    """Trials beyond the bounds asked for."""
    edge: str
    """`lowest` or `highest` where the chosen rate is the last one tried on that side."""

    @property
    def trials(self) -> int:
        """All trials that were begun."""
        return sum(self.counts.values())


class Worse(NamedTuple):
    """Runs whose mean training error is above that of a trial at another rate, by the smallest effect or more."""

    net: str
    rate: float
    error: float
    """Mean over the runs."""
    other: Best


class Jump(NamedTuple):
    """Two neighbouring rates of a net of which the one nearer to its best rate has far more training error."""

    net: str
    near: Best
    far: Best

    @property
    def size(self) -> float:
        """Difference in points."""
        return self.near.error - self.far.error


class Same(NamedTuple):
    """Two nets at one point that both trained to the end."""

    point: Mapping[str, float]
    shallow: float
    deep: float
    state: str
    """`complete`, or who diverged: `deep`, `shallow`, `both`."""

    @property
    def difference(self) -> float:
        """Deep minus shallow, in points."""
        return self.deep - self.shallow


class Compared(NamedTuple):
    """The deepest and the shallowest net of an architecture at every point that both tried."""

    architecture: str
    shallow: str
    deep: str
    same: tuple[Same, ...]
    pruned: tuple[Mapping[str, float], ...]
    """Points that both tried and at which one at least was pruned."""


def by_trial(trials: pd.DataFrame) -> pd.DataFrame:
    """Return a row a trial of the rows a seed: means over seeds, range of the error, and the trial's state.

    Of a net that was searched again with other settings the last search counts, as its budget and seeds differ. A trial
    at the point of an earlier one with a seed that this lacks is a further seed of it, and no trial of its own.
    A trial is pruned if one of its seeds was, or if it lacks seeds that others of its net have in a search that has
    ended; it is diverged if one of its seeds was. Columns: `TRIAL`; `key` is the same text for equal points.
    """
    if trials.empty:
        return pd.DataFrame(columns=TRIAL)
    rows = []
    frame = trials.reindex(columns=[*trials.columns, *({"train_error"} - set(trials))])
    frame = frame.assign(key=[_key(text, lr) for text, lr in zip(frame["point"], frame["lr"], strict=True)])
    for _, searches in frame.groupby(["architecture", "depth"], sort=False):
        net = searches[searches["began"] == searches["began"].max()]
        net = _with_further_seeds(net)
        grouped = net.groupby(["number", "key"], sort=True)
        full = int((~net["further"]).groupby([net["number"], net["key"]]).sum().max())
        ended = bool(net["chosen"].astype(bool).any())
        rows += [_trial(seeds, full, ended) for _, seeds in grouped]
    return c.ordered(pd.DataFrame(rows, columns=TRIAL))


def _with_further_seeds(net: pd.DataFrame) -> pd.DataFrame:
    """Give the further seeds of a point that came to their end the number of its first trial, and mark them."""
    first: dict[str, tuple[int, set[int]]] = {}
    numbers, further = [], []
    net = net.sort_values(["number", "seed"], kind="stable")
    for number, key, seed, state in net[["number", "key", "seed", "state"]].itertuples(index=False, name=None):
        before, seeds = first.setdefault(key, (number, set()))
        further.append(before != number and seed not in seeds and state in ("complete", "diverged"))
        numbers.append(before if further[-1] else number)
        if numbers[-1] == before:
            seeds.add(seed)
    return net.assign(number=numbers, further=further)


def _trial(seeds: pd.DataFrame, full: int, ended: bool) -> dict[str, Any]:
    first, states = seeds.iloc[0], set(seeds["state"])
    lacking = (~seeds["further"]).sum() < full
    if "failed" in states or "pruned" in states:
        state = "failed" if "failed" in states else "pruned"
    elif states - {"complete", "diverged"} or (lacking and not ended):
        state = "open"
    elif lacking:
        state = "pruned"
    else:
        state = "diverged" if "diverged" in states else "complete"
    row = {name: first[name] for name in ("architecture", "depth", "net", "number", "lr", "key", "edge", "low", "high")}
    row |= {name: float(seeds[column].astype(float).mean()) for name, column in MEANS.items()}
    errors = seeds["final_train_error"].astype(float).dropna()
    if state not in ("complete", "diverged"):
        row["error"] = math.nan  # not of all its seeds
    low, high = (math.nan if pd.isna(first[side]) else float(first[side]) for side in ("low", "high"))
    return row | {
        "point": parse_point(str(first["point"]), float(first["lr"])),
        "state": state,
        "seeds": len(errors),
        "error_low": errors.min(),
        "error_high": errors.max(),
        "chosen": bool(seeds["chosen"].astype(bool).any()),
        "outside": bool(first["lr"] < 0.999 * low or first["lr"] > 1.001 * high),
        "low": low,
        "high": high,
        "step": seeds["step"].max(),
    }


def parse_point(text: str, rate: float) -> dict[str, float]:
    """Return a point's fields with four digits, the rate first."""
    point = json.loads(text) if text else {"lr": rate}
    return {field: float(f"{point[field]:.4g}") for field in sorted(point, key=lambda field: (field != "lr", field))}


def _key(text: str, rate: float) -> str:
    return json.dumps(parse_point(str(text), float(rate)))


def other_fields(points: Iterable[Mapping[str, float]]) -> tuple[str, ...]:
    """Return what varies between points besides the rate."""
    values: dict[str, set[float]] = {}
    for point in points:
        for field, value in point.items():
            values.setdefault(field, set()).add(value)
    return tuple(field for field, distinct in values.items() if field != "lr" and len(distinct) > 1)


def search_of(trials: pd.DataFrame, tolerance: float, fields: tuple[str, ...]) -> Searched:
    """Tell a net's search from its rows of `by_trial`; `fields` are what was searched besides the rate."""
    first = trials.iloc[0]
    complete = trials[(trials["state"] == "complete") & trials["error"].notna()]
    by_loss = _best(complete, ["loss", "lr"])
    near = complete if by_loss is None else complete.assign(far=np.abs(np.log(complete["lr"] / by_loss.rate)))
    counts = trials["state"].value_counts()
    ended = trials[trials["state"].isin(ENDED)]
    validated = near[near["validation"].notna()]
    return Searched(
        architecture=str(first["architecture"]),
        depth=int(first["depth"]),
        net=str(first["net"]),
        best=_best(complete, ["error", "loss", "lr"]),
        good=(scattered_range if fields else good_range)(ended, tolerance),
        by_loss=by_loss,
        by_validation=_best(validated, ["validation", "far", "lr"]) if by_loss is not None else None,
        chosen=_best(trials[trials["chosen"].astype(bool)], ["lr"]),
        counts={str(state): int(count) for state, count in counts.items()},
        outside=int(trials["outside"].sum()),
        edge=next((str(edge) for edge in trials["edge"] if edge), ""),
    )


def _best(trials: pd.DataFrame, by: list[str]) -> Best | None:
    if trials.empty:
        return None
    row = trials.sort_values(by, kind="stable").iloc[0]
    return Best(float(row["lr"]), float(row["error"]), float(row["validation"]), int(row["seeds"]))


def worse_runs(runs: pd.DataFrame, nets: Iterable[Searched], smallest: float) -> tuple[Worse, ...]:
    """Return the nets whose counted runs, at the chosen rate, end with more error than a trial at another one."""
    worse = []
    for net in nets:
        errors = c.values(runs[runs["architecture"] == net.architecture], net.depth, MEANS["error"])
        if len(errors) == 0 or net.chosen is None or net.best is None or net.best.rate == net.chosen.rate:
            continue
        if errors.mean() >= net.best.error + smallest:
            worse.append(Worse(net.net, net.chosen.rate, float(errors.mean()), net.best))
    return tuple(worse)


def jumps(trials: pd.DataFrame, smallest: float) -> tuple[Jump, ...]:
    """Return the largest jump of each net whose error doesn't simply rise with the distance from its best rate.

    A curve of error against the rate falls to its best and rises beyond. Where error falls again away from the best, by
    more than `LEAST_JUMP` points and ten smallest effects, from one rate to the next, chance decides on rates there.
    Between the two no rate was tried, pruned or not.

    Args:
        trials: rows of `by_trial` that differ in the rate alone.
        smallest: smallest effect of interest, in points.
    """
    largest = []
    for net, rows in trials[trials["state"].isin(ENDED)].groupby("net", sort=False):
        known = rows.sort_values(["lr", "error"], kind="stable").drop_duplicates("lr")
        if known["error"].isna().all():
            continue
        tried = [Best(*row) for row in known[["lr", "error", "validation", "seeds"]].itertuples(index=False, name=None)]
        best = int(np.nanargmin(known["error"].to_numpy(dtype=np.float64)))
        outward = [
            *zip(tried[best:], tried[best + 1 :], strict=False),
            *zip(tried[best::-1], tried[:best][::-1], strict=False),
        ]
        steps = (Jump(str(net), near, far) for near, far in outward)
        wide = [step for step in steps if step.size > max(LEAST_JUMP, 10 * smallest)]
        largest += [max(wide, key=lambda jump: jump.size)] if wide else []
    return tuple(largest)


def good_range(ended: pd.DataFrame, tolerance: float) -> Good | None:
    """Return the rates around the best at which the error is at most `tolerance` points above it.

    Between neighbouring trials the error is taken to be linear in log rate. A neighbour that was pruned has no final
    error: it isn't good, and the range ends at the last trial before it. Where the range reaches the last trial on a
    side, it is open there. None where no trial came to its end without diverging.
    """
    complete = ended[(ended["state"] == "complete") & ended["error"].notna()]
    if complete.empty:
        return None
    known = ended.groupby("lr")["error"].min()  # NaN at a rate where all were pruned
    rates, errors = known.index.to_numpy(dtype=np.float64), known.to_numpy(dtype=np.float64)
    best = complete.sort_values(["error", "loss", "lr"], kind="stable").iloc[0]
    start = int(np.flatnonzero(rates == best["lr"])[0])
    bound = float(best["error"]) + tolerance
    low, open_low = _reach(rates[start::-1], errors[start::-1], bound)
    high, open_high = _reach(rates[start:], errors[start:], bound)
    good = complete[complete["error"] <= bound]
    others = tuple(sorted({float(lr) for lr in good["lr"] if not low <= lr <= high}))
    return Good(low, high, math.log10(high / low), open_low, open_high, others)


def _reach(rates: "np.ndarray[Any, Any]", errors: "np.ndarray[Any, Any]", bound: float) -> tuple[float, bool]:
    """Follow the error from the first rate on; return where it crosses `bound`, and whether it doesn't."""
    for here in range(1, len(rates)):
        if np.isnan(errors[here]):
            return float(rates[here - 1]), False
        if errors[here] > bound:
            part = (bound - errors[here - 1]) / (errors[here] - errors[here - 1])
            return float(rates[here - 1] * (rates[here] / rates[here - 1]) ** part), False
    return float(rates[-1]), True


def scattered_range(ended: pd.DataFrame, tolerance: float) -> Good | None:
    """Return the lowest and highest rate of trials within the tolerance, where other fields vary with the rate.

    The error is then no function of the rate, and nothing is interpolated.
    """
    complete = ended[(ended["state"] == "complete") & ended["error"].notna()]
    if complete.empty:
        return None
    good = complete.loc[complete["error"] <= complete["error"].min() + tolerance, "lr"]
    low, high = float(good.min()), float(good.max())
    return Good(
        low, high, math.log10(high / low), low <= float(ended["lr"].min()), high >= float(ended["lr"].max()), ()
    )


def compare(trials: pd.DataFrame, architecture: str) -> Compared | None:
    """Compare the deepest with the shallowest net of an architecture; None where there are no two depths."""
    own = trials[trials["architecture"] == architecture]
    depths = c.depths(own)
    if len(depths) < 2:
        return None
    ended = own[own["state"].isin(ENDED)].drop_duplicates(["depth", "key"])
    shallow, deep = (ended[ended["depth"] == depth].set_index("key") for depth in (depths[0], depths[-1]))
    same, pruned = [], []
    keys = [key for key in shallow.sort_values("lr").index if key in deep.index]
    for first, second in ((shallow.loc[key], deep.loc[key]) for key in keys):
        if np.isnan(first["error"]) or np.isnan(second["error"]):
            pruned.append(first["point"])
            continue
        lost = (first["state"] == "diverged", second["state"] == "diverged")
        state = {(False, False): "complete", (True, True): "both", (True, False): "shallow"}.get(lost, "deep")
        same.append(Same(first["point"], float(first["error"]), float(second["error"]), state))
    first, last = (c.net_name(own, architecture, depth) for depth in (depths[0], depths[-1]))
    return Compared(architecture, first, last, tuple(same), tuple(pruned))
