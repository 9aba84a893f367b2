"""The chapter on shattered gradients: whether those of deep plain nets resemble white noise, before and after training.

Balduzzi et al. 2017, "The Shattered Gradients Problem" (arXiv 1702.08591).
"""

import math
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from study.report.figures import shattering as figure
from study.report.figures.drawing import Picture
from study.report.figures.layers import means_words
from study.report.moments import at_moments, label, moments_of, phrase
from study.report.tables.results import NOTHING, Table
from study.report.why.chapter import Chapter, Evidence
from study.report.why.drawing import make_picture
from study.statistics.interval import Interval, mean_interval
from study.statistics.welch import ROUNDING, difference
from study.verdict import selection as c
from study.verdict.text import capital, grounds, number

SOURCE = "Balduzzi et al. 2017, arXiv 1702.08591"


def shattering_chapter(evidence: Evidence, folder: Path) -> Chapter | None:
    """Tell how gradients at neighbouring points decorrelate with depth; None where it wasn't measured.

    Args:
        evidence: with the table `shattering`.
        folder: where figures go.
    """
    rows = at_moments(evidence.rows("shattering"), evidence.runs)
    data = figure.shattering_data(rows) if len(rows) else None
    if data is None:
        return None
    near = rows[rows["lag"] == 1]
    said = [*_by_depth(near), *_contrast(near), *_later(near)]
    heading = "Are gradients shattered?"
    return Chapter("shattering", heading, tuple(said), (_picture(data, evidence, folder),), (half_table(near),))


def _of(near: pd.DataFrame, net: str, moment: float) -> NDArray[np.float64]:
    """Return (seeds,) the autocorrelation of neighbouring points in a net."""
    rows = near[(near["net"] == net) & (near["moment"] == moment)]
    return rows["autocorrelation"].dropna().to_numpy(dtype=np.float64)


def _mean(values: NDArray[np.float64]) -> Interval:
    """Return the mean with its interval, which ends at 1, as autocorrelations do."""
    mean = mean_interval(values)
    return mean._replace(high=min(mean.high, 1.0)) if mean.high > 1 else mean


def _nets(near: pd.DataFrame, architecture: str, moment: float) -> list[str]:
    """Return the nets of an architecture that have a value at a moment, the shallowest first."""
    known = near[(near["architecture"] == architecture) & (near["moment"] == moment)]
    known = known[known["autocorrelation"].notna()]
    return [c.net_name(known, architecture, depth) for depth in c.depths(known)]


def _by_depth(near: pd.DataFrame) -> list[str]:
    """Say how the autocorrelation falls with depth at the first moment measured, and whether it's white noise."""
    first = moments_of(near)[0]
    out = []
    for architecture in c.architectures(near):
        nets = _nets(near, architecture, first)
        if not nets:
            continue
        means = [_mean(_of(near, net, first)) for net in nets]
        white = float(near.loc[near["net"] == nets[-1], "white"].mean())
        text = f"{capital(phrase(first))} the autocorrelation of gradients at points "
        text += f"{number(float(near['distance'].mean()))} of a line apart is "
        if len(nets) > 1:
            text += f"{_two(means[0].estimate)} in {nets[0]} ({grounds(means[0], _two)}) and "
        text += f"{_two(means[-1].estimate)} in {nets[-1]} ({grounds(means[-1], _two)})"
        fall = _fall(_of(near, nets[-1], first), _of(near, nets[0], first)) if len(nets) > 1 else ""
        out.append(f"{text}: {fall}{_whiteness(means[-1], white)}.")
    return out


def _fall(deep: NDArray[np.float64], shallow: NDArray[np.float64]) -> str:
    found = difference(deep, shallow, ROUNDING)
    if math.isnan(found.low):
        return ""
    way = "it falls with depth" if found.high < 0 else "it rises with depth" if found.low > 0 else ""
    return f"{way or 'no change with depth can be told'}, and "


def _whiteness(mean: Interval, white: float) -> str:
    if math.isnan(mean.low):
        return f"white noise has {_two(white)}, and one seed can't be tested against it"
    if mean.low <= white <= mean.high:
        return f"the deepest net's gradients can't be told from white noise ({_two(white)})"
    if mean.low > white:
        return f"even the deepest net's gradients aren't white noise ({_two(white)})"
    return f"the deepest net's gradients are less alike than white noise ({_two(white)})"


