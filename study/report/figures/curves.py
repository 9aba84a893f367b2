"""Error by iteration, drawn as in Figures 1 and 6 of the paper: training thin and dashed, test bold, a colour a depth.

The paper's own curves, digitised from its Figure 6, lie beneath those of a study of CIFAR-10. Pixels of the figure (He
et al. 2015, arXiv 1512.03385, Figure 6, left and middle) were read at every 1,000 iterations from 34,000 on, plain and
residual nets of 20 to 56 layers. The same reading gives residual nets test errors of 8.80, 7.53, 7.21 and 7.05% where
the paper's Table 6 says 8.75, 7.51, 7.17 and 6.97%, so a test error is good to 0.1 point; a training error, a thin
dashed line, to 0.3 points and the curve's own jitter.
"""

import math
from collections.abc import Collection, Iterator, Mapping
from functools import cache, partial
from importlib.resources import files
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FormatStrFormatter, MultipleLocator
from numpy.typing import NDArray

from study.report.figures.drawing import Drawing, write_texts
from study.report.figures.labels import label_ends, single_variant
from study.report.figures.points import name_points
from study.report.figures.style import Style, axes_or_new, depth_colours, key_below, pale, panel_width
from study.report.metrics import axis
from study.report.text import seeds_words
from study.verdict.selection import architectures, counted, depths, several_splits

SPLITS = {"train": "train_error", "test": "test_error"}
PAPER_TOP = 20.0
"""Percent at which the paper's axis of errors ends."""
VERY_DEEP = 100
"""Nets deeper than this have a panel of their own, as in the paper's Figure 6, right."""

PAPER_DATASET = "cifar10"
PAPER_ITERATIONS = 64_000
"""Length of the paper's training (section 4.2)."""
NEAR = 0.1
"""A study's training may be longer or shorter by this part: elsewhere its iterations are not the paper's."""

LOOKS: dict[str, dict[str, Any]] = {
    "train": {"linewidth": 0.9, "linestyle": (0, (3, 1.5))},
    "test": {"linewidth": 1.8, "linestyle": "-"},
}
PAPER_LOOKS: dict[str, dict[str, Any]] = {
    "train": {"linewidth": 0.7, "linestyle": (0, (1, 1.2))},
    "test": {"linewidth": 0.8, "linestyle": "-"},
}
"""The paper's own curves, pale, beneath the study's."""
LINE = ["architecture", "depth", "split"]


class CurveData(NamedTuple):
    """Lines of a figure of curves, and the limits of its axes."""

    lines: pd.DataFrame
    """Tidy, a row a line and step: `source` (study or paper), `LINE`, `step`, mean `error` over the seeds in percent,
    that of the `lowest` and `highest` seed, `seeds`, how many of them `diverged`, and whether some run `ended`."""
    colours: Mapping[Any, str]
    """By depth."""
    style: Style

    @property
    def study(self) -> pd.DataFrame:
        """The study's lines."""
        return self.lines[self.lines["source"] == "study"]

    @property
    def paper(self) -> pd.DataFrame:
        """The paper's own curves, of nets that the study has too."""
        return self.lines[self.lines["source"] == "paper"]

    @property
    def panels(self) -> tuple[str, ...]:
        """Architectures."""
        return tuple(dict.fromkeys(self.study["architecture"]))

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that have a line."""
        return tuple(split for split in SPLITS if (self.study["split"] == split).any())

    @property
    def ends(self) -> pd.DataFrame:
        """The last row of each of the study's lines."""
        return self.study.drop_duplicates(LINE, keep="last")

    @property
    def last(self) -> int:
        """The last iteration."""
        return int(self.study["step"].max())

    @property
    def power(self) -> int:
        """Of ten, by which iterations are divided."""
        return int(np.floor(np.log10(self.last))) if self.last >= 10_000 else 0

    @property
    def top(self) -> float:
        """Where the axis of errors is cut: above the second half of training, but below no final point of any seed."""
        late = self.study.loc[self.study["step"] >= self.last / 2, "highest"]
        final = float(self.ends["highest"].max())
        if self.style == "paper":  # as the paper's as long as every line's end is on it
            return PAPER_TOP if final <= PAPER_TOP else min(100.0, PAPER_TOP * math.ceil(1.02 * final / PAPER_TOP))
        return min(102.0, max(1.0, 1.1 * max(float(np.percentile(late, 98)), final)))

    @property
    def cut(self) -> bool:
        """Whether some point lies above the axis."""
        return bool((self.study["highest"] > self.top).any())

    def of(self, architecture: str) -> list[int]:
        """Return the depths of an architecture's lines."""
        return depths(self.study[self.study["architecture"] == architecture])


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
    return _draw_panel(data, ax, architecture, tuple(splits))


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
    return _draw_panel(chosen or data, ax, architecture, (split,))


