"""Error by iteration, mean and range over the seeds of every net: the numbers of Figures 1 and 6 of the paper."""

from collections.abc import Collection
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from study.report.figures.frames import one_variant
from study.report.figures.paper_curves import PaperLine, paper_lines
from study.report.figures.style import Style, depth_colours
from study.verdict.selection import architectures, counted, depths

Array = NDArray[np.float64]
SPLITS = {"train": "train_error", "test": "test_error"}
PAPER_TOP = 20.0
"""Percent at which the paper's axis of errors ends."""
VERY_DEEP = 100
"""Nets deeper than this have a panel of their own, as in the paper's Figure 6, right."""


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
    paper: tuple[PaperLine, ...]
    """The paper's own curves, of nets that `lines` has too."""
    panels: tuple[str, ...]
    colours: dict[int, str]
    style: Style
    top: float
    cut: bool
    """Whether some point lies above `top`."""
    last: float
    power: int

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that have a line."""
        return tuple(split for split in SPLITS if any(line.split == split for line in self.lines))

    def frame(self) -> pd.DataFrame:
        """Return what is drawn, tidy: a row a line and step; of the paper's curves, `source` is `paper`."""
        parts = [
            pd.DataFrame({
                "source": "study", "architecture": line.architecture, "depth": line.depth, "split": line.split,
                "step": line.step.astype(int), "error": line.mean, "lowest": line.low, "highest": line.high,
                "seeds": line.seeds, "diverged": line.diverged,
            })
            for line in self.lines
        ]  # fmt: skip
        parts += [
            pd.DataFrame({
                "source": "paper", "architecture": line.architecture, "depth": line.depth, "split": line.split,
                "step": line.step.astype(int), "error": line.error,
            })
            for line in self.paper
        ]  # fmt: skip
        frame = pd.concat(parts, ignore_index=True)
        return frame.astype({"seeds": "Int64", "diverged": "Int64"})


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
    one_variant(curves)
    nets = curves.drop_duplicates(["architecture", "depth"]) if runs is None else runs
    kept = None if runs is None else counted(runs)
    lines = []
    for architecture in architectures(nets):
        for depth in depths(nets[nets["architecture"] == architecture]):
            points = curves[(curves["architecture"] == architecture) & (curves["depth"] == depth)]
            ended, diverged = True, pd.DataFrame()
            if kept is not None:
                mine = kept[(kept["architecture"] == architecture) & (kept["depth"] == depth)]
                ended, diverged = len(mine) > 0, mine[mine["outcome"] == "diverged"]
                points = points[points["run_id"].isin(mine["run_id"])] if ended else points
            for split in SPLITS:
                line = _line(points, diverged, architecture, depth, split, ended)
                if line is not None:
                    lines.append(line)
    drawn = {(line.architecture, line.depth) for line in lines}
    paper = paper_lines(kept if kept is not None else curves, drawn)
    return _limits(tuple(lines), paper, colours or depth_colours(depths(nets), style), style)


def only(data: CurveData, nets: Collection[tuple[str, int]]) -> CurveData:
    """Return the lines of some nets (architecture, depth), with limits of their own and the same colours."""
    lines = tuple(line for line in data.lines if (line.architecture, line.depth) in nets)
    paper = tuple(line for line in data.paper if (line.architecture, line.depth) in nets)
    return _limits(lines, paper, data.colours, data.style)


def ends(data: CurveData, architecture: str = "plain") -> CurveData | None:
    """Return the lines of the shallowest and deepest nets of an architecture, None where there aren't two."""
    found = sorted({line.depth for line in data.lines if line.architecture == architecture})
    return only(data, {(architecture, found[0]), (architecture, found[-1])}) if len(found) > 1 else None


def split_very_deep(data: CurveData) -> tuple[CurveData, CurveData | None]:
    """Return all lines but those of very deep nets, and those, as the paper's Figure 6 has them in the right panel.

    The first very deep net of an architecture is in both, as 110 layers are in the paper. None where no architecture
    has two of them, or where there is nothing else.
    """
    apart, others = set(), {(line.architecture, line.depth) for line in data.lines}
    for architecture in data.panels:
        deep = sorted(depth for name, depth in others if name == architecture and depth > VERY_DEEP)
        if len(deep) > 1:
            apart |= {(architecture, depth) for depth in deep}
            others -= {(architecture, depth) for depth in deep[1:]}
    return (only(data, others), only(data, apart)) if apart and others - apart else (data, None)


def _line(
    points: pd.DataFrame, diverged: pd.DataFrame, architecture: str, depth: int, split: str, ended: bool
) -> Line | None:
    table = points.pivot_table(index="step", columns="run_id", values=SPLITS[split], aggfunc="last")
    for _, run in diverged.iterrows():
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
        np.nanmax(values, axis=1), values.shape[1], len(diverged), ended,
    )  # fmt: skip


def _limits(lines: tuple[Line, ...], paper: tuple[PaperLine, ...], colours: dict[int, str], style: Style) -> CurveData:
    """Cut the axis where the second half of training lies, but below no final point of any seed."""
    last = max((float(line.step[-1]) for line in lines), default=1.0)
    late = [line.high[line.step >= last / 2] for line in lines]
    late = [values for values in late if len(values)]
    usual = float(np.percentile(np.concatenate(late), 98)) if late else 0.0
    final = max((float(line.high[-1]) for line in lines), default=0.0)
    top = min(102.0, max(1.0, 1.1 * max(usual, final)))
    if style == "paper":  # as the paper's as long as every line's end is on it
        top = PAPER_TOP if final <= PAPER_TOP else min(100.0, PAPER_TOP * np.ceil(1.02 * final / PAPER_TOP))
    cut = any(float(line.high.max()) > top for line in lines)
    power = int(np.floor(np.log10(last))) if last >= 10_000 else 0
    panels = tuple(dict.fromkeys(line.architecture for line in lines))
    return CurveData(lines, paper, panels, colours, style, float(top), cut, last, power)
