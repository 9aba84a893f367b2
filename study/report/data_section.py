"""What a report says of a data set: facts, tables and figures."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from study.report.figures.dataset import (
    count_images,
    count_words,
    counts_drawing,
    mean_drawing,
    samples_drawing,
    size_words,
)
from study.report.figures.drawing import Picture
from study.report.figures.sizes import RULE, Sizes, sizes_picture, split_sizes
from study.report.figures.style import FORMATS
from study.report.metrics import axis
from study.report.page import Part
from study.report.tables.writer import Column, Table, with_rows

if TYPE_CHECKING:  # reading MLflow needs MLflow, making a report doesn't
    from study.track.datasets import DatasetRecord

SHOWN = 20
"""Rows of a long table that the page shows; its CSV has all."""
NAMED_CLASSES = 40
STATISTICS = {"mean": "Mean", "variance": "Variance", "std": "Standard deviation"}


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
    def sizes(self) -> Sizes:
        """Sizes of all images."""
        return split_sizes(self.table)

    @property
    def counts(self) -> pd.DataFrame:
        """Images by class, a column a split."""
        return count_images(self.table, self.classes, list(self.statistics["splits"]))


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


def draw_data_figures(parts: DataParts, folder: Path, suffix: str = "") -> tuple[Picture, ...]:
    """Draw the figures of a data set into `folder`; one that would show nothing is left out."""
    counts = counts_drawing(parts.table, parts.counts, suffix)
    samples = samples_drawing(parts.samples, parts.sample_labels.tolist(), parts.classes, suffix)
    mean = mean_drawing(parts.mean_image, parts.statistics["images"], suffix)
    pictures = (
        counts.save(folder) if counts is not None else None,
        sizes_picture(parts.sizes, folder, f"data-sizes{suffix}"),
        samples.save(folder),
        mean.save(folder),
    )
    return tuple(picture for picture in pictures if picture is not None)


def data_part(record: "DatasetRecord", folder: Path, *, alone: bool = True) -> Part:
    """Draw a data set's figures into `folder` and return its part of the page; if not `alone`, under its name."""
    suffix = "" if alone else f"-{record.fingerprint[:8]}"
    parts = DataParts(record.table, record.statistics, record.samples, record.sample_labels, record.mean_image)
    tables = with_rows((classes_table(parts), channels_table(parts), outlying_table(parts.sizes), skipped_table(parts)))
    return Part(
        "" if alone else f"{record.name} ({record.fingerprint[:8]})",
        facts=facts(record, parts),
        pictures=draw_data_figures(parts, folder, suffix),
        tables=tuple(table._replace(name=table.name + suffix) for table in tables),
    )


def facts(record: "DatasetRecord", parts: DataParts) -> tuple[tuple[str, str], ...]:
    """Return the facts about a data set, a line each."""
    known, names = parts.statistics, parts.classes
    splits = ", ".join(f"{count:,} {split}" for split, count in known["splits"].items())
    listed = ", ".join(names[:NAMED_CLASSES])
    more = f" and {len(names) - NAMED_CLASSES:,} more" if len(names) > NAMED_CLASSES else ""
    return (
        ("data set", record.name),
        ("fingerprint", record.fingerprint),
        ("images", f"{known['images']:,} ({splits})"),
        ("classes", f"{len(names):,} ({listed}{more})"),
        ("in a class", count_words(parts.counts)),
        ("size", _sizes(parts)),
        ("files skipped", f"{len(known['skipped']):,}" if known["skipped"] else "none"),
        *(("note", _line(note)) for note in known.get("notes", [])),
    )


def _sizes(parts: DataParts) -> str:
    size = parts.sizes.common_size
    if size is None:
        ranges = (
            f"{side} {known['least']:,} to {known['greatest']:,} pixels (median {known['median']:,.0f})"
            for side in ("height", "width")
            for known in (parts.statistics[side],)
        )
        return ", ".join(ranges)
    others = len(parts.sizes.outlying)
    return f"all images are {size_words(*size)}" + (f", but for {others:,} ({RULE})" if others else "")


def classes_table(parts: DataParts) -> Table:
    """Return the images of each class by split; of many classes those with the most and the fewest are shown."""
    numbers = parts.counts.assign(all=parts.counts.sum(axis=1)).rename_axis("class").reset_index()
    caption, shown = "Images by class and split", numbers
    if len(numbers) > NAMED_CLASSES:
        ordered = numbers.sort_values("all", ascending=False, kind="stable")
        shown = pd.concat([ordered.head(SHOWN // 2), ordered.tail(SHOWN // 2)])
        caption += f": the {SHOWN // 2} classes with the most and the {SHOWN // 2} with the fewest; the CSV has all"
    counts = [Column(split[:1].upper() + split[1:], split, "{:,}".format) for split in numbers.columns[1:]]
    table = Table.of("data-classes", f"{caption}.", shown, [Column("Class", "class", _line), *counts])
    return table._replace(numbers=numbers)


def channels_table(parts: DataParts) -> Table:
    """Return mean, variance and standard deviation of each channel: of all images, and of those trained on."""
    known = parts.statistics
    numbers = pd.concat(
        [
            pd.DataFrame({"images": images, "channel": known["channels"], **{key: source[key] for key in STATISTICS}})
            for images, source in (("all", known), ("training", known["training"]))
        ],
        ignore_index=True,
    )
    columns = [Column("Images", "images"), Column("Channel", "channel", _line)]
    columns += [Column(title, key, "{:.4f}".format) for key, title in STATISTICS.items()]
    caption = f"Statistics of the channels, {known['definition']}."
    if list(known["channels"]) == ["red", "green", "blue"]:
        caption += " Channels are in the order red, green, blue; OpenCV's order is the reverse."
    return Table.of("data-channels", caption, numbers, columns)


def outlying_table(sizes: Sizes) -> Table:
    """Return the images of outlying size, the largest first."""
    columns = [Column(axis(side), side, "{:,}".format) for side in ("height", "width")]
    return _first_rows(
        "data-outlying", "Images of outlying size", sizes.outlying, [Column("Image", "path", _line), *columns]
    )


def skipped_table(parts: DataParts) -> Table:
    """Return the files that were left out, with the reasons."""
    numbers = pd.DataFrame(list(parts.statistics["skipped"]), columns=["name", "reason"])
    columns = [Column("File", "name", _line), Column("Reason", "reason", _line)]
    return _first_rows("data-skipped", "Files skipped", numbers, columns)


def _first_rows(name: str, caption: str, numbers: pd.DataFrame, columns: list[Column]) -> Table:
    """Return a table of which the page shows the first rows."""
    part = f", the first {SHOWN} of {len(numbers):,}" if len(numbers) > SHOWN else ""
    return Table.of(name, f"{caption}{part}.", numbers.head(SHOWN), columns)._replace(numbers=numbers)


def _line(text: Any) -> str:
    """Return a text from outside on one line."""
    return "".join(letter if letter.isprintable() else " " for letter in str(text))
