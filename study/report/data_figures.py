"""The figures of a data set: drawn, saved in every format, and described."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from study.report.figures import data as data_figures
from study.report.figures import sizes as size_figure
from study.report.figures.drawing import Picture
from study.report.figures.style import FORMATS, WIDTH, draw_and_save, save
from study.verdict.text import listed

NAMED = 5
"""Images or classes that a caption names."""
BARS = 3.74
"""Width of a figure of counts with a bar a class, in inches."""
MEAN = 1.6
"""Side of the mean image, in inches."""


class DataParts(NamedTuple):
    """A data set as it is drawn. Legend: K samples, C channels, H height, W width."""

    table: pd.DataFrame
    """A row an image: class, height, width (of the original, in pixels), path, split."""
    statistics: Mapping[str, Any]
    """With images, and the classes and splits by name, in their order."""
    samples: NDArray[np.uint8]
    """(K, H, W, C)."""
    sample_labels: NDArray[np.int64]
    """(K,): positions among the classes."""
    mean_image: NDArray[np.uint8]
    """(H, W, C)."""

    @property
    def classes(self) -> list[str]:
        """Names of the classes: the label is the position."""
        return [str(name) for name in self.statistics["classes"]]

    @property
    def sizes(self) -> size_figure.SizeData:
        """Sizes of all images."""
        return size_figure.size_data(self.table)

    @property
    def counts(self) -> data_figures.CountData:
        """Images by class and split."""
        return data_figures.count_data(self.table, self.classes, list(self.statistics["splits"]))


def write_data_figures(
    table: pd.DataFrame,
    statistics: Mapping[str, Any],
    samples: NDArray[np.uint8],
    sample_labels: NDArray[np.int64],
    mean_image: NDArray[np.uint8],
    folder: Path,
) -> list[Path]:
    """Draw a data set into `folder`, each figure as PNG, SVG and PDF with its data; see `DataParts` for the rest.

    Returns:
        The files, those with each figure's data among them: images by class and split, samples, the mean image, and
        sizes unless all images have the same.
    """
    pictures = draw_data_figures(DataParts(table, statistics, samples, sample_labels, mean_image), folder)
    return [folder / f"{picture.name}.{kind}" for picture in pictures for kind in (*FORMATS, "csv")]


def draw_data_figures(parts: DataParts, folder: Path, suffix: str = "") -> list[Picture]:
    """Draw the figures of a data set into `folder`; one that would show nothing is left out."""
    drawn = (_draw_counts, _draw_sizes, _draw_samples, _draw_mean)
    return [picture for draw in drawn if (picture := draw(parts, folder, suffix)) is not None]


def _draw_counts(parts: DataParts, folder: Path, suffix: str) -> Picture | None:
    counts, name = parts.counts, f"data-classes{suffix}"
    if not counts.drawn:
        return None
    columns, height = data_figures.count_shape(counts)
    width = BARS if columns == 1 else WIDTH
    draw = partial(data_figures.draw_counts, parts.table, counts)
    draw_and_save(folder, name, draw, columns, counts.frame(), height=height, width=width)
    alt = f"Chart of images by class and split. Images a class: {count_words(counts)}."
    return Picture.of(folder, name, "", ("Classes and splits", counts_caption(counts), alt), width / WIDTH)


def _draw_sizes(parts: DataParts, folder: Path, suffix: str) -> Picture | None:
    sizes, name = parts.sizes, f"data-sizes{suffix}"
    if sizes.one is not None:
        return None
    with size_figure.joint_figure(sizes) as figure:
        save(figure, folder, name, sizes.frame())
    height, width = (f"{int(side.min()):,} to {int(side.max()):,}" for side in (sizes.height, sizes.width))
    alt = (
        f"Chart of height against width of {len(sizes.height):,} images, with the distribution of each: "
        f"height {height} pixels, median {np.median(sizes.height):,.0f}; "
        f"width {width} pixels, median {np.median(sizes.width):,.0f}."
    )
    texts = ("Height and width of the images", sizes_caption(sizes), alt)
    return Picture.of(folder, name, "", texts, size_figure.SIDE / WIDTH)


def _draw_samples(parts: DataParts, folder: Path, suffix: str) -> Picture:
    name, samples = f"data-samples{suffix}", parts.samples
    draw = partial(data_figures.draw_samples, samples, parts.sample_labels.tolist(), parts.classes)
    height = data_figures.sheet_height(samples, len(parts.classes), WIDTH)
    labels = parts.sample_labels.tolist()
    shown = pd.DataFrame({"label": labels, "class": [parts.classes[label] for label in labels]})
    draw_and_save(folder, name, draw, data=shown, height=height, width=WIDTH)
    caption = (
        f"{len(samples)} training images, chosen by a fixed seed, the classes taking turns, as nets get them: "
        f"{size(*samples.shape[1:3])}."
    )
    names = [str(name) for name in shown["class"].drop_duplicates()]
    alt = f"{len(samples)} sample images of {_some(names, 'classes')}, each below the name of its class."
    return Picture.of(folder, name, "", ("Samples", caption, alt))


def _draw_mean(parts: DataParts, folder: Path, suffix: str) -> Picture:
    name = f"data-mean{suffix}"
    draw = partial(data_figures.draw_mean, parts.mean_image)
    places = pd.MultiIndex.from_product([range(n) for n in parts.mean_image.shape], names=["row", "column", "channel"])
    pixels = pd.Series(parts.mean_image.ravel(), places, name="mean").reset_index()
    draw_and_save(folder, name, draw, data=pixels, height=MEAN, width=MEAN)
    caption = f"Mean of each pixel over all {parts.statistics['images']:,} images, as nets get them."
    mean = ", ".join(f"{value:.0f}" for value in parts.mean_image.mean((0, 1)))
    alt = f"The mean of all images; the means of its channels are {mean} on a scale of 0 to 255."
    return Picture.of(folder, name, "", ("Mean image", caption, alt), MEAN / WIDTH)


def counts_caption(counts: data_figures.CountData) -> str:
    """Return the caption of the figure of counts."""
    if counts.by_name:
        return f"Images a class: {count_words(counts)}."
    total = counts.counts.sum(axis=1).sort_values(kind="stable")
    ends = [
        ", ".join(f"{name} ({images:,})" for name, images in part.items())
        for part in (total.iloc[:NAMED], total.iloc[: -NAMED - 1 : -1])
    ]
    return (
        f"How many of the {len(total):,} classes have how many images, in splits where they differ. Images a class: "
        f"{count_words(counts)}. The fewest in all have {ends[0]}; the most {ends[1]}."
    )


def count_words(counts: data_figures.CountData) -> str:
    """Tell the images of a class in each split: ``train 125 to 131, test 36``."""
    words = []
    for split in counts.splits:
        low, high = int(counts.counts[split].min()), int(counts.counts[split].max())
        words.append(f"{split} {low:,}" + (f" to {high:,}" if high > low else ""))
    return ", ".join(words)


def sizes_caption(sizes: size_figure.SizeData) -> str:
    """Return the caption of the figure of sizes."""
    text = (
        f"Height against width of {len(sizes.height):,} images as they are stored, before they are resized, with the "
        "distribution of each; the line marks square images"
    )
    if size_figure.counted(sizes):
        step = int(np.diff(size_figure.bin_edges(sizes))[0])
        text += f"; a bin has {step}x{step} pixels, and its colour tells the images in it"
    if not sizes.outlying:
        return f"{text}."
    named = [f"{one.path} ({one.height}x{one.width})" for one in sizes.outlying]
    return f"{text}. Not drawn, as of outlying size: {_some(named, 'images')} (height x width; {size_figure.RULE})."


def size(height: int, width: int) -> str:
    """Write a size: ``32x48 pixels (height x width)``; a square one has no need of the order."""
    return f"{height}x{width} pixels" + ("" if height == width else " (height x width)")


def _some(names: list[str], what: str) -> str:
    """List names, of many the first few: ``a, b and 7 more images``."""
    more = len(names) - NAMED
    return listed(names) if more <= 0 else f"{', '.join(names[:NAMED])} and {more:,} more {what}"
