"""What a report says of a data set: facts, tables and figures."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

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


def write_data_figures(record: "DatasetRecord", folder: Path) -> list[Path]:
    """Draw a data set into `folder`, each figure as PNG, SVG and PDF with its data.

    Returns:
        The files, those with each figure's data among them: images by class and split, samples, the mean image, and
        sizes unless all images have the same.
    """
    return [folder / f"{picture.name}.{kind}" for picture in draw_data(record, folder) for kind in (*FORMATS, "csv")]


def draw_data(record: "DatasetRecord", folder: Path, suffix: str = "") -> tuple[Picture, ...]:
    """Draw the figures of a data set into `folder`; one that would show nothing is left out."""
    counts = counts_drawing(record.table, class_sizes(record), suffix)
    pictures = (
        counts.save(folder) if counts is not None else None,
        sizes_picture(split_sizes(record.table), folder, f"data-sizes{suffix}"),
        samples_drawing(record.samples, record.sample_labels.tolist(), class_names(record), suffix).save(folder),
        mean_drawing(record.mean_image, record.statistics["images"], suffix).save(folder),
    )
    return tuple(picture for picture in pictures if picture is not None)


def data_part(record: "DatasetRecord", folder: Path, *, alone: bool = True) -> Part:
    """Draw a data set's figures into `folder` and return its part of the page; if not `alone`, under its name."""
    suffix = "" if alone else f"-{record.fingerprint[:8]}"
    sizes = split_sizes(record.table)
    tables = with_rows((classes_table(record), channels_table(record), outlying_table(sizes), skipped_table(record)))
    return Part(
        "" if alone else f"{record.name} ({record.fingerprint[:8]})",
        facts=facts(record, sizes),
        pictures=draw_data(record, folder, suffix),
        tables=tuple(table._replace(name=table.name + suffix) for table in tables),
    )


def class_names(record: "DatasetRecord") -> list[str]:
    """Return the names of the classes: the label is the position."""
    return [str(name) for name in record.statistics["classes"]]


def class_sizes(record: "DatasetRecord") -> pd.DataFrame:
    """Return the images by class, a column a split."""
    return count_images(record.table, class_names(record), list(record.statistics["splits"]))


def facts(record: "DatasetRecord", sizes: Sizes) -> tuple[tuple[str, str], ...]:
    """Return the facts about a data set, a line each."""
    known, names = record.statistics, class_names(record)
    splits = ", ".join(f"{count:,} {split}" for split, count in known["splits"].items())
    listed = ", ".join(names[:NAMED_CLASSES])
    more = f" and {len(names) - NAMED_CLASSES:,} more" if len(names) > NAMED_CLASSES else ""
    return (
        ("data set", record.name),
        ("fingerprint", record.fingerprint),
        ("images", f"{known['images']:,} ({splits})"),
        ("classes", f"{len(names):,} ({listed}{more})"),
        ("in a class", count_words(class_sizes(record))),
        ("size", _sizes(known, sizes)),
        ("files skipped", f"{len(known['skipped']):,}" if known["skipped"] else "none"),
        *(("note", _line(note)) for note in known.get("notes", [])),
    )


def _sizes(known: Mapping[str, Any], sizes: Sizes) -> str:
    if sizes.common_size is None:
        form = "{} {least:,} to {greatest:,} pixels (median {median:,.0f})".format
        return ", ".join(form(side, **known[side]) for side in ("height", "width"))
    others = len(sizes.outlying)
    return f"all images are {size_words(*sizes.common_size)}" + (f", but for {others:,} ({RULE})" if others else "")


def classes_table(record: "DatasetRecord") -> Table:
    """Return the images of each class by split; of many classes those with the most and the fewest are shown."""
    counts = class_sizes(record)
    numbers = counts.assign(all=counts.sum(axis=1)).rename_axis("class").reset_index()
    shown, many = numbers, len(numbers) > NAMED_CLASSES
    if many:
        ordered = numbers.sort_values("all", ascending=False, kind="stable")
        shown = pd.concat([ordered.head(SHOWN // 2), ordered.tail(SHOWN // 2)])
    columns = [Column(split[:1].upper() + split[1:], split, "{:,}".format) for split in numbers.columns[1:]]
    columns = [Column("Class", "class", _line), *columns]
    table = Table.of("data-classes", shown, columns, shown=SHOWN // 2 if many else 0)
    return table._replace(numbers=numbers)


def channels_table(record: "DatasetRecord") -> Table:
    """Return mean, variance and standard deviation of each channel: of all images, and of those trained on."""
    known = record.statistics
    numbers = pd.concat(
        [
            pd.DataFrame({"images": images, "channel": known["channels"], **{key: source[key] for key in STATISTICS}})
            for images, source in (("all", known), ("training", known["training"]))
        ],
        ignore_index=True,
    )
    columns = [Column("Images", "images"), Column("Channel", "channel", _line)]
    columns += [Column(title, key, "{:.4f}".format) for key, title in STATISTICS.items()]
    return Table.of("data-channels", numbers, columns, known=known)


def outlying_table(sizes: Sizes) -> Table:
    """Return the images of outlying size, the largest first."""
    columns = [Column(axis(side), side, "{:,}".format) for side in ("height", "width")]
    return _first_rows("data-outlying", sizes.outlying, [Column("Image", "path", _line), *columns])


def skipped_table(record: "DatasetRecord") -> Table:
    """Return the files that were left out, with the reasons."""
    numbers = pd.DataFrame(list(record.statistics["skipped"]), columns=["name", "reason"])
    columns = [Column("File", "name", _line), Column("Reason", "reason", _line)]
    return _first_rows("data-skipped", numbers, columns)


def _first_rows(name: str, numbers: pd.DataFrame, columns: list[Column]) -> Table:
    """Return a table of which the page shows the first rows."""
    table = Table.of(name, numbers.head(SHOWN), columns, shown=SHOWN, rows=len(numbers))
    return table._replace(numbers=numbers)


def _line(text: Any) -> str:
    """Return a text from outside on one line."""
    return "".join(letter if letter.isprintable() else " " for letter in str(text))
