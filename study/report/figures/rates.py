"""The learning-rate search: every trial's training error against its rate, a panel a depth."""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator
from numpy.typing import NDArray

from study.report.figures.drawing import Drawing, write_texts
from study.report.figures.labels import label_panels, single_variant, squeeze, unsqueeze
from study.report.figures.points import name_points
from study.report.figures.style import (
    ARCHITECTURE_COLOURS,
    ARCHITECTURE_MARKERS,
    architecture_key,
    axes_or_new,
    key_below,
    panel_width,
)
from study.report.metrics import axis
from study.report.text import span
from study.verdict.searches import ENDED, LEAST_TOLERANCE, Searched, by_trial, other_fields, search_of
from study.verdict.selection import depths

COLUMNS = 4
LEGEND_COLUMNS = {1: 2}
"""Of the key, under so many panels in a row; 4 under more."""
LINEAR = 1.0
"""Percent below which a compressed axis of errors is linear (`squeeze`)."""
COMPRESSED_FROM = 20.0
"""Ratio of the highest to the lowest error from which on small ones would be squeezed on a linear axis."""
MARK: dict[str, Any] = {"linestyle": "none", "marker": "o"}
TICKS = (0, 1, 3, 10, 30, 90)
FLOOR = 0.16
"""Part of a panel's height below an error of 0, where the good ranges lie."""
ROOF = 0.14
"""Part above the highest error, where trials stand that have none."""


class RateData(NamedTuple):
    """All nets' trials, common limits, and what the caption says."""

    trials: pd.DataFrame
    """Tidy, a row a trial: architecture, depth, lr, state, error (final training error; of a pruned trial the running
    one when it was stopped, NaN where that isn't known), that of the lowest and highest seed, whether it was chosen,
    and its net's good range, good_from and good_to."""
    rates: tuple[float, float]
    """Limits."""
    top: float
    """The highest error that has a place on the axis."""
    compressed: bool
    bounds: tuple[float, float] | None
    """The bounds asked for, where some trial lies beyond them."""
    tolerance: float
    fields: tuple[str, ...]
    """What else varies between the trials."""

    @property
    def depths(self) -> list[int]:
        """All depths."""
        return depths(self.trials)

    @property
    def has_roof(self) -> bool:
        """Whether some trial has no place on the axis of errors."""
        return bool(((self.trials["state"] == "diverged") | self.trials["error"].isna()).any())

    @property
    def states(self) -> set[str]:
        """All states that trials have."""
        return set(self.trials["state"])

    @property
    def within(self) -> str:
        """The tolerance in words: ``1 point``."""
        return f"{self.tolerance:g} point{'s' * (self.tolerance != 1)}"


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
    trials = single_variant(trials)
    table = by_trial(trials)
    fields = other_fields(table["point"]) if len(table) else ()
    data = rate_data(table, searched_nets(table, tolerance, fields), tolerance, fields)
    if data is None or (depth is not None and depth not in data.depths):
        raise ValueError(f"no ended trial{f' at {depth} layers' if depth is not None else ''}")
    with axes_or_new(ax) as ax:
        draw_rates(data, ax, data.depths[-1] if depth is None else depth)
        ax.set(xlabel=axis("lr"), ylabel=axis("train_error"))
        ax.legend(handles=_nets_key(data))
    return ax


def searched_nets(trials: pd.DataFrame, tolerance: float, fields: tuple[str, ...]) -> tuple[Searched, ...]:
    """Return what was searched of each net; arguments as for `rate_data`."""
    return tuple(search_of(net, tolerance, fields) for _, net in trials.groupby(["architecture", "depth"]))


