"""The chapter on responses, the paper's Figure 7: whether residual layers change the signal less than plain ones."""

import math
from functools import partial
from pathlib import Path

import pandas as pd

from study.report.figures import responses as figure
from study.report.figures.drawing import Picture
from study.report.figures.layers import means_words
from study.report.moments import END, at_moments
from study.report.why.chapter import Chapter, Evidence
from study.report.why.drawing import make_picture
from study.statistics.interval import Interval, geometric_mean
from study.statistics.welch import ratio
from study.verdict import selection as c
from study.verdict.text import grounds, number

PAPER = "the paper (section 4.2, Figure 7)"


def responses_chapter(evidence: Evidence, folder: Path) -> Chapter | None:
    """Tell whether residual responses are the smaller, and fall with depth; None where none were measured at the end.

    Args:
        evidence: with the table `responses`.
        folder: where figures go.
    """
    rows = at_moments(evidence.rows("responses"), evidence.runs)
    data = figure.response_data(rows) if len(rows) else None
    if data is None:
        return None
    sizes = mean_responses(rows)
    said = [*_smaller(sizes), *(text for kind in c.architectures(sizes) if (text := _with_depth(sizes, kind)))]
    heading = "Do layers with shortcuts change less?"
    return Chapter("responses", heading, tuple(said or _alone(sizes)), (_picture(data, evidence, folder),))


def mean_responses(rows: pd.DataFrame) -> pd.DataFrame:
    """Return a row a run: `size`, the geometric mean over its layers of their deviation at the end of training.

    A net in trouble has a few layers that respond tenfold, which would be all that another mean shows. It's not a
    number where a layer's deviation is 0 or isn't one.
    """
    ended = rows[rows["moment"] == END]
    ended = ended.assign(log=ended["std"].where(ended["std"] > 0).map(math.log, na_action="ignore"))
    sizes = ended.groupby(["architecture", "depth", "net", "run_id"])["log"].agg(_mean)
    return sizes.map(math.exp).rename("size").reset_index()


def _mean(values: "pd.Series[float]") -> float:
    return float(values.mean(skipna=False))


def _of(sizes: pd.DataFrame, architecture: str, depth: int) -> "pd.Series[float]":
    return sizes.loc[(sizes["architecture"] == architecture) & (sizes["depth"] == depth), "size"]


def _smaller(sizes: pd.DataFrame) -> list[str]:
    """Compare a plain with a residual net, at the greatest depth that both have."""
    both = [c.depths(sizes[sizes["architecture"] == kind]) for kind in ("plain", "residual")]
    shared = sorted({*both[0]} & {*both[1]})
    if not shared:
        return []
    names = [c.net_name(sizes, kind, shared[-1]) for kind in ("residual", "plain")]
    beside = ratio(_of(sizes, "residual", shared[-1]), _of(sizes, "plain", shared[-1]))
    if not beside.seeds:
        return []
    text = f"At the end the layers of {names[0]} respond {_three(beside.estimate)} times as strongly as those of "
    text += f"{names[1]}, by the geometric mean of their standard deviations ({grounds(beside, _three)}): "
    if beside.high < 1:
        return [f"{text}less, as {PAPER} has it."]
    if beside.low > 1:
        return [f"{text}more, where {PAPER} has them respond less."]
    return [f"{text}whether less, as in {PAPER}, can't be told."]


def _with_depth(sizes: pd.DataFrame, architecture: str) -> str:
    """Compare the deepest with the shallowest net of an architecture."""
    known = c.depths(sizes[sizes["architecture"] == architecture])
    if len(known) < 2:
        return ""
    names = [c.net_name(sizes, architecture, depth) for depth in (known[0], known[-1])]
    change = ratio(_of(sizes, architecture, known[-1]), _of(sizes, architecture, known[0]))
    if not change.seeds:
        return ""
    text = f"From {names[0]} to {names[1]} the response of a layer changes by a factor of {_three(change.estimate)} "
    return f"{text}({grounds(change, _three)}): {_verdict(change, architecture)}."


def _alone(sizes: pd.DataFrame) -> list[str]:
    """Say how strongly the layers of a net respond that there is none to compare with."""
    out = []
    for net, part in sizes.groupby("net"):
        one = geometric_mean(part["size"])
        if one.seeds:
            text = (
                f"At the end the layers of {net!s} respond with a standard deviation of {_three(one.estimate)} in the "
            )
            out.append(f"{text}geometric mean ({grounds(one, _three)}); there is no net to compare it with.")
    return out


def _three(value: float) -> str:
    return number(value, 3)


def _verdict(change: Interval, architecture: str) -> str:
    if math.isnan(change.low) or not (change.low > 1 or change.high < 1):
        return "whether it falls with depth can't be told"
    way = "falls" if change.high < 1 else "rises"
    if architecture != "residual":
        return f"it {way} with depth"
    return f"it {way} with depth, {'as' if change.high < 1 else 'unlike'} in {PAPER}"


def _picture(data: figure.ResponseData, evidence: Evidence, folder: Path) -> Picture:
    caption = (
        "Standard deviation of each 3x3 layer's output after batch norm, before ReLU and addition, at the end of "
        "training, as in Figure 7 of He et al. 2015: layers in the net's order (above), and from the largest to the "
        f"smallest (below). {means_words(line.seeds for line in data.ordered)}."
    )
    caption += " The axis is logarithmic." * data.wide
    caption += data.ordered.left_out(data.all_depths)
    cells = [
        f"{line.architecture} {line.depth} layers {line.mean.mean():.2f} ({line.mean[-1]:.2f} to {line.mean[0]:.2f})"
        for line in data.ranked
    ]
    alt = f"Charts of responses by layer. Mean over layers (smallest to largest): {', '.join(cells)}."
    columns = len(data.ordered.panels)
    size = {"rows": 2, "columns": columns, "height": 4.0, "sharex": "col", "sharey": True}
    draw = partial(figure.draw_responses, data)
    return make_picture(evidence, folder, "responses", ("Responses of the layers", caption, alt), draw, data.frame(),
                        **size)  # fmt: skip
