"""What the loss around nets says, in sentences: convexity, basin and sharpness, the deep plain net against others."""

import math

import pandas as pd

from study.report.figures.surface import STATISTICS
from study.report.why.ended import Against, Values, against, deepest_pair, plain_ends
from study.verdict.text import capital, interval, listed, number

PAPER = "Li et al. 2018"
CLEAR = 10.0
"""Points by which shares of single slices must differ to be told apart: another pair of directions moves them."""
RESOLUTION = 0.1
"""Of a share in percent: about one of the 1,681 points of a slice."""


def sentences(summary: pd.DataFrame, sharp: pd.DataFrame, classes: int) -> tuple[str, ...]:
    """Return what slices and eigenvalues of the Hessian show.

    Args:
        summary: of the table `surface_summary`, at the end of training, `basin` and `nonconvex` in percent.
        sharp: of the table `curvature`, at the end of training; may be empty.
        classes: K.
    """
    said = (*_convexity(summary), *_basin(summary, classes), *_sharpness(sharp))
    return said or (_alone(summary),)


def _pairs(frame: pd.DataFrame) -> list[tuple[str, str]]:
    """Return what is compared: the deepest plain net with the shallowest, and with the residual one as deep."""
    return [pair for pair in (plain_ends(frame), deepest_pair(frame)) if pair is not None]


def _convexity(summary: pd.DataFrame) -> list[str]:
    """Say at what share of its basin a net's slice has negative curvature, by each kind of statistics."""
    out = []
    for deep, other in _pairs(summary):
        parts, ways = [], {}
        for statistics in STATISTICS:
            one = against(summary[summary["statistics"] == statistics], deep, other, "nonconvex")
            if len(one.values) and len(one.others):
                parts.append(
                    f"at {_share(one.values)} of the points around {deep} and {_share(one.others)} around {other} with "
                    f"{statistics} statistics ({_rests(one)})"
                )
                ways[statistics] = _way(one)
        if parts:
            text = f"Where the loss is below that of guessing, the slice bends down in some direction {listed(parts)}: "
            out.append(f"{text}{_less_convex(deep, other, ways)}.")
    return out


def _less_convex(deep: str, other: str, ways: dict[str, int]) -> str:
    """Say what the signs of the differences come to, by kind of statistics."""
    told = {way for way in ways.values() if way}
    if not told:
        return "no difference can be told"
    if len(told) > 1:
        return f"the two kinds disagree, so that it can't be told whether {deep} or {other} is less convex"
    word, seen = ("less", f"as {PAPER} saw") if told == {1} else ("more", f"unlike in {PAPER}")
    text = f"the loss is {word} convex around {deep}, {seen} (Figures 5 and 6)"
    unclear = [name for name, way in ways.items() if not way]
    return f"{text}, though with {unclear[0]} statistics no difference can be told" if unclear else text


def _basin(summary: pd.DataFrame, classes: int) -> list[str]:
    """Say how large a part of the slice is better than guessing, and where the nets stand in it."""
    running = summary[summary["statistics"] == summary["statistics"].iloc[0]]
    parts = []
    for deep, other in _pairs(running):
        one = against(running, deep, other, "basin")
        if len(one.values) and len(one.others):
            word = {1: "wider than", -1: "narrower than", 0: "not clearly unlike"}[_way(one)]
            parts.append(f"{word} around {other} ({_share(one.values)} against {_share(one.others)}, {_rests(one)})")
    if not parts:
        return []
    deep = _pairs(running)[0][0]
    text = f"The basin, where the loss is below ln {classes} = {math.log(classes):.2f} nats as of guessing, is around "
    text += f"{deep} {listed(parts)}, by its share of the slice"
    loss = float(running.loc[running["net"] == deep, "loss"].mean())
    if loss > math.log(classes) / 2:
        text += f"; but {deep} itself ends at {loss:.2f} nats, near the basin's edge"
    return [f"{text}."]


def _sharpness(sharp: pd.DataFrame) -> list[str]:
    """Compare the Hessian's largest eigenvalue between the same nets."""
    if sharp.empty:
        return []
    nets = list(dict.fromkeys(net for pair in _pairs(sharp) for net in pair))
    cells = []
    for net in nets:
        mine = sharp[sharp["net"] == net]
        text = f"{number(float(mine['eigenvalue'].mean()), 3)} for {net}"
        cells.append(text + " (not converged)" * (not mine["converged"].astype(bool).all()))
    if not cells:
        return []
    return [
        f"The largest eigenvalue of the Hessian of the loss, in all directions and not in two, is {listed(cells)}; "
        f"{_seeds_note(sharp, nets)}."
    ]


def _seeds_note(sharp: pd.DataFrame, nets: list[str]) -> str:
    counts = {len(sharp[sharp["net"] == net]) for net in nets}
    if counts == {1}:
        return "one seed each, so that how much of this is chance isn't known"
    return f"means over {min(counts)} to {max(counts)} seeds" if len(counts) > 1 else f"means over {min(counts)} seeds"


def _way(one: Against) -> int:
    """Return 1 where the net's share is the higher, -1 where it's the lower, 0 where it can't be told."""
    found = one.difference(RESOLUTION)
    if math.isnan(found.low):
        return 0 if abs(found.estimate) < CLEAR else int(math.copysign(1, found.estimate))
    return 1 if found.low > 0 else -1 if found.high < 0 else 0


def _share(percent: Values) -> str:
    return f"{number(float(percent.mean()))}%"


def _rests(one: Against) -> str:
    found = one.difference(RESOLUTION)
    if math.isnan(found.low):
        return "one slice each"
    return f"95% interval of the difference {interval(found.estimate, found.low, found.high)} points"


def _alone(summary: pd.DataFrame) -> str:
    """Say what there is where no two nets can be compared."""
    cells = [
        f"{number(float(part['nonconvex'].mean()))}% around {net} with {statistics} statistics"
        for (net, statistics), part in summary.groupby(["net", "statistics"], sort=False)
        if part["nonconvex"].notna().any()
    ]
    if not cells:
        return "No slice has a point at which the loss is below that of guessing."
    text = f"of the points below the loss of guessing, the slice bends down in some direction at {listed(cells)}"
    return f"{capital(text)}; there is no net to compare with."