def curve_data(
    curves: pd.DataFrame,
    runs: pd.DataFrame | None = None,
    colours: dict[int, str] | None = None,
    style: Style = "house",
) -> CurveData:
    """Return mean training and test error by step for each net of one variant, from the runs that count.

    A diverged run goes on at the error of guessing, so that the mean isn't of the lucky seeds only. Without `runs`,
    every run in `curves` counts, as far as it goes. `colours` are those of the whole study's depths, where `curves`
    are a part of it.

    Raises:
        ValueError: the frames hold several variants, whose mean would be of nothing.
    """
    curves, runs = single_variant(curves), None if runs is None else single_variant(runs)
    nets = curves.drop_duplicates(["architecture", "depth"]) if runs is None else runs
    counted_runs = None if runs is None else counted(runs)
    lines = [
        line
        for architecture in architectures(nets)
        for depth in depths(nets[nets["architecture"] == architecture])
        for line in _lines_of(curves, counted_runs, architecture, depth)
    ]
    drawn = {(line["architecture"].iloc[0], line["depth"].iloc[0]) for line in lines}
    lines.append(paper_lines(counted_runs if counted_runs is not None else curves, drawn))
    columns = ["source", *LINE, "step", "error", "lowest", "highest", "seeds", "diverged", "ended"]
    frame = pd.concat([line for line in lines if len(line)] or lines, ignore_index=True).reindex(columns=columns)
    frame = frame.astype({"seeds": "Int64", "diverged": "Int64"})
    return CurveData(frame, colours or depth_colours(depths(nets), style), style)


def _lines_of(
    curves: pd.DataFrame, counted_runs: pd.DataFrame | None, architecture: str, depth: int
) -> Iterator[pd.DataFrame]:
    """Yield a net's lines from its `counted_runs`; where none of its runs counts, from all its points."""
    points = curves[(curves["architecture"] == architecture) & (curves["depth"] == depth)]
    ended, diverged = True, pd.DataFrame()
    if counted_runs is not None:
        net = counted_runs[(counted_runs["architecture"] == architecture) & (counted_runs["depth"] == depth)]
        ended, diverged = len(net) > 0, net[net["outcome"] == "diverged"]
        points = points[points["run_id"].isin(net["run_id"])] if ended else points
    for split, error in SPLITS.items():
        table = points.pivot_table(index="step", columns="run_id", values=error, aggfunc="last")
        for _, run in diverged.iterrows():
            if run["run_id"] in table:
                last = table[run["run_id"]].last_valid_index()
                table.loc[table.index > last, run["run_id"]] = run[f"final_{error}"]
        # Where seeds were evaluated at other steps, the gaps are bridged; nothing is added past a seed's last point.
        table = table.interpolate(method="index", limit_area="inside").dropna(how="all")
        if len(table):
            values = table.to_numpy(dtype=np.float64)
            of_seeds = {"error": np.nanmean(values, 1), "lowest": np.nanmin(values, 1), "highest": np.nanmax(values, 1)}
            line = {"source": "study", "architecture": architecture, "depth": depth, "split": split}
            counts = {"seeds": values.shape[1], "diverged": len(diverged), "ended": ended}
            yield pd.DataFrame(line | {"step": table.index.astype(int)} | of_seeds | counts)


