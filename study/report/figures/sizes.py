"""Height against width of a data set's images, with the distribution of each; outlying sizes stand apart."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.colors import LinearSegmentedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from study.report.figures.drawing import Picture, write_texts
from study.report.figures.style import WIDTH, drawing, save
from study.report.metrics import axis
from study.report.text import some_of

SIDE = 3.74
"""Of the figure, in inches."""
POINTS = 1000
"""Up to so many images each is a point; more are counted in bins."""
BINS = 50
REACH = 2.0
"""Interquartile ranges beyond the quartiles from which on a height or width can be outlying."""
LEAST_REACH = 0.75
"""Of the median: sizes no farther than this from the quartiles aren't outlying, though nearly all be the same."""
TAIL = 0.005
"""Of the images: no more than these, or five, are outlying on a side. What is common isn't outlying."""
RULE = (
    f"outlying is a height or width among the {TAIL:.1%} greatest or least that lies beyond the quartiles by more than "
    "twice the interquartile range, or three quarters of the median where that is more"
)
FEW = 100
NAMED = 5
"""Images that a caption names."""
COLOUR = "#0072b2"
SHADES = LinearSegmentedColormap.from_list("count", ["#bcdcf0", COLOUR, "#001e30"])


class Sizes(NamedTuple):
    """Sizes of a data set's images in pixels."""

    drawn: pd.DataFrame
    """Height and width, a row an image."""
    outlying: pd.DataFrame
    """Path, height and width of the images that aren't drawn, the largest first."""

    @property
    def common_size(self) -> tuple[int, int] | None:
        """Height and width, if all images that would be drawn have the same: then there is nothing to draw."""
        height, width = self.drawn.iloc[0]
        return (int(height), int(width)) if (self.drawn == [height, width]).all(axis=None) else None


def split_sizes(table: pd.DataFrame) -> Sizes:
    """Return the sizes of a data set's images; see `RULE` for those that are outlying."""
    sizes = table[["path", "height", "width"]].astype({"height": np.int64, "width": np.int64})
    apart = _outlying(sizes["height"]) | _outlying(sizes["width"])
    outlying = sizes[apart].astype({"path": str})
    largest_first = np.argsort(-outlying["height"] * outlying["width"], kind="stable")
    drawn = sizes.loc[~apart, ["height", "width"]]
    return Sizes(drawn.reset_index(drop=True), outlying.iloc[largest_first].reset_index(drop=True))


def _outlying(values: "pd.Series[int]") -> NDArray[np.bool_]:
    low, middle, high = np.percentile(values, (25, 50, 75))
    reach = max(REACH * (high - low), LEAST_REACH * middle)
    tail = min(max(5, int(TAIL * len(values))), len(values) - 1)
    ordered = np.partition(values, (tail, len(values) - 1 - tail))
    least, greatest = min(low - reach, ordered[tail]), max(high + reach, ordered[-1 - tail])
    return np.asarray((values < least) | (values > greatest))


def is_binned(drawn: pd.DataFrame) -> bool:
    """Whether images are counted in bins; otherwise each is a point."""
    return len(drawn) > POINTS


def bin_edges(drawn: pd.DataFrame) -> NDArray[np.float64]:
    """Return edges of bins that hold a whole number of pixels each, the same for height and width."""
    both = drawn.to_numpy()
    low, high = int(both.min()), int(both.max())
    step = -(-(high - low + 1) // BINS)
    return np.arange(low - 0.5, high + step + 0.5, step)


@contextmanager
def joint_figure(drawn: pd.DataFrame) -> Iterator[Figure]:
    """Yield the figure, with the style in force until the block ends: points, or counts where there are many images.

    Both axes have the same scale, so that a line shows the square images.
    """
    with drawing(), _off_screen():
        edges, many = bin_edges(drawn), is_binned(drawn)
        joint: dict[str, Any] = {"alpha": 0.8 if len(drawn) <= FEW else 0.35, "s": 12, "linewidth": 0}
        if many:
            joint = {"bins": (edges, edges), "norm": LogNorm(), "vmin": None, "vmax": None, "cmap": SHADES}
        looks = {"joint_kws": {"rasterized": True, **joint}}
        looks |= {"marginal_kws": {"bins": edges, "linewidth": 0, "alpha": 0.8}}
        kind = "hist" if many else "scatter"
        grid = sns.jointplot(drawn, x="width", y="height", kind=kind, height=SIDE, ratio=6, color=COLOUR, **looks)
        _finish(grid, edges, many=many)
        yield grid.figure
        plt.close(grid.figure)


def _finish(grid: Any, edges: NDArray[np.float64], *, many: bool) -> None:
    ax, figure = grid.ax_joint, grid.figure
    margin = 0.03 * (edges[-1] - edges[0])
    limits = edges[0] - margin, edges[-1] + margin
    ax.set(xlim=limits, ylim=limits)
    for side in (ax.xaxis, ax.yaxis):
        side.set_major_locator(MaxNLocator(7, integer=True, steps=[1, 2, 5, 10]))
    grid.ax_marg_x.tick_params(bottom=False)
    grid.ax_marg_y.tick_params(left=False)
    ax.axline((limits[0], limits[0]), slope=1, color="#999999", linewidth=0.6, zorder=0.5)
    ax.set(xlabel=axis("width"), ylabel=axis("height"))
    figure.subplots_adjust(left=0.17, right=0.98, top=0.98, bottom=0.25 if many else 0.14, hspace=0.06, wspace=0.06)
    if many:
        bar = figure.colorbar(
            ax.collections[0], cax=figure.add_axes((0.33, 0.12, 0.4, 0.018)), orientation="horizontal"
        )
        bar.set_label(axis("images"))
        bar.outline.set_visible(False)


@contextmanager
def _off_screen() -> Iterator[None]:
    """Let pyplot, which seaborn's joint plot needs, draw without a window; put back what was chosen before."""
    before = mpl.get_backend(auto_select=False)
    plt.switch_backend("agg")
    try:
        yield
    finally:
        if before is not None:
            plt.switch_backend(before)


def sizes_picture(sizes: Sizes, folder: Path, name: str) -> Picture | None:
    """Draw the sizes into `folder`; None where all images have the same."""
    if sizes.common_size is not None:
        return None
    counts = sizes.drawn.groupby(["height", "width"]).size().rename("images").reset_index()
    with joint_figure(sizes.drawn) as figure:
        save(figure, folder, name, counts)
    named = [f"{path} ({height}x{width})" for path, height, width in sizes.outlying.itertuples(index=False)]
    texts = write_texts(
        "data-sizes",
        drawn=sizes.drawn,
        step=int(np.diff(bin_edges(sizes.drawn))[0]) if is_binned(sizes.drawn) else 0,
        outlying=some_of(named, NAMED, "images") if named else "",
        rule=RULE,
    )
    return Picture.of(folder, name, "", texts, SIDE / WIDTH)
