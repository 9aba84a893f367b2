"""The learning-rate search: every trial's training error against its rate, a panel a depth."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator
from numpy.typing import NDArray

from study.report.figures.frames import one_variant
from study.report.figures.labels import squeeze
from study.report.figures.style import ARCHITECTURE_COLOURS, ARCHITECTURE_MARKERS, axes_or_new
from study.report.metrics import axis
from study.verdict.searches import ENDED, LEAST_TOLERANCE, Searched, by_trial, other_fields, search_of
from study.verdict.selection import architectures, depths

COLUMNS = 4
LEGEND_COLUMNS = {1: 2}
"""Of the key, under so many panels in a row; 4 under more."""
LINEAR = 1.0
"""Percent below which a compressed axis of errors is linear (`squeeze`)."""
COMPRESS = 20.0
"""Ratio of the highest to the lowest error from which on small ones would be squeezed on a linear axis."""
TICKS = (0, 1, 3, 10, 30, 90)
FLOOR = 0.16
"""Part of a panel's height below an error of 0, where the good ranges lie."""
ROOF = 0.14
"""Part above the highest error, where trials stand that have none."""


class Trials(NamedTuple):
    """The trials of one net, all (trials,): rate, error with its least and greatest seed, and state."""

    architecture: str
    depth: int
    lr: NDArray[np.float64]
    error: NDArray[np.float64]
    """Final training error; of a pruned trial the running one when it was stopped, NaN where that isn't known."""
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    state: tuple[str, ...]
    chosen: tuple[bool, ...]
    good: tuple[float, float] | None


class RateData(NamedTuple):
    """All nets' trials, common limits, and what the caption says."""

    nets: tuple[Trials, ...]
    depths: tuple[int, ...]
    rates: tuple[float, float]
    top: float
    """The highest error that has a place on the axis."""
    compressed: bool
    bounds: tuple[float, float] | None
    """The bounds asked for, where some trial lies beyond them."""
    tolerance: float
    fields: tuple[str, ...]
    """What else varies between the trials."""

    @property
    def has_roof(self) -> bool:
        """Whether some trial has no place on the axis of errors."""
        return any(
            s == "diverged" or np.isnan(e) for net in self.nets for s, e in zip(net.state, net.error, strict=True)
        )

    @property
    def states(self) -> set[str]:
        """All states that trials have."""
        return {state for net in self.nets for state in net.state}

    def frame(self) -> pd.DataFrame:
        """Return what is drawn, tidy: a row a trial; a rate is good that lies in its net's good range."""
        return pd.concat([
            pd.DataFrame({
                "architecture": net.architecture, "depth": net.depth, "lr": net.lr, "state": net.state,
                "error": net.error, "lowest": net.low, "highest": net.high, "chosen": net.chosen,
                "good_from": net.good[0] if net.good else np.nan, "good_to": net.good[1] if net.good else np.nan,
            })
            for net in self.nets
        ], ignore_index=True)  # fmt: skip


def rates(
    trials: pd.DataFrame, ax: Axes | None = None, *, depth: int | None = None, tolerance: float = LEAST_TOLERANCE
) -> Axes:
    """Draw every trial's training error against its learning rate, for the nets of one depth.

    Args:
        trials: a row a trial and seed, as `study.track.frames.load_trials` returns them, of one variant.
        ax: where to draw; by default new axes.
        depth: of the nets; by default the deepest.
        tolerance: points above a net's best error within which a rate is good.

    Raises:
        ValueError: several variants, or no ended trial of the depth.

    Example:
        >>> figures.rates(load_trials("digits"), depth=56)
    """
    one_variant(trials)
    table = by_trial(trials)
    fields = other_fields(table["point"]) if len(table) else ()
    nets = [
        search_of(table[(table["architecture"] == name) & (table["depth"] == at)], tolerance, fields)
        for name in architectures(table)
        for at in depths(table[table["architecture"] == name])
    ]
    data = rate_data(table, nets, tolerance, fields)
    if data is None or (depth is not None and depth not in data.depths):
        raise ValueError(f"no ended trial{f' at {depth} layers' if depth is not None else ''}")
    with axes_or_new(ax) as ax:
        draw_rates(data, ax, data.depths[-1] if depth is None else depth)
        ax.set_xlabel(axis("lr"))
        ax.set_ylabel(axis("train_error"))
        ax.legend(handles=_nets_key(data))
    return ax