def paper_lines(runs: pd.DataFrame, nets: Collection[tuple[str, int]]) -> pd.DataFrame:
    """Return the paper's curves of those `nets` (architecture, depth) that it shows too.

    There are none unless all `runs` are of the data set `cifar10` and as long as the paper's, within 10%: a curve of
    another length would lie beside other learning rates. A folder of images isn't known to hold CIFAR-10.
    """
    lines = _paper_curves()
    if not {"dataset", "total_iterations"} <= set(runs) or runs.empty:
        return lines.iloc[:0]
    length = pd.to_numeric(runs["total_iterations"])
    near = (length - PAPER_ITERATIONS).abs() <= NEAR * PAPER_ITERATIONS
    if not ((runs["dataset"] == PAPER_DATASET) & near).all():
        return lines.iloc[:0]
    return lines[_are_of(lines, nets)]


@cache
def _paper_curves() -> pd.DataFrame:
    with (files("study.report") / "data" / "paper-figure6.csv").open("r", encoding="utf-8") as file:
        return pd.read_csv(file).assign(source="paper", ended=True)


def _are_of(lines: pd.DataFrame, nets: Collection[tuple[str, int]]) -> list[bool]:
    return [net in nets for net in zip(lines["architecture"], lines["depth"], strict=True)]


def only(data: CurveData, nets: Collection[tuple[str, int]]) -> CurveData:
    """Return the lines of some nets (architecture, depth), with limits of their own and the same colours."""
    return data._replace(lines=data.lines[_are_of(data.lines, nets)])


def ends(data: CurveData, architecture: str = "plain") -> CurveData | None:
    """Return the lines of the shallowest and deepest nets of an architecture, None where there aren't two."""
    drawn = data.of(architecture)
    return only(data, {(architecture, drawn[0]), (architecture, drawn[-1])}) if len(drawn) > 1 else None


def split_very_deep(data: CurveData) -> tuple[CurveData, CurveData | None]:
    """Return all lines but those of very deep nets, and those, as the paper's Figure 6 has them in the right panel.

    The first very deep net of an architecture is in both, as 110 layers are in the paper. None where no architecture
    has two of them, or where there is nothing else.
    """
    apart, others = set(), {(architecture, depth) for architecture in data.panels for depth in data.of(architecture)}
    for architecture in data.panels:
        deep = [depth for depth in data.of(architecture) if depth > VERY_DEEP]
        if len(deep) > 1:
            apart |= {(architecture, depth) for depth in deep}
            others -= {(architecture, depth) for depth in deep[1:]}
    return (only(data, others), only(data, apart)) if apart and others - apart else (data, None)


def curve_drawings(
    runs: pd.DataFrame, curves: pd.DataFrame, colours: dict[int, str], style: Style = "house"
) -> Iterator[Drawing]:
    """Yield one variant's curves: of the shallowest and the deepest net, of all, and of very deep ones."""
    data = curve_data(curves, runs, colours, style) if len(curves) else None
    if data is None or data.study.empty:
        return
    two, unit = ends(data), "run" if several_splits(counted(runs)) else "seed"
    if two is not None:
        yield _drawing("degradation", f"The shallowest and the deepest {two.panels[0]} net", two, unit)
    others, deep = split_very_deep(data)
    apart = sorted(set(depths(deep.study)) - set(depths(others.study))) if deep is not None else []
    yield _drawing("curves", "Training and test error of all nets", others, unit, apart)
    if deep is not None:
        yield _drawing("very-deep", "The very deep nets", deep, unit)


def _drawing(name: str, title: str, data: CurveData, unit: str, apart: Collection[int] = ()) -> Drawing:
    """Return a figure of some lines, means over a `unit`; nets of the depths `apart` have a figure of their own."""
    two, counts = name == "degradation", set(data.ends.loc[data.ends["ended"], "seeds"])
    texts = write_texts(
        "curves",
        title=title,
        data=data,
        two=two,
        drawn=depths(data.study),
        apart=[str(depth) for depth in apart],
        seeds=seeds_words(counts, unit=unit) if counts else "No run has ended yet",
        unit=unit,
        bands=bool(counts - {1}),
        paper_top=PAPER_TOP,
    )
    draw, columns, height = (draw_two_depths, len(data.splits), 2.5) if two else (draw_all, len(data.panels), 2.9)
    frame, options = data.lines.drop(columns="ended"), {"sharey": True, "style": data.style}
    return Drawing(name, texts, partial(draw, data), frame, columns, height, panel_width(columns), options)


