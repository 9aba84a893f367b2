"""The nets of a study and what they cost, in the form of the paper's Table 1 and beside Tables 1 and 6."""

import math
from typing import Any, NamedTuple

import pandas as pd

from study.errors import StudyError
from study.names import NetName, is_own, parse_net, stated_family
from study.report.metrics import axis
from study.report.paper import Quantity, dataset_of, load_paper, shortcut_of
from study.report.tables.writer import NOTHING, Column, Table, count, or_nothing
from study.verdict import selection as c

SCALES: dict[Quantity, tuple[float, str]] = {"parameters": (1e6, "million"), "multiply_adds": (1e9, "billion")}
SIDES = {"digits": 8, "cifar10": 32, "cifar100": 32, "fashion-mnist": 28, "dogs-vs-cats": 64}
SIDES |= dict.fromkeys(("image-folder", "parquet", "csv"), 32)
"""Side of the images of a data set in pixels, where a grid gives none."""
BLOCKS = {"basic": "3x3, 3x3", "bottleneck": "1x1, 3x3, 1x1"}
VGG_CONVOLUTIONS = {16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
STAGES = ("blocks", "channels", "sides")


def architectures_table(runs: pd.DataFrame) -> Table:
    """Return a row a net, with the paper's sizes where data set and net are its own."""
    rows: dict[tuple[str, ...], dict[str, Any]] = {}
    for _, run in c.ordered(runs[runs["parameters"].fillna(0) > 0]).iterrows():
        key = tuple(str(run.get(name, "")) for name in ("net", "family", "width", "shortcut"))
        if key not in rows:
            rows[key] = _numbers(run)
    numbers = pd.DataFrame(list(rows.values()))
    if numbers.empty:
        return Table.of("architectures", numbers, [], compared=())
    columns = [Column("Net", "net")]
    if numbers["width"].nunique() > 1:
        columns.append(Column("Width", "width", "{:g}".format))
    if len({*numbers["shortcut"]} - {"none"}) > 1:
        columns.append(Column("Shortcut", "shortcut"))
    columns += [
        Column(axis("depth"), "depth"),
        Column("Block", "block", lambda block: block or NOTHING),
        Column("Blocks a stage", "blocks", _listed),
        Column("Channels", "channels", _listed),
        Column("Side (pixels)", "sides", _listed),
    ]
    compared = [name for name in SCALES if numbers[f"paper_{name}"].notna().any()]
    for name in SCALES:
        columns.append(Column(axis(name), name, count))
        if name in compared:
            columns += _beside_paper(name)
    return Table.of("architectures", numbers, columns, compared=compared)


def _beside_paper(name: Quantity) -> list[Column]:
    """Return the columns of the paper's size and of ours against it."""
    scale, word = SCALES[name]
    return [
        Column(
            f"Paper: {axis(name).lower()}",
            f"paper_{name}",
            or_nothing(lambda paper: f"{paper / scale:g} {word}"),
        ),
        Column(f"{axis(name)} against paper", f"{name}_difference_percent", or_nothing("{:+.1f}%".format)),
    ]


def _numbers(run: "pd.Series[Any]") -> dict[str, Any]:
    stages, data = layout_of(run), dataset_of(run)
    row: dict[str, Any] = {"net": str(run["net"]), "depth": int(run["depth"])}
    row |= {"width": float(str(run.get("width", 1.0))), "shortcut": shortcut_of(run)}
    row["block"] = stages.block if stages else ""
    row |= {part: " ".join(map(str, getattr(stages, part))) if stages else "" for part in STAGES}
    row |= {name: int(run[name]) for name in SCALES}
    for name in SCALES:
        paper = load_paper().size(data, row["net"], name) if data else None
        row[f"paper_{name}"] = math.nan if paper is None else paper
        row[f"{name}_difference_percent"] = math.nan if paper is None else 100 * (row[name] - paper) / paper
    return row


def _listed(numbers: str) -> str:
    return ", ".join(numbers.split()) or NOTHING


class Layout(NamedTuple):
    """The stages of a net: how many blocks each has, of how many channels, and the side of its maps in pixels."""

    block: str
    blocks: tuple[int, ...]
    channels: tuple[int, ...]
    sides: tuple[int, ...]


def side_of(run: "pd.Series[Any]") -> int | None:
    """Return the side in pixels of what a run's net is shown, None where the data set isn't known.

    Crops of `augment: imagenet` are 224 of 256 pixels (section 3.4).
    """
    given = str(run.get("image_size", ""))
    side = int(given) if given.isdecimal() else SIDES.get(str(run["dataset"]))
    return round(side * 224 / 256) if side and run.get("augment") == "imagenet" else side


def layout_of(run: "pd.Series[Any]") -> Layout | None:
    """Return the stages of a run's net, None where they or the images aren't known."""
    side, family = side_of(run), stated_family(run.get("family"))
    if not side or is_own(family):
        return None
    try:
        net = parse_net(str(run["net"]), family)
    except StudyError:
        return None
    return layout(net, side, float(str(run.get("width", 1.0))))


def layout(net: NetName, side: int, width: float = 1.0) -> Layout:
    """Return the stages of a net on images of a side in pixels; `width` multiplies its channels."""
    if net.family == "vgg":
        sides = tuple(side // 2**stage for stage in range(5))
        return Layout("3x3", VGG_CONVOLUTIONS[net.depth], (64, 128, 256, 512, 512), sides)
    if net.family == "cifar":
        return Layout(BLOCKS["basic"], ((net.depth - 2) // 6,) * 3, _wide((16, 32, 64), width), _sides(side, 3))
    column = next(column for column in load_paper().stages if column.depth == net.depth)
    channels = _wide((64, 128, 256, 512), width)
    if column.block == "bottleneck":
        channels = tuple(4 * number for number in channels)
    return Layout(BLOCKS[column.block], column.blocks, channels, _sides(_halved(_halved(side)), 4))


def _wide(channels: tuple[int, ...], width: float) -> tuple[int, ...]:
    return tuple(max(1, round(number * width)) for number in channels)


def _sides(first: int, stages: int) -> tuple[int, ...]:
    """Return the side of each stage, half of the one before it."""
    sides = [first]
    while len(sides) < stages:
        sides.append(_halved(sides[-1]))
    return tuple(sides)


def _halved(side: int) -> int:
    """Return the side after a convolution or pool of stride 2."""
    return math.ceil(side / 2)
