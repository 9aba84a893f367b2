"""What a data set holds: images by class and split, samples, their mean, and what augmentation makes of them."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, StrMethodFormatter
from numpy.typing import NDArray

from study.report.figures.drawing import Drawing, write_texts
from study.report.figures.style import COLUMN, SIZE, WIDTH, as_text, axes_or_new, handles_of, key_below, new_figure
from study.report.metrics import axis
from study.report.text import some_of

Pixels = NDArray[np.uint8]

MOST_BARS = 40
"""Classes that are shown by name; of more, the distribution of their sizes is."""
SPLIT_COLOURS = {"train": "#1f4e79", "validation": "#63b3b0", "test": "#ecc46c"}
"""From dark to light, so that they differ in grey print."""
OTHER_COLOUR = "#8c8c8c"
MOST_COLUMNS = 10
PITCH = 1.06
"""From one sample to the next, in widths of one."""
NAME_ROOM = 0.2
INCHES = 0.85
"""From one picture of a sheet of augmented images to the next."""
BARS = 3.74
"""Width of a figure of counts with a bar a class, in inches."""
MEAN = 1.6
"""Side of the mean image, in inches."""
NAMED = 5
"""Classes that a caption names."""
SHARP = 64
"""Images up to this side are drawn with square pixels, larger ones smoothed."""


def count_images(table: pd.DataFrame, classes: Sequence[str], splits: Sequence[str]) -> pd.DataFrame:
    """Return the images of each class in each split: a row a class, in the order of the labels, a column a split.

    A split without images is left out.
    """
    counts = table.groupby(["class", "split"], observed=True).size().unstack(fill_value=0)
    there = [split for split in splits if split in counts]
    return counts.reindex(index=list(classes), columns=there, fill_value=0).astype(int)


def count_words(counts: pd.DataFrame) -> str:
    """Write the images of a class in each split: ``train 125 to 131, test 36``."""
    ranges = {split: (int(images.min()), int(images.max())) for split, images in counts.items()}
    words = (f"{split} {low:,}" + (f" to {high:,}" if high > low else "") for split, (low, high) in ranges.items())
    return ", ".join(words)


def _uneven(counts: pd.DataFrame) -> list[str]:
    """Return the splits in which classes differ in size."""
    return [str(split) for split in counts if counts[split].nunique() > 1]


def class_counts(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw the images of each class in each split, a bar each.

    Args:
        table: a row an image, with `class` and `split`, such as the `table` of `study.track.datasets.load_datasets`.
        ax: where to draw; by default new axes.

    Example:
        >>> figures.class_counts(load_datasets("digits")[0].table)
    """
    names = [str(name) for name in table["class"].drop_duplicates()]
    splits = [*SPLIT_COLOURS, *sorted({str(split) for split in table["split"]} - {*SPLIT_COLOURS})]
    counts = count_images(table, names, splits)
    with axes_or_new(ax, _bars_height(counts)) as ax:
        _draw_bars(table, counts, ax)
        ax.legend()
    return ax


def samples(images: Pixels, labels: Sequence[int], classes: Sequence[str], ax: Axes | None = None) -> Axes:
    """Draw images, uint8 (K, H, W, C), each below the name of its class.

    Example:
        >>> record = load_datasets("digits")[0]
        >>> figures.samples(record.samples, record.sample_labels, record.statistics["classes"])
    """
    with axes_or_new(ax, sheet_height(images, len(classes), COLUMN)) as ax:
        _draw_sheet(images, labels, classes, ax)
    return ax


def _bars_height(counts: pd.DataFrame) -> float:
    return 0.95 + len(counts) * (0.07 + 0.11 * counts.shape[1])


def draw_counts(table: pd.DataFrame, counts: pd.DataFrame, figure: Figure, axes: NDArray[np.object_]) -> None:
    """Draw a bar a class and split."""
    _draw_bars(table, counts, axes[0][0])
    key_below(figure, handles_of(axes[0][0]))


