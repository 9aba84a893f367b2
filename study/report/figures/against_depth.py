"""Something against depth: architectures side by side at each depth, seeds hollow, the centre of a net full."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from study.report.figures.labels import depth_axis, depth_places
from study.report.figures.points import name_points
from study.report.figures.style import architecture_look, handles_of, key_below
from study.statistics.interval import Interval, mean_percent
from study.verdict.selection import architectures, depths, values

NUMBERS = ("value", "mean", "sd", "low", "high")
COLUMNS = ("architecture", "depth", *NUMBERS, "seeds")
BESIDE = 0.03
"""Distance between architectures at a depth, as a part of the axis."""


def seeds_by_depth(
    runs: pd.DataFrame, metric: str, interval: Callable[[NDArray[np.float64]], Interval] = mean_percent
) -> pd.DataFrame:
    """Return a row a seed: its value of a metric, with the mean, deviation, interval and seeds of its net.

    Seeds without a value are left out. Architectures are in their order (plain first), depths are rising.
    """
    rows = []
    for architecture in architectures(runs):
        nets = runs[runs["architecture"] == architecture]
        for depth in depths(nets):
            seeds = values(nets, depth, metric)
            mean = interval(seeds)
            summary = (mean.estimate, mean.sd, mean.low, mean.high, mean.seeds)
            rows += [(architecture, depth, float(value), *summary) for value in seeds]
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    return frame.astype(dict.fromkeys(NUMBERS, np.float64))  # without rows they would be objects


def draw_metrics(
    draw: Callable[[Axes, str], None], metrics: Sequence[str], figure: Figure, axes: NDArray[np.object_]
) -> None:
    """Draw metrics beside each other, with one key below."""
    for ax, metric in zip(axes[0], metrics, strict=True):
        draw(ax, metric)
    key_below(figure, handles_of(axes[0][0]))


INTERVALS: dict[str, Any] = {"linewidth": 0, "elinewidth": 1.0, "capsize": 2.4}
SEEDS: dict[str, Any] = {"markerfacecolor": "none", "markeredgewidth": 0.6, "alpha": 0.75, "zorder": 4}


class Look(NamedTuple):
    """How means and seeds are drawn; sizes in points."""

    linewidth: float = 1.3
    marker_size: float = 4.0
    seed_size: float = 3.0
    aside: float = 0.028
    """Distance of seeds from their centre, to the outside, as a part of the axis."""
    dashed: bool = False
    """Whether each architecture has a line style of its own."""
    single: bool = True
    """Whether the only seed of a net is drawn."""
    along: str = "depth"
    """Column of what the axis is of."""


LOOK = Look()


def draw_against_depth(
    ax: Axes,
    frame: pd.DataFrame,
    all_depths: Sequence[int],
    *,
    value: str = "value",
    centre: str = "mean",
    kinds: Sequence[str] = (),
    look: Look = LOOK,
) -> None:
    """Draw a line through the centres of each architecture, with intervals if there are any, and its seeds beside it.

    Args:
        ax: where to draw; its horizontal axis becomes one of depths.
        frame: a row a seed: architecture, depth, the columns `value` and `centre`, and perhaps low and high.
        all_depths: depths of the axis.
        value: column of the seeds' values.
        centre: column of the nets' means or medians.
        kinds: architectures that have a place at each depth; by default those of the frame.
        look: sizes, distances and line styles.
    """
    places = depth_places(all_depths)
    reach = depth_axis(ax, places)
    kinds = list(kinds or frame["architecture"].unique())
    for kind in frame["architecture"].unique():
        seeds = frame[frame["architecture"] == kind]
        side = kinds.index(kind) - (len(kinds) - 1) / 2
        x = seeds["depth"].map(places).to_numpy() + side * BESIDE * reach
        line = architecture_look(kind) | ({} if look.dashed else {"linestyle": "-"}) | {"label": f"{kind} nets"}
        # Seeds stand a little to the outside of their centre, so that neither hides the other.
        beside = x + (look.aside if kinds.index(kind) else -look.aside) * reach
        draw_line(ax, seeds, x, beside, line, value=value, centre=centre, look=look)


def draw_line(
    ax: Axes,
    seeds: pd.DataFrame,
    x: NDArray[np.float64],
    beside: NDArray[np.float64],
    line: dict[str, Any],
    *,
    value: str = "value",
    centre: str = "mean",
    look: Look = LOOK,
) -> None:
    """Draw a line through the centres of nets, with intervals if there are any, and their seeds hollow.

    Args:
        ax: where to draw.
        seeds: a row a seed: the columns `value` and `centre`, and perhaps low and high.
        x: (rows,) where the centre of each seed's net stands.
        beside: (rows,) where the seed stands.
        line: colour, line style, marker and label.
        value: column of the seeds' values.
        centre: column of the nets' means or medians.
        look: sizes, and whether a net's only seed is drawn.
    """
    colour, place = line["color"], pd.Series(x)
    nets = ~place.duplicated().to_numpy()
    at, centres = x[nets], seeds.loc[nets, centre].to_numpy()
    (drawn,) = ax.plot(at, centres, zorder=3, **line, linewidth=look.linewidth, markersize=look.marker_size)
    name_points(drawn, f"{line['label']}, {centre}", seeds.loc[nets, look.along])
    if "low" in seeds:
        low, high = (seeds.loc[nets, bound].to_numpy() for bound in ("low", "high"))
        some = np.isfinite(low)
        reaches = [(centres - low)[some], (high - centres)[some]]
        ax.errorbar(at[some], centres[some], reaches, color=colour, zorder=3, **INTERVALS)
    shown = place.duplicated(keep=False).to_numpy() | look.single
    results = seeds[value].to_numpy()[shown]
    (drawn,) = ax.plot(beside[shown], results, line["marker"], color=colour, markersize=look.seed_size, **SEEDS)
    name_points(drawn, f"{line['label']}, a run", seeds.loc[shown, look.along])