def _draw_panel(data: CurveData, ax: Axes | None, architecture: str, splits: tuple[str, ...]) -> Axes:
    if architecture not in data.panels:
        raise ValueError(f"no curve of a net that is '{architecture}': there are {', '.join(data.panels) or 'none'}")
    with axes_or_new(ax, style=data.style) as ax:
        draw_curves(data, ax, architecture, splits)
        ax.set_ylabel(axis(SPLITS[splits[0]] if len(splits) == 1 else "error", style=data.style))
    return ax


def draw_curves(data: CurveData, ax: Axes, architecture: str, splits: tuple[str, ...] = ("train", "test")) -> None:
    """Draw one architecture's lines, with a band from the lowest to the highest seed and the paper's own beneath."""
    scale = 10.0**data.power
    thin: dict[Any, bool] = {split: split == "train" and len(splits) > 1 for split in SPLITS}
    shown = data.lines[(data.lines["architecture"] == architecture) & data.lines["split"].isin(splits)]
    for (_, depth, split), line in shown[shown["source"] == "paper"].groupby(LINE, sort=False):
        look = PAPER_LOOKS["train" if thin[split] else "test"]
        colour = data.colours[depth]
        (drawn,) = ax.plot(line["step"] / scale, line["error"], color=pale(colour), zorder=2.2, **look)
        name_points(drawn, f"{architecture}, {depth} layers, {split}, the paper", line["step"], colour=colour)
    labels: dict[Any, tuple[float, str, str]] = {}
    study = shown[shown["source"] == "study"].sort_values(["split", "depth"], ascending=[False, True])  # test above
    for (split, depth), line in study.groupby(["split", "depth"], sort=False):
        last, colour = line.iloc[-1], data.colours[depth]
        look = LOOKS["train" if thin[split] else "test"]
        step = line["step"] / scale
        (drawn,) = ax.plot(step, line["error"], color=colour, zorder=3 if thin[split] else 4, **look)
        name_points(drawn, f"{architecture}, {depth} layers, {split}", line["step"])
        if last["seeds"] > 1:
            ax.fill_between(step, line["lowest"], line["highest"], color=colour, alpha=0.15, linewidth=0, zorder=2)
        labels[depth] = float(last["error"]), f"{depth}-layer" + ("" if last["ended"] else ", unfinished"), colour
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
    handles = [Line2D([], [], label=axis(SPLITS[split]), color="#333333", **LOOKS[split]) for split in data.splits]
    if len(data.paper):
        handles += [_paper_key(f"{axis(SPLITS[split])}, paper", split) for split in data.splits]
    columns = len(handles) if len(data.panels) > 1 else 2
    key_below(figure, handles, columns, handlelength=2.6, columnspacing=1.4)


def draw_two_depths(data: CurveData, figure: Figure, axes: NDArray[np.object_]) -> None:
    """Draw Figure 1: training error left, test error right where there is any, for the depths in `data`."""
    for ax, split in zip(axes[0], data.splits, strict=True):
        draw_curves(data, ax, data.panels[0], (split,))
        ax.set_ylabel(axis(SPLITS[split], style=data.style))
        ax.tick_params(labelleft=True)
    engine = figure.get_layout_engine()
    if isinstance(engine, ConstrainedLayoutEngine):
        engine.set(wspace=0.06)  # the labels of the left panel reach to the right one's axis
    if len(data.paper):
        key_below(figure, [_paper_key("same depth, paper", "test")], handlelength=2.6)


def _paper_key(label: str, split: str) -> Line2D:
    return Line2D([], [], label=label, color="#9a9a9a", **PAPER_LOOKS[split])