def _contrast(near: pd.DataFrame) -> list[str]:
    """Compare the deepest plain net with the residual one of its depth at the first moment measured."""
    first = moments_of(near)[0]
    start = near[(near["moment"] == first) & near["autocorrelation"].notna()]
    both = [set(c.depths(start[start["architecture"] == kind])) for kind in ("plain", "residual")]
    if not both[0] & both[1]:
        return []
    depth = max(both[0] & both[1])
    plain, residual = (c.net_name(start, kind, depth) for kind in ("plain", "residual"))
    found = difference(_of(near, residual, first), _of(near, plain, first), ROUNDING)
    text = f"There {residual} minus {plain} is {_two(found.estimate)}"
    if math.isnan(found.low):
        return [f"{text} (one seed, so no interval)."]
    text += f" (95% interval {_two(found.low)} to {_two(found.high)}): shortcuts "
    way = "keep" if found.low > 0 else "don't keep" if found.high < 0 else "can't be told to keep"
    return [f"{text}{way} gradients alike."]


def _later(near: pd.DataFrame) -> list[str]:
    """Say what training makes of it in the deepest net of each architecture."""
    first, last = moments_of(near)[0], moments_of(near)[-1]
    out = []
    for architecture in c.architectures(near) if last > first else ():
        nets = _nets(near, architecture, last)
        if not nets:
            continue
        mine = near[near["net"] == nets[-1]].pivot_table(index="run_id", columns="moment", values="autocorrelation")
        mean = _mean(mine[last].to_numpy())
        text = f"{capital(phrase(last))} it is {_two(mean.estimate)} in {nets[-1]} ({grounds(mean, _two)})"
        change = mean_interval((mine[last] - mine[first]).to_numpy()) if first in mine else None
        if change is not None and not math.isnan(change.low):
            way = "more than" if change.low > 0 else "less than" if change.high < 0 else "not shown to differ from that"
            text += f", {way} {phrase(first)}"
        out.append(f"{text}.")
    return out


def _two(value: float) -> str:
    return f"{round(value, 2) + 0.0:.2f}"


def half_table(near: pd.DataFrame) -> Table:
    """Return the autocorrelation of neighbouring points and the distance at which it has fallen to a half."""
    rows, numbers = {}, []
    moments = moments_of(near)
    for architecture in c.architectures(near):
        for depth in c.depths(near[near["architecture"] == architecture]):
            net = c.net_name(near, architecture, depth)
            cells = [_cell(near[(near["net"] == net) & (near["moment"] == moment)]) for moment in moments]
            rows[net] = [text for cell in cells for text in cell[1]]
            numbers += [{"net": net, "moment": at, **cell[0]} for at, cell in zip(moments, cells, strict=True)]
    heads = [f"{what}, {label(at)}" for at in moments for what in ("Neighbours", "Half at")]
    shown = pd.DataFrame([{"Net": net, **dict(zip(heads, cells, strict=True))} for net, cells in rows.items()])
    apart = number(float(near["distance"].mean()))
    caption = (
        "Autocorrelation of gradients at neighbouring points, and the distance, as a share of the line, at which it "
        f"falls to a half: medians over seeds (number of seeds). Neighbours are {apart} of a line "
        "apart, so that a shorter distance is an upper bound."
    )
    return Table("shattering", caption, pd.DataFrame(numbers), shown)


def _cell(rows: pd.DataFrame) -> tuple[dict[str, float], list[str]]:
    known = rows[rows["autocorrelation"].notna()]
    if known.empty:
        return {"seeds": 0}, [NOTHING, NOTHING]
    neighbours, half, step = (float(known[key].median()) for key in ("autocorrelation", "half_distance", "distance"))
    where = f"< {number(step)}" if half < step else number(half) if math.isfinite(half) else "nowhere"
    found = {"seeds": float(len(known)), "autocorrelation": neighbours, "half_distance": half}
    return found, [f"{_two(neighbours)} ({len(known)})", where]


def _picture(data: figure.ShatteringData, evidence: Evidence, folder: Path) -> Picture:
    above = f" ({' nets above, '.join(data.lines.panels)} nets below)" if len(data.lines.panels) > 1 else ""
    caption = (
        "Autocorrelation of the gradient of a logit in the image, along lines from one image to another, against the "
        f"distance of two points as a share of the line{above}; measured in evaluation mode as by {SOURCE}, between "
        "images for its scalar inputs. The broken line is the same gradients in random order, white noise. By that "
        "paper's theory, at initialisation plain nets decorrelate as 2 to the power of minus their depth, residual "
        f"ones with batch norm as one over its root. {means_words(line.seeds for line in data.lines)}."
    )
    caption += data.lines.left_out(data.all_depths)
    cells = [f"{one.architecture} {one.depth} layers {phrase(one.moment)} {one.mean[0]:.2f}" for one in data.lines]
    alt = f"Charts of autocorrelation by distance. At the smallest distance: {', '.join(cells)}."
    rows, columns = len(data.lines.panels), len(data.moments)
    size = {"rows": rows, "columns": columns, "height": 0.8 + 1.6 * rows, "sharex": True, "sharey": True}
    texts = ("How alike gradients at nearby points are", caption, alt)
    return make_picture(evidence, folder, "shattering", texts, partial(figure.draw_shattering, data), data.frame(),
                        **size)  # fmt: skip
