"""Error by iteration, as in Figures 1 and 6 of the paper: training dashed, test bold, a colour a depth."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from study.report.cells import architectures, counted, depths
from study.report.figures.style import depth_colours, label_ends
from study.report.metrics import axis

Array = NDArray[np.float64]
SPLITS = {"train": "train_error", "test": "test_error"}


class Line(NamedTuple):
    """Mean over the seeds of a net, with the lowest and the highest seed at each step: arrays of (steps,)."""

    architecture: str
    depth: int
    split: str
    step: Array
    mean: Array
    low: Array
    high: Array
    seeds: int
    diverged: int
    """Seeds that diverged, and stand at the error of guessing from there on."""
    ended: bool
    """False where no run of the net has ended: then what there is of its runs is drawn."""

    @property
    def label(self) -> str:
        """Direct label: ``56-layer``."""
        return f"{self.depth}-layer" + ("" if self.ended else ", unfinished")


class CurveData(NamedTuple):
    """Lines and limits of a figure of curves; `top` cuts the error axis, `power` scales the iterations."""

    lines: tuple[Line, ...]
    panels: tuple[str, ...]
    colours: dict[int, str]
    top: float
    cut: bool
    """Whether some point lies above `top`."""
    last: float
    power: int


def curve_data(curves: pd.DataFrame, runs: pd.DataFrame, colours: dict[int, str] | None = None) -> CurveData:
    """Return mean training and test error by step for each net, from the runs that count.

    A diverged run goes on at the error of guessing, so that the mean isn't of the lucky seeds only. `colours` are
    those of the whole study's depths, where `runs` are a part of it.
    """
    kept = counted(runs)
    lines = []
    for architecture in architectures(runs):
        for depth in depths(runs[runs["architecture"] == architecture]):
            mine = kept[(kept["architecture"] == architecture) & (kept["depth"] == depth)]
            ended = len(mine) > 0
            points = curves[(curves["architecture"] == architecture) & (curves["depth"] == depth)]
            points = points[points["run_id"].isin(mine["run_id"])] if ended else points
            for split in SPLITS:
                line = _line(points, mine, architecture, depth, split, ended)
                if line is not None:
                    lines.append(line)
    panels = tuple(name for name in architectures(runs) if any(line.architecture == name for line in lines))
    return _limits(tuple(lines), panels, colours or depth_colours(depths(runs)))


def only(data: CurveData, architecture: str, kept_depths: tuple[int, ...]) -> CurveData:
    """Return the lines of some depths of an architecture, with limits of their own and the same colours."""
    lines = tuple(one for one in data.lines if one.architecture == architecture and one.depth in kept_depths)
    return _limits(lines, (architecture,), data.colours)


def _line(
    points: pd.DataFrame, runs: pd.DataFrame, architecture: str, depth: int, split: str, ended: bool
) -> Line | None:
    table = points.pivot_table(index="step", columns="run_id", values=SPLITS[split], aggfunc="last")
    for _, run in runs[runs["outcome"] == "diverged"].iterrows():
        if run["run_id"] in table:
            last = table[run["run_id"]].last_valid_index()
            table.loc[table.index > last, run["run_id"]] = run[f"final_{split}_error"]
    # Where seeds were evaluated at other steps, the gaps are bridged; nothing is added past a seed's last point.
    table = table.interpolate(method="index", limit_area="inside").dropna(how="all")
    if table.empty:
        return None
    values = table.to_numpy(dtype=np.float64)
    step = table.index.to_numpy(dtype=np.float64)
    return Line(
        architecture, depth, split, step, np.nanmean(values, axis=1), np.nanmin(values, axis=1),
        np.nanmax(values, axis=1), values.shape[1], int((runs["outcome"] == "diverged").sum()), ended,
    )  # fmt: skip


def _limits(lines: tuple[Line, ...], panels: tuple[str, ...], colours: dict[int, str]) -> CurveData:
    """Cut the axis where the second half of training lies, but below no final point of any seed."""
    last = max((float(line.step[-1]) for line in lines), default=1.0)
    late = [line.high[line.step >= last / 2] for line in lines]
    late = [values for values in late if len(values)]
    usual = float(np.percentile(np.concatenate(late), 98)) if late else 0.0
    final = max((float(line.high[-1]) for line in lines), default=0.0)
    top = min(102.0, max(1.0, 1.1 * max(usual, final)))
    cut = any(float(line.high.max()) > top for line in lines)
    power = int(np.floor(np.log10(last))) if last >= 10_000 else 0
    return CurveData(lines, panels, colours, top, cut, last, power)


def draw_curves(data: CurveData, ax: Axes, architecture: str, splits: tuple[str, ...] = ("train", "test")) -> None:
    """Draw one architecture's lines: training thin and dashed, test bold, bands from the lowest to the highest seed."""
    scale = 10.0**data.power
    ends: dict[int, tuple[float, str, str]] = {}
    for line in sorted(data.lines, key=lambda one: (one.split == "test", one.depth)):
        if line.architecture != architecture or line.split not in splits:
            continue
        colour, dashed = data.colours[line.depth], line.split == "train" and len(splits) > 1
        ax.plot(line.step / scale, line.mean, color=colour, linewidth=0.9 if dashed else 1.7,
                linestyle=(0, (3, 1.5)) if dashed else "-", zorder=3 if dashed else 4)  # fmt: skip
        if line.seeds > 1:
            ax.fill_between(line.step / scale, line.low, line.high, color=colour, alpha=0.13, linewidth=0, zorder=2)
        ends[line.depth] = (float(line.mean[-1]), line.label, colour)
    ax.set_xlim(0, data.last / scale)
    ax.set_ylim(-0.012 * data.top, data.top)  # a line at 0 stays off the frame
    ax.set_xlabel(axis("step", f"1e{data.power}" if data.power else ""))
    label_ends(ax, [ends[depth] for depth in sorted(ends)])


def draw_all(data: CurveData, figure: Figure, axes: NDArray[np.object_]) -> None:
    """Draw Figure 6: a panel an architecture, on the same axes."""
    for ax, architecture in zip(axes[0], data.panels, strict=True):
        draw_curves(data, ax, architecture)
        ax.set_title(f"{architecture} nets")
    axes[0][0].set_ylabel(axis("error"))
    _key(figure)


def draw_two_depths(data: CurveData, figure: Figure, axes: NDArray[np.object_]) -> None:
    """Draw Figure 1: training error left, test error right, for the depths in `data`."""
    for ax, split in zip(axes[0], SPLITS, strict=True):
        draw_curves(data, ax, data.panels[0], (split,))
        ax.set_ylabel(axis(SPLITS[split]))
        ax.tick_params(labelleft=True)
    engine = figure.get_layout_engine()
    if isinstance(engine, ConstrainedLayoutEngine):
        engine.set(wspace=0.06)  # the labels of the left panel reach to the right one's axis


def _key(figure: Figure) -> None:
    handles = [
        Line2D([], [], color="#333333", linewidth=0.9, linestyle=(0, (3, 1.5)), label=axis("train_error")),
        Line2D([], [], color="#333333", linewidth=1.7, label=axis("test_error")),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, handlelength=2.6)