def draw_distributions(counts: pd.DataFrame, figure: Figure, axes: NDArray[np.object_]) -> None:
    """Draw how many classes have how many images, in splits where they differ."""
    for ax, split in zip(axes[0], _uneven(counts), strict=True):
        sns.histplot(x=counts[split], color=_colour(split), linewidth=0, ax=ax)
        ax.set_title(split)
        ax.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        ax.set(xlabel=axis("images_per_class"), ylabel=axis("classes"))


def _draw_bars(table: pd.DataFrame, counts: pd.DataFrame, ax: Axes) -> None:
    # By position, not by name: seaborn would take names that are numbers, or that look alike, for something else.
    places = {name: place for place, name in enumerate(counts.index)}
    splits = [str(split) for split in counts]
    frame = pd.DataFrame({"class": table["class"].map(places), "split": table["split"]})
    colours = {split: _colour(split) for split in splits}
    bars: dict[str, Any] = {"orient": "y", "saturation": 1, "palette": colours, "legend": False}
    sns.countplot(frame, y="class", hue="split", order=range(len(places)), hue_order=splits, ax=ax, **bars)
    for container, split in zip(ax.containers, splits, strict=True):
        container.set_label(split)
        ax.bar_label(cast("BarContainer", container), fmt="{:,.0f}", fontsize=SIZE - 2, padding=1.5)
    ax.set_yticks(range(len(places)), [as_text(str(name)) for name in places])
    ax.grid(visible=False, axis="y")
    ax.grid(visible=True, axis="x")
    ax.tick_params(axis="y", length=0)
    ax.xaxis.set_major_locator(MaxNLocator(5, integer=True, steps=[1, 2, 5, 10]))
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    ax.set(xlabel=axis("images"), ylabel=axis("class"))


def _colour(split: str) -> str:
    return SPLIT_COLOURS.get(split, OTHER_COLOUR)