def rate_data(
    trials: pd.DataFrame, nets: Sequence[Searched], tolerance: float, fields: tuple[str, ...]
) -> RateData | None:
    """Return the ended trials (`tuning.by_trial`) by net; None where there are none."""
    ended = trials[trials["state"].isin(ENDED) & trials["lr"].notna()]
    if ended.empty:
        return None
    shown = []
    for net in nets:
        mine = ended[(ended["architecture"] == net.architecture) & (ended["depth"] == net.depth)].sort_values("lr")
        if len(mine):
            whole = mine["state"] != "pruned"
            final, low, high = mine["error"].where(whole, mine["running"]), mine["error_low"], mine["error_high"]
            shown.append(Trials(
                net.architecture, net.depth, _array(mine["lr"]), _array(final),
                _array(low.where(whole)), _array(high.where(whole)), tuple(mine["state"]),
                tuple(bool(one) for one in mine["chosen"]),
                (net.good.low, net.good.high) if net.good is not None else None,
            ))  # fmt: skip
    placed = [np.concatenate([net.error, net.high])[np.array([*net.state, *net.state]) != "diverged"] for net in shown]
    known = np.concatenate(placed)
    known = known[np.isfinite(known)]
    top = max(float(known.max()), LINEAR) if len(known) else LINEAR
    compressed = len(known) > 0 and top > COMPRESS * max(LINEAR / 2, float(known.min()))
    rates = float(ended["lr"].min()) / 1.4, float(ended["lr"].max()) * 1.4
    bounds = None
    if ended["outside"].any() and ended["low"].notna().any():
        bounds = float(ended["low"].min()), float(ended["high"].max())
    return RateData(
        tuple(shown), tuple(depths(ended)), rates, top, compressed, bounds, tolerance, fields
    )  # fmt: skip


def _array(column: "pd.Series[Any]") -> NDArray[np.float64]:
    return column.to_numpy(dtype=np.float64)


