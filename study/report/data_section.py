"""The part of a report on a data set: facts, tables and figures."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from study.report.data_figures import DataParts, count_words, draw_data_figures, size
from study.report.figures.drawing import Picture
from study.report.figures.sizes import RULE, Size, SizeData
from study.report.metrics import axis
from study.report.tables.results import Table

if TYPE_CHECKING:  # reading MLflow needs MLflow, making a report doesn't
    from study.track.datasets import DatasetRecord

SHOWN = 20
"""Rows of a long table that the page shows; its CSV has all."""
NAMED_CLASSES = 40
STATISTICS = {"mean": "Mean", "variance": "Variance", "std": "Standard deviation"}


class DataSection(NamedTuple):
    """What a report says of one data set."""

    name: str
    facts: tuple[tuple[str, str], ...]
    tables: tuple[Table, ...]
    pictures: tuple[Picture, ...]


def data_section(record: "DatasetRecord", folder: Path, suffix: str = "") -> DataSection:
    """Draw a data set's figures into `folder` and tell the rest; `suffix` tells its files from another data set's."""
    parts = DataParts(record.table, record.statistics, record.samples, record.sample_labels, record.mean_image)
    pictures = draw_data_figures(parts, folder, suffix)
    made = (classes_table(parts), channels_table(parts), outlying_table(parts.sizes), skipped_table(parts))
    tables = tuple(table._replace(name=table.name + suffix) for table in made if len(table.shown))
    name = f"{record.name} ({record.fingerprint[:8]})" if suffix else record.name
    return DataSection(name, facts(record, parts), tables, tuple(pictures))


def facts(record: "DatasetRecord", parts: DataParts) -> tuple[tuple[str, str], ...]:
    """Return what is told of a data set in a line each."""
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
    one = parts.sizes.one
    if one is None:
        ranges = (
            f"{side} {known['least']:,} to {known['greatest']:,} pixels (median {known['median']:,.0f})"
            for side in ("height", "width")
            for known in (parts.statistics[side],)
        )
        return ", ".join(ranges)
    others = len(parts.sizes.outlying)
    return f"all images are {size(*one)}" + (f", but for {others:,} ({RULE})" if others else "")


def classes_table(parts: DataParts) -> Table:
    """Return the images of each class by split; of many classes those with the most and the fewest are shown."""
    data = parts.counts
    numbers = data.counts.rename_axis("class").reset_index().assign(all=data.counts.sum(axis=1).to_numpy())
    caption, shown = "Images by class and split", numbers
    if len(numbers) > NAMED_CLASSES:
        ordered = numbers.sort_values("all", ascending=False, kind="stable")
        shown = pd.concat([ordered.head(SHOWN // 2), ordered.tail(SHOWN // 2)])
        caption += f": the {SHOWN // 2} classes with the most and the {SHOWN // 2} with the fewest; the CSV has all"
    columns = {"Class": [_line(name) for name in shown["class"]]}
    columns |= {_title(split): [f"{count:,}" for count in shown[split]] for split in [*data.splits, "all"]}
    return Table("data-classes", f"{caption}.", numbers, pd.DataFrame(columns))


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
    shown = {"Images": list(numbers["images"]), "Channel": [_line(name) for name in numbers["channel"]]}
    shown |= {title: [f"{value:.4f}" for value in numbers[key]] for key, title in STATISTICS.items()}
    caption = f"Statistics of the channels, {known['definition']}."
    if list(known["channels"]) == ["red", "green", "blue"]:
        caption += " Channels are in the order red, green, blue; OpenCV's order is the reverse."
    return Table("data-channels", caption, numbers, pd.DataFrame(shown))


def outlying_table(sizes: SizeData) -> Table:
    """Return the images of outlying size, the largest first."""
    numbers = pd.DataFrame(sizes.outlying, columns=Size._fields)
    first = numbers.head(SHOWN)
    columns = {"Image": [_line(path) for path in first["path"]]}
    columns |= {axis(side): [f"{value:,}" for value in first[side]] for side in ("height", "width")}
    return Table("data-outlying", f"Images of outlying size{_part(numbers)}.", numbers, pd.DataFrame(columns))


def skipped_table(parts: DataParts) -> Table:
    """Return the files that were left out, with the reasons."""
    numbers = pd.DataFrame(list(parts.statistics["skipped"]), columns=["name", "reason"])
    first = numbers.head(SHOWN)
    columns = {"File": [_line(name) for name in first["name"]], "Reason": [_line(why) for why in first["reason"]]}
    return Table("data-skipped", f"Files skipped{_part(numbers)}.", numbers, pd.DataFrame(columns))


def _part(numbers: pd.DataFrame) -> str:
    """Say that a table is longer than what is shown of it."""
    return f", the first {SHOWN} of {len(numbers):,}" if len(numbers) > SHOWN else ""


def _line(text: Any) -> str:
    """Return a text from outside on one line."""
    return "".join(letter if letter.isprintable() else " " for letter in str(text))


def _title(split: str) -> str:
    return split[:1].upper() + split[1:]
