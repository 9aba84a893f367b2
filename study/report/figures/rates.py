"""The learning-rate search: every trial's objective against its rate, a panel a depth."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter
from numpy.typing import NDArray

from study.report.cells import architectures, depths
from study.report.figures.style import ARCHITECTURE_COLOURS, ARCHITECTURE_MARKERS
from study.report.metrics import axis

COLUMNS = 4
STATES = ("complete", "pruned", "diverged")


class Trials(NamedTuple):
    """The trials of one net: rate, value and state of each (trials,), and the rate that was chosen (NaN: none)."""

    architecture: str
    depth: int
    lr: NDArray[np.float64]
    value: NDArray[np.float64]
    state: tuple[str, ...]
    chosen: float


class RateData(NamedTuple):
    """All nets' trials, what they minimise, and common limits."""

    nets: tuple[Trials, ...]
    depths: tuple[int, ...]
    objective: str
    rates: tuple[float, float]
    limits: tuple[float, float]
    log: bool


def rate_data(trials: pd.DataFrame) -> RateData | None:
    """Return the ended trials by net; None where there are none."""
    ended = trials[trials["state"].isin(STATES) & trials["lr"].notna()] if len(trials) else trials
    if ended.empty:
        return None
    nets = []
    for architecture in architectures(ended):
        for depth in depths(ended[ended["architecture"] == architecture]):
            mine = ended[(ended["architecture"] == architecture) & (ended["depth"] == depth)].sort_values("lr")
            chosen = mine.loc[mine["chosen"].astype(bool), "lr"]
            nets.append(Trials(
                architecture, depth, mine["lr"].to_numpy(dtype=np.float64), mine["value"].to_numpy(dtype=np.float64),
                tuple(mine["state"]), float(chosen.iloc[0]) if len(chosen) else float("nan"),
            ))  # fmt: skip
    finite = ended.loc[(ended["state"] != "diverged") & np.isfinite(ended["value"]), "value"]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    log = low > 0 and high / low > 50
    # Room above the highest value, where diverged trials stand.
    room = (low / 1.6, high * (high / low) ** 0.22) if log else (min(0.0, low), high + 0.2 * ((high - low) or 1.0))
    rates = float(ended["lr"].min()) / 1.4, float(ended["lr"].max()) * 1.4
    return RateData(tuple(nets), tuple(depths(ended)), str(ended["objective"].iloc[0]), rates, room, log)


def shape(data: RateData) -> tuple[int, int]:
    """Return the rows and columns of panels."""
    columns = min(COLUMNS, len(data.depths))
    return -(-len(data.depths) // columns), columns


def draw_rates(data: RateData, ax: Axes, depth: int) -> None:
    """Draw a depth: full points ended, hollow ones were pruned, crosses at the top diverged, rings are chosen."""
    ax.set_xscale("log")
    ax.set_yscale("log" if data.log else "linear")
    ax.set_xlim(*data.rates)
    ax.set_ylim(*data.limits)
    for rank, one in enumerate(net for net in data.nets if net.depth == depth):
        colour, marker = ARCHITECTURE_COLOURS[one.architecture], ARCHITECTURE_MARKERS[one.architecture]
        state = np.array(one.state)
        full, pruned, diverged = (state == name for name in STATES)
        ax.plot(one.lr[full], one.value[full], color=colour, marker=marker, markersize=3.4, linewidth=0.7, zorder=3)
        ax.plot(one.lr[pruned], one.value[pruned], marker, color=colour, markerfacecolor="white", markersize=3.4,
                markeredgewidth=0.8, zorder=3)  # fmt: skip
        ax.plot(one.lr[diverged], np.full(int(diverged.sum()), 0.96 - 0.06 * rank), "x", color=colour, markersize=3.8,
                markeredgewidth=1.0, transform=ax.get_xaxis_transform(), zorder=3)  # fmt: skip
        at = np.flatnonzero(np.isclose(one.lr, one.chosen))
        ax.plot(one.lr[at], one.value[at], "o", color=colour, markerfacecolor="none", markersize=8, zorder=4)
    ax.xaxis.set_major_locator(LogLocator(numticks=5))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_title(f"{depth} layers")


def draw_panels(data: RateData, figure: Figure, axes: NDArray[np.object_]) -> None:
    """Draw all depths and the key."""
    flat = axes.ravel()
    for ax, depth in zip(flat, data.depths, strict=False):
        draw_rates(data, ax, depth)
    for ax in flat[len(data.depths) :]:
        ax.remove()
    columns = axes.shape[1]
    for place, ax in enumerate(flat[: len(data.depths)]):
        if place + columns >= len(data.depths):  # the lowest panel of its column
            ax.set_xlabel(axis("lr"))
            ax.tick_params(labelbottom=True)
        if place % columns == 0:
            ax.set_ylabel(axis(data.objective))
    handles = [
        Line2D([], [], color=ARCHITECTURE_COLOURS[name], marker=ARCHITECTURE_MARKERS[name], markersize=3.4,
               linewidth=0.7, label=f"{name} nets")
        for name in ARCHITECTURE_COLOURS if any(net.architecture == name for net in data.nets)
    ]  # fmt: skip
    grey: dict[str, Any] = {"color": "#555555", "linestyle": "none"}
    states = {state for net in data.nets for state in net.state}
    if "pruned" in states:
        handles.append(Line2D([], [], marker="o", markerfacecolor="white", markersize=3.4, label="pruned", **grey))
    if "diverged" in states:
        handles.append(Line2D([], [], marker="x", markersize=3.8, label="diverged", **grey))
    if any(np.isfinite(net.chosen) for net in data.nets):
        handles.append(Line2D([], [], marker="o", markerfacecolor="none", markersize=8, label="chosen", **grey))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