def shape(data: RateData) -> tuple[int, int]:
    """Return the rows and columns of panels."""
    columns = min(COLUMNS, len(data.depths))
    return -(-len(data.depths) // columns), columns


def height(data: RateData) -> float:
    """Return the figure's height in inches: rows of panels, and what the key takes."""
    rows, columns = shape(data)
    return 0.6 + 1.5 * rows + 0.18 * -(-len(_key(data)) // LEGEND_COLUMNS.get(columns, 4))


def draw_rates(data: RateData, ax: Axes, depth: int) -> None:
    """Draw a depth: bars below are good ranges, full points ended, hollow ones were pruned, crosses diverged."""
    ax.set_xscale("log")
    ax.set_xlim(*data.rates)
    place = squeeze if data.compressed else np.asarray
    top = float(place(data.top))
    roof = ROOF if data.has_roof else 0.04
    room = top / (1 - FLOOR - roof)
    ax.set_ylim(-FLOOR * room, top + roof * room)
    for bound in data.bounds or ():
        ax.axvline(bound, color="#8a8a8a", linewidth=0.6, linestyle=(0, (4, 2)), zorder=1)
    for rank, one in enumerate(net for net in data.nets if net.depth == depth):
        colour, marker = ARCHITECTURE_COLOURS[one.architecture], ARCHITECTURE_MARKERS[one.architecture]
        state, y = np.array(one.state), place(one.error)
        full, pruned, diverged = (state == name for name in ENDED)
        high = np.where(diverged | (pruned & np.isnan(y)), top + (0.7 - 0.35 * rank) * roof * room, y)
        line = "none" if data.fields else "-"
        ax.plot(one.lr[full], high[full], color=colour, marker=marker, markersize=3.2, linewidth=0.7, zorder=3,
                linestyle=line)  # fmt: skip
        ax.vlines(one.lr[full], place(one.low[full]), place(one.high[full]), color=colour, linewidth=0.7, zorder=2)
        ax.plot(one.lr[pruned], high[pruned], marker, color=colour, markerfacecolor="white", markersize=3.2,
                markeredgewidth=0.8, zorder=3)  # fmt: skip
        ax.plot(one.lr[diverged], high[diverged], "x", color=colour, markersize=3.8, markeredgewidth=1.0, zorder=3)
        at = np.array(one.chosen)
        ax.plot(one.lr[at], high[at], "o", color=colour, markerfacecolor="none", markersize=7.5, markeredgewidth=0.8,
                zorder=4)  # fmt: skip
        if one.good is not None:
            ax.hlines(-(0.45 + 0.27 * rank) * FLOOR * room, *one.good, color=colour, linewidth=2.2, zorder=3,
                      capstyle="round")  # fmt: skip
    ax.axhline(0, color="#bdbdbd", linewidth=0.5, zorder=1)
    _ticks(data, ax)
    ax.set_title(f"{depth} layers")


def _ticks(data: RateData, ax: Axes) -> None:
    ax.xaxis.set_major_locator(LogLocator(numticks=5))
    ax.xaxis.set_minor_formatter(NullFormatter())
    if data.compressed:
        shown = [tick for tick in TICKS if tick <= data.top]
        ax.yaxis.set_major_locator(FixedLocator([float(squeeze(tick)) for tick in shown]))
        labels = {round(float(squeeze(tick)), 6): f"{tick}" for tick in shown}
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: labels.get(round(value, 6), "")))
    else:
        low, high = ax.get_ylim()
        ticks = [tick for tick in ax.get_yticks() if 0 <= tick <= data.top]
        ax.yaxis.set_major_locator(FixedLocator(ticks))
        ax.set_ylim(low, high)
    ax.yaxis.set_minor_locator(NullLocator())


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
            ax.set_ylabel(axis("train_error"))
    handles = _key(data)
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), LEGEND_COLUMNS.get(columns, 4)))


def _key(data: RateData) -> list[Line2D]:
    """Return what the legend shows: only what the figure has."""
    handles = _nets_key(data)
    grey: dict[str, Any] = {"color": "#555555"}
    plural = "s" * (data.tolerance != 1)
    alone: dict[str, Any] = {**grey, "linestyle": "none"}
    if any(any(net.chosen) for net in data.nets):
        handles.append(Line2D([], [], marker="o", markerfacecolor="none", markersize=7.5, label="chosen rate", **alone))
    if any(net.good for net in data.nets):
        handles.append(Line2D([], [], linewidth=2.2, label=f"best + {data.tolerance:g} point{plural}", **grey))
    if "pruned" in data.states:
        handles.append(Line2D([], [], marker="o", markerfacecolor="white", markersize=3.2, label="pruned", **alone))
    if "diverged" in data.states:
        handles.append(Line2D([], [], marker="x", markersize=3.8, label="diverged", **alone))
    if data.bounds:
        handles.append(Line2D([], [], linewidth=0.6, linestyle=(0, (4, 2)), label="bounds asked for", **grey))
    return handles


def _nets_key(data: RateData) -> list[Line2D]:
    return [
        Line2D([], [], color=ARCHITECTURE_COLOURS[name], marker=ARCHITECTURE_MARKERS[name], markersize=3.2,
               linewidth=0 if data.fields else 0.7, label=f"{name} nets")
        for name in ARCHITECTURE_COLOURS if any(net.architecture == name for net in data.nets)
    ]  # fmt: skip
