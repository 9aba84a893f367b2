"""Final training error against the iterations trained for: whether more training undoes what depth does."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from study.report.figures.against_depth import BESIDE, LOOK, draw_line, seeds_by_depth
from study.report.figures.drawing import Drawing, write_texts
from study.report.figures.final_errors import seeds_axis
from study.report.figures.labels import linear_part, number_ticks
from study.report.figures.style import ARCHITECTURE_MARKERS, key_below, panel_width
from study.report.metrics import axis
from study.report.text import seeds_words
from study.verdict.length import have_rates_of_once, of_all_lengths
from study.verdict.selection import architectures, depths, of_variant, resolution, several_splits

METRIC = "final_train_error"
COLUMNS = ["architecture", "depth", "iterations", "error", "mean", "sd", "low", "high", "seeds"]


def length_data(runs: pd.DataFrame) -> pd.DataFrame:
    """Return a row a seed, net and length of training, with the mean and interval of its net at that length.

    Args:
        runs: counted runs of several lengths. A net that has one length alone is left out.
    """
    lengths = sorted(set(runs["total_iterations"].dropna().astype(int)))
    parts = [
        seeds_by_depth(runs[runs["total_iterations"] == length], METRIC).assign(iterations=length) for length in lengths
    ]
    if not parts:
        return pd.DataFrame(columns=COLUMNS)
    frame = pd.concat(parts, ignore_index=True).rename(columns={"value": "error"})
    several = frame.groupby(["architecture", "depth"])["iterations"].transform("nunique") > 1
    return frame.loc[several, COLUMNS].reset_index(drop=True)


def length_drawing(runs: pd.DataFrame, variant: str, colours: Mapping[int, str]) -> Drawing | None:
    """Return the figure of a variant and its longer trainings; None where there are none.

    Args:
        runs: all runs of the study.
        variant: of these; where another differs from it in the length alone and is shorter, that one has the figure.
        colours: by depth.
    """
    counted = of_all_lengths(runs, variant)
    frame = length_data(counted)
    if frame.empty:
        return None
    budgets = (name for name in counted["variant"].unique() if have_rates_of_once(of_variant(counted, name), name))
    linear = linear_part(resolution(counted, METRIC))
    unit = "split" if several_splits(counted) else "seed"
    texts = write_texts(
        "length",
        nets=frame.drop_duplicates(["architecture", "depth", "iterations"]),
        seeds=seeds_words(frame["seeds"], unit=unit),
        unit=unit,
        several=(frame["seeds"] > 1).any(),
        rates_of_once=any(budgets),
        left_out=len(frame) < len(counted),
        error_axis=seeds_axis(frame, linear),
    )
    panels = frame["architecture"].nunique()
    draw = partial(draw_length, frame, colours, linear)
    return Drawing("length", texts, draw, frame, panels, 2.8, panel_width(panels), options={"sharey": True})


def draw_length(frame: pd.DataFrame, colours: Mapping[int, str], linear: float, figure: Figure, axes: Any) -> None:
    """Draw a panel an architecture, a line a depth: seeds hollow, means full with their 95% intervals.

    Where errors span much the axis is linear up to `linear` percent and logarithmic above.
    """
    for ax, kind in zip(axes[0], architectures(frame), strict=True):
        seeds_axis(frame, linear).put_on(ax)
        _draw_kind(ax, frame, kind, colours)
    axes[0][0].set_ylabel(axis(METRIC))
    look: dict[str, Any] = {"marker": "o", "markersize": 4.0, "linewidth": 1.3}
    handles = [Line2D([], [], color=colours[depth], label=f"{depth} layers", **look) for depth in depths(frame)]
    key_below(figure, handles)


def _draw_kind(ax: Axes, frame: pd.DataFrame, kind: str, colours: Mapping[int, str]) -> None:
    lengths = sorted(set(frame["iterations"]))
    reach = lengths[-1] / lengths[0]
    ax.set(xscale="log", xlim=(lengths[0] / reach**0.15, lengths[-1] * reach**0.15))
    number_ticks(ax.xaxis, lengths, ",d")
    ax.set(xlabel=axis("step"), title=f"{kind} nets")
    nets = frame[frame["architecture"] == kind]
    for rank, depth in enumerate(depths(nets)):
        seeds = nets[nets["depth"] == depth]
        side = rank - (nets["depth"].nunique() - 1) / 2
        x = seeds["iterations"].to_numpy(dtype=float) * reach ** (side * BESIDE)
        beside = x * reach ** (LOOK.aside if rank else -LOOK.aside)
        line = {"color": colours[depth], "linestyle": "-", "marker": ARCHITECTURE_MARKERS[kind]}
        line["label"] = f"{kind}, {depth} layers"
        draw_line(ax, seeds, x, beside, line, value="error", look=LOOK._replace(along="iterations"))
