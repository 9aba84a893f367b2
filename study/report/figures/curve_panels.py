"""Curves drawn as in Figures 1 and 6 of the paper: training thin and dashed, test bold, a colour a depth."""

from collections.abc import Collection
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FormatStrFormatter, MultipleLocator
from numpy.typing import NDArray

from study.report.figures.error_curves import PAPER_TOP, SPLITS, CurveData, curve_data, ends, only
from study.report.figures.labels import label_ends
from study.report.figures.style import Style, axes_or_new, pale
from study.report.metrics import axis

TRAIN: dict[str, Any] = {"linewidth": 0.9, "linestyle": (0, (3, 1.5))}
TEST: dict[str, Any] = {"linewidth": 1.8, "linestyle": "-"}
PAPER_TRAIN: dict[str, Any] = {"linewidth": 0.7, "linestyle": (0, (1, 1.2))}
PAPER_TEST: dict[str, Any] = {"linewidth": 0.8, "linestyle": "-"}
"""The paper's own curves, pale, beneath the study's."""


def curves(
    curves: pd.DataFrame,
    runs: pd.DataFrame | None = None,
    ax: Axes | None = None,
    *,
    architecture: str = "plain",
    splits: Collection[str] = ("train", "test"),
    style: Style = "house",
) -> Axes:
    """Draw training and test error by iteration, a line a depth with a band from the lowest to the highest seed.

    Args:
        curves: a row a run and step, as `study.track.frames.load_curves` returns them, of one variant.
        runs: a row a run, as `load_runs` returns them: then only runs that count are drawn, diverged ones at the error
            of guessing to the end, and the paper's curves beneath those of CIFAR-10.
        ax: where to draw; by default new axes.
        architecture: plain, residual or vgg.
        splits: train, test or both; alone, a split's lines are bold.
        style: house, or the paper's axes and colours.

    Raises:
        ValueError: several variants, or no curve of the architecture.

    Example:
        >>> figures.curves(load_curves("digits"), load_runs("digits"), architecture="residual")
    """
    data = curve_data(curves, runs, style=style)
    return _draw_one(data, ax, architecture, tuple(splits))


def degradation(
    curves: pd.DataFrame,
    runs: pd.DataFrame | None = None,
    ax: Axes | None = None,
    *,
    split: str = "train",
    depths: tuple[int, int] | None = None,
    architecture: str = "plain",
    style: Style = "house",
) -> Axes:
    """Draw one panel of the paper's Figure 1: error by iteration of a shallow and a deep net.

    Args:
        curves: as for `curves`.
        runs: as for `curves`.
        ax: where to draw; by default new axes.
        split: train for the left panel, test for the right one.
        depths: of the two nets; by default the shallowest and the deepest.
        architecture: plain, residual or vgg.
        style: house, or the paper's axes and colours.

    Raises:
        ValueError: several variants, or no curve of the architecture.

    Example:
        >>> figures.degradation(load_curves("digits"), split="test", depths=(20, 56))
    """
    data = curve_data(curves, runs, style=style)
    chosen = only(data, {(architecture, depth) for depth in depths}) if depths else ends(data, architecture)
    return _draw_one(chosen or data, ax, architecture, (split,))


def _draw_one(data: CurveData, ax: Axes | None, architecture: str, splits: tuple[str, ...]) -> Axes:
    if architecture not in data.panels:
        raise ValueError(f"no curve of a net that is '{architecture}': there are {', '.join(data.panels) or 'none'}")
    with axes_or_new(ax, style=data.style) as ax:
        draw_curves(data, ax, architecture, splits)
        ax.set_ylabel(axis(SPLITS[splits[0]] if len(splits) == 1 else "error", style=data.style))
    return ax