def sheet_shape(count: int, classes: int) -> tuple[int, int]:
    """Return rows and columns of a sheet of samples: a column a class where classes take turns and are few."""
    columns = MOST_COLUMNS // classes * classes if classes <= MOST_COLUMNS else MOST_COLUMNS
    columns = min(columns, count)
    return -(-count // columns), columns


def _draw_sheet(samples: Pixels, labels: Sequence[int], classes: Sequence[str], ax: Axes) -> None:
    """Draw samples, each below the name of its class, in one pair of axes: 40 of them would take seconds."""
    ax.axis("off")
    rows, columns = sheet_shape(len(samples), len(classes))
    tall = samples.shape[1] / samples.shape[2]
    for place, (image, label) in enumerate(zip(samples, labels, strict=True)):
        left, top = place % columns * PITCH, place // columns * (tall + NAME_ROOM)
        show_image(ax, image, (left, left + 1, top + NAME_ROOM + tall, top + NAME_ROOM))
        ax.text(left + 0.5, top + NAME_ROOM * 0.8, as_text(classes[label], 10), ha="center", fontsize=SIZE - 2.5)
    ax.set(xlim=(0, columns * PITCH), ylim=(rows * (tall + NAME_ROOM), 0))


def sheet_height(samples: Pixels, classes: int, width: float) -> float:
    """Return the height, in inches, of a sheet of samples that is `width` wide."""
    rows, columns = sheet_shape(len(samples), classes)
    tall = float(samples.shape[1] / samples.shape[2])
    return rows * (tall + NAME_ROOM) * width / (columns * PITCH)


def draw_mean(mean: Pixels, figure: Figure, axes: NDArray[np.object_]) -> None:
    """Draw a mean image (H, W, C)."""
    axes[0][0].axis("off")
    height, width, _ = mean.shape
    show_image(axes[0][0], mean, (0, width, height, 0))


def show_image(ax: Axes, image: Pixels, extent: tuple[float, float, float, float] | None = None) -> None:
    """Show (H, W, C) at left, right, bottom, top: three channels as red, green and blue, else the first in grey."""
    smooth = "antialiased" if max(image.shape[:2]) > SHARP else "nearest"
    shown = image if image.shape[2] == 3 else image[:, :, 0]
    ax.imshow(shown, cmap="gray", vmin=0, vmax=255, interpolation=smooth, extent=extent)


def draw_augmented(
    clean: NDArray[np.uint8], augmented: NDArray[np.uint8], names: Sequence[str], augment: str, path: Path
) -> None:
    """Write a sheet: a row an image, first as evaluation shows it, then as training may.

    Args:
        clean: (N, H, W, C), C 1 or 3.
        augmented: (N, V, H, W, C).
        names: the class of each image.
        augment: name of the augmentation.
        path: the picture; its suffix says the format.
    """
    rows, columns = augmented.shape[:2]
    height, width = INCHES * rows + 0.35, INCHES * (columns + 1) + 0.5
    with new_figure(columns=columns + 1, rows=rows, height=height, width=width) as (figure, axes):
        for row in range(rows):
            for column, picture in enumerate([clean[row], *augmented[row]]):
                axes[row][column].axis("off")
                show_image(axes[row][column], picture)
            place = {"transform": axes[row][0].transAxes, "rotation": 90, "ha": "right", "va": "center"}
            axes[row][0].text(-0.06, 0.5, as_text(names[row], 14), **place)
        axes[0][0].set_title("evaluation")
        title = axes[0][1].set_title(f"training, augment: {augment}", loc="left")
        title.set_in_layout(False)  # it may be wider than its picture
        figure.savefig(path, dpi=200)


def counts_drawing(table: pd.DataFrame, counts: pd.DataFrame, suffix: str) -> Drawing | None:
    """Return the images by class and split; None where a sentence tells it: many classes of equal size."""
    name, many, uneven = f"data-classes{suffix}", len(counts) > MOST_BARS, _uneven(counts)
    if many and not uneven:
        return None
    total = counts.sum(axis=1).sort_values(kind="stable")
    texts = write_texts("data-classes", words=count_words(counts), many=many, total=total, named=NAMED)
    frame = counts.rename_axis("class").reset_index().melt("class", var_name="split", value_name="images")
    if many:
        draw, width = partial(draw_distributions, counts), BARS if len(uneven) == 1 else WIDTH
        return Drawing(name, texts, draw, frame, len(uneven), 2.2, width)
    draw = partial(draw_counts, table, counts)
    return Drawing(name, texts, draw, frame, height=_bars_height(counts), width=BARS)


def samples_drawing(images: Pixels, labels: Sequence[int], classes: Sequence[str], suffix: str) -> Drawing:
    """Return a sheet of samples (K, H, W, C)."""
    shown = pd.DataFrame({"label": labels, "class": [classes[label] for label in labels]})
    names = some_of([str(name) for name in shown["class"].drop_duplicates()], NAMED, "classes")
    texts = write_texts("data-samples", images=len(images), size=size_words(*images.shape[1:3]), names=names)

    def draw(figure: Figure, axes: NDArray[np.object_]) -> None:
        _draw_sheet(images, labels, classes, axes[0][0])

    height = sheet_height(images, len(classes), WIDTH)
    return Drawing(f"data-samples{suffix}", texts, draw, shown, height=height, photographs=True)


def mean_drawing(mean: Pixels, images: int, suffix: str) -> Drawing:
    """Return the mean (H, W, C) of so many images."""
    places = pd.MultiIndex.from_product([range(n) for n in mean.shape], names=["row", "column", "channel"])
    pixels = pd.Series(mean.ravel(), places, name="mean").reset_index()
    texts = write_texts("data-mean", images=images, means=list(mean.mean((0, 1))))
    size: dict[str, Any] = {"height": MEAN, "width": MEAN, "photographs": True}
    return Drawing(f"data-mean{suffix}", texts, partial(draw_mean, mean), pixels, **size)


def size_words(height: int, width: int) -> str:
    """Write a size: ``32x48 pixels (height x width)``; a square one has no need of the order."""
    return f"{height}x{width} pixels" + ("" if height == width else " (height x width)")