def rate_data(
    trials: pd.DataFrame, nets: Sequence[Searched], tolerance: float, fields: tuple[str, ...]
) -> RateData | None:
    """Return the ended trials (`searches.by_trial`) by net; None where there are none."""
    ended = trials[trials["state"].isin(ENDED) & trials["lr"].notna()]
    if ended.empty:
        return None
    frames = []
    for net in nets:
        rows = ended[(ended["architecture"] == net.architecture) & (ended["depth"] == net.depth)].sort_values("lr")
        whole = rows["state"] != "pruned"
        frame = rows[["architecture", "depth", "lr", "state"]].assign(
            error=rows["error"].where(whole, rows["running"]).astype(float),
            lowest=rows["error_low"].where(whole).astype(float),
            highest=rows["error_high"].where(whole).astype(float),
            chosen=rows["chosen"].astype(bool),
            good_from=net.good.low if net.good is not None else np.nan,
            good_to=net.good.high if net.good is not None else np.nan,
        )
        frames.append(frame)
    shown = pd.concat([frame for frame in frames if len(frame)], ignore_index=True)
    known = shown.loc[shown["state"] != "diverged", ["error", "highest"]].to_numpy(dtype=np.float64)
    known = known[np.isfinite(known)]
    top = max(float(known.max()), LINEAR) if len(known) else LINEAR
    compressed = len(known) > 0 and top > COMPRESSED_FROM * max(LINEAR / 2, float(known.min()))
    bounds = None
    if ended["outside"].any() and ended["low"].notna().any():
        bounds = float(ended["low"].min()), float(ended["high"].max())
    limits = float(ended["lr"].min()) / 1.4, float(ended["lr"].max()) * 1.4
    return RateData(shown, limits, top, compressed, bounds, tolerance, fields)


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
    nets = data.trials[data.trials["depth"] == depth].groupby("architecture", sort=False)
    for rank, (kind, net) in enumerate(nets):
        look: dict[str, Any] = {"color": ARCHITECTURE_COLOURS[str(kind)], "zorder": 3}
        marker, y = ARCHITECTURE_MARKERS[str(kind)], place(net["error"].to_numpy())
        full, pruned, diverged = (net["state"].to_numpy() == state for state in ENDED)
        lr, high = net["lr"].to_numpy(), top + (0.7 - 0.35 * rank) * roof * room
        y = np.where(diverged | (pruned & np.isnan(y)), high, y)
        line = "none" if data.fields else "-"
        (ended,) = ax.plot(lr[full], y[full], marker=marker, markersize=3.2, linewidth=0.7, linestyle=line, **look)
        name_points(ended, f"{kind}, {depth} layers", y=net["error"].to_numpy()[full])
        lowest, highest = (place(net[end].to_numpy()[full]) for end in ("lowest", "highest"))
        ax.vlines(lr[full], lowest, highest, linewidth=0.7, **look | {"zorder": 2})
        ax.plot(lr[pruned], y[pruned], marker, markerfacecolor="white", markersize=3.2, markeredgewidth=0.8, **look)
        ax.plot(lr[diverged], y[diverged], "x", markersize=3.8, markeredgewidth=1.0, **look)
        ring: dict[str, Any] = {"markerfacecolor": "none", "markersize": 7.5, "markeredgewidth": 0.8}
        at = net["chosen"].to_numpy()
        ax.plot(lr[at], y[at], "o", **ring, **look | {"zorder": 4})
        good = net[["good_from", "good_to"]].iloc[0]
        if good.notna().all():
            ax.hlines(-(0.45 + 0.27 * rank) * FLOOR * room, *good, linewidth=2.2, capstyle="round", **look)
    ax.axhline(0, color="#bdbdbd", linewidth=0.5, zorder=1)
    _ticks(data, ax)
    ax.set_title(f"{depth} layers")


def _ticks(data: RateData, ax: Axes) -> None:
    ax.xaxis.set_major_locator(LogLocator(numticks=5))
    ax.xaxis.set_minor_formatter(NullFormatter())
    if data.compressed:
        shown = [tick for tick in TICKS if tick <= data.top]
        ax.yaxis.set_major_locator(FixedLocator([float(squeeze(tick)) for tick in shown]))
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{float(unsqueeze(value)):g}"))
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
    label_panels(axes, len(data.depths), "lr", "train_error")
    key_below(figure, _key(data), LEGEND_COLUMNS.get(axes.shape[1], 4))


def _key(data: RateData) -> list[Line2D]:
    """Return what the legend shows: only what the figure has."""
    looks: list[tuple[object, str, dict[str, Any]]] = [
        (data.trials["chosen"].any(), "chosen rate", MARK | {"markerfacecolor": "none", "markersize": 7.5}),
        (data.trials["good_from"].notna().any(), f"best + {data.within}", {"linewidth": 2.2}),
        ("pruned" in data.states, "pruned", MARK | {"markerfacecolor": "white", "markersize": 3.2}),
        ("diverged" in data.states, "diverged", MARK | {"marker": "x", "markersize": 3.8}),
        (data.bounds, "bounds asked for", {"linewidth": 0.6, "linestyle": (0, (4, 2))}),
    ]
    grey = [Line2D([], [], color="#555555", label=label, **look) for there, label, look in looks if there]
    return [*_nets_key(data), *grey]


def _nets_key(data: RateData) -> list[Line2D]:
    linewidth = 0 if data.fields else 0.7
    return architecture_key(data.trials["architecture"], linestyle="-", markersize=3.2, linewidth=linewidth)


def rates_drawing(data: RateData) -> Drawing:
    """Return the figure of all searches of a variant."""
    rows, columns = shape(data)
    counts = span(data.trials.groupby(["architecture", "depth"]).size())
    texts, draw = write_texts("rates", data=data, counts=counts), partial(draw_panels, data)
    width, options = panel_width(columns, 1.0), {"rows": rows, "sharex": True, "sharey": True}
    return Drawing("rates", texts, draw, data.trials, columns, height(data), width, options)