def draw_curves(data: CurveData, ax: Axes, architecture: str, splits: tuple[str, ...] = ("train", "test")) -> None:
    """Draw one architecture's lines, with a band from the lowest to the highest seed and the paper's own beneath."""
    scale = 10.0**data.power
    labels: dict[int, tuple[float, str, str]] = {}
    for reference in data.paper:
        if reference.architecture == architecture and reference.split in splits:
            look = PAPER_TRAIN if reference.split == "train" and len(splits) > 1 else PAPER_TEST
            ax.plot(reference.step / scale, reference.error, color=pale(data.colours[reference.depth]), zorder=2.2,
                    **look)  # fmt: skip
    for line in sorted(data.lines, key=lambda one: (one.split == "test", one.depth)):
        if line.architecture != architecture or line.split not in splits:
            continue
        colour, thin = data.colours[line.depth], line.split == "train" and len(splits) > 1
        ax.plot(line.step / scale, line.mean, color=colour, zorder=3 if thin else 4, **(TRAIN if thin else TEST))
        if line.seeds > 1:
            ax.fill_between(line.step / scale, line.low, line.high, color=colour, alpha=0.15, linewidth=0, zorder=2)
        labels[line.depth] = (float(line.mean[-1]), line.label, colour)
    ax.set_xlim(0, data.last / scale)
    ax.set_xlabel(axis("step", f"1e{data.power}" if data.power else "", style=data.style))
    if data.style == "paper":
        _paper_axes(data, ax)
    else:
        ax.set_ylim(-0.012 * data.top, data.top)  # a line at 0 stays off the frame
    label_ends(ax, [labels[depth] for depth in sorted(labels)])


def _paper_axes(data: CurveData, ax: Axes) -> None:
    """Give axes the paper's ticks: 0, 5, 10 and 20 percent, farther up every 20, and whole powers of iterations."""
    ax.set_ylim(0, data.top)
    low = [0, 5, 10] if data.top <= 2 * PAPER_TOP else [0, 10]  # 0 and 5 would touch
    ax.yaxis.set_major_locator(FixedLocator([*low, *np.arange(PAPER_TOP, data.top + 1, PAPER_TOP)]))
    ax.yaxis.set_major_formatter(FormatStrFormatter("%g"))
    if data.power:
        ax.xaxis.set_major_locator(MultipleLocator(1))


def draw_all(data: CurveData, figure: Figure, axes: NDArray[np.object_]) -> None:
    """Draw Figure 6: a panel an architecture, on the same axes."""
    for ax, architecture in zip(axes[0], data.panels, strict=True):
        draw_curves(data, ax, architecture)
        ax.set_title(f"{architecture} nets")
    axes[0][0].set_ylabel(axis("error", style=data.style))
    _key(data, figure)


def draw_two_depths(data: CurveData, figure: Figure, axes: NDArray[np.object_]) -> None:
    """Draw Figure 1: training error left, test error right where there is any, for the depths in `data`."""
    for ax, split in zip(axes[0], data.splits, strict=True):
        draw_curves(data, ax, data.panels[0], (split,))
        ax.set_ylabel(axis(SPLITS[split], style=data.style))
        ax.tick_params(labelleft=True)
    engine = figure.get_layout_engine()
    if isinstance(engine, ConstrainedLayoutEngine):
        engine.set(wspace=0.06)  # the labels of the left panel reach to the right one's axis
    if data.paper:
        handles = [_paper_key("same depth, paper", PAPER_TEST)]
        figure.legend(handles=handles, loc="outside lower center", handlelength=2.6)


def _key(data: CurveData, figure: Figure) -> None:
    grey: dict[str, Any] = {"color": "#333333"}
    looks = {"train": TRAIN, "test": TEST}
    handles = [Line2D([], [], label=axis(SPLITS[split]), **grey, **looks[split]) for split in data.splits]
    old = {"train": PAPER_TRAIN, "test": PAPER_TEST}
    if data.paper:
        handles += [_paper_key(f"{axis(SPLITS[split])}, paper", old[split]) for split in data.splits]
    columns = len(handles) if len(data.panels) > 1 else 2
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, handlelength=2.6, columnspacing=1.4)


def _paper_key(label: str, look: dict[str, Any]) -> Line2D:
    return Line2D([], [], label=label, color="#9a9a9a", **look)
