"""The part of a page that sets two studies side by side: words, a figure for each couple of variants, tables."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from study.report.figures.final_errors import compare_drawing
from study.report.metrics import ERROR_WORDS, METRICS
from study.report.page import Part
from study.report.tables.pairs import estimate_with_interval, interval_or_dash, p_or_dash, points_or_dash
from study.report.tables.paper import two_decimals
from study.report.tables.writer import BOUNDS, Column, Table, with_rows
from study.report.text import some_of, write
from study.verdict import selection as c
from study.verdict.comparison import Comparison, DepthChange, NetChange
from study.verdict.rule import ALPHA
from study.verdict.text import points

SHOWN = 6
"""Fields or nets that a sentence names, before it counts the rest."""


def compared_part(comparison: Comparison, runs: pd.DataFrame, folder: Path) -> Part:
    """Draw the figures of two studies, whose joined runs are `runs`, into `folder` and tell all but the conclusions."""
    pictures = []
    for couple in comparison.couples:
        drawing = compare_drawing(c.of_variant(runs, couple.a), c.of_variant(runs, couple.b), comparison.names)
        pictures += [drawing.save(folder, couple.shown)] if drawing is not None else []
    tables = with_rows((depths_table(comparison), nets_table(comparison, c.units(runs)), settings_table(comparison)))
    return Part("", "", warnings(comparison), sentences(comparison), pictures=tuple(pictures), tables=tables)


def conclusions(comparison: Comparison) -> tuple[str, ...]:
    """Return what the comparison comes to: which settings differ, then a sentence for each architecture and variant."""
    settings = [setting for setting in comparison.differing if setting.kind == "setting"]
    differing = [f"{setting.name.replace('_', ' ')} ({setting.a}; {setting.b})" for setting in settings]
    return _write("conclusions", comparison, differing=differing)


def sentences(comparison: Comparison) -> tuple[str, ...]:
    """Return what the page says below the conclusion."""
    lone = [net.net for net in comparison.of("final_train_error") if min(net.a.seeds, net.b.seeds) == 1]
    return _write("sentences", comparison, lone=list(dict.fromkeys(lone)))


def warnings(comparison: Comparison) -> tuple[str, ...]:
    """Return why differences between the two may come from something else than their settings."""
    return _write("warnings", comparison, fields={setting.name: setting for setting in comparison.differing})


def _write(part: str, comparison: Comparison, **values: Any) -> tuple[str, ...]:
    return write(
        "comparison",
        part=part,
        comparison=comparison,
        errors=ERROR_WORDS,
        significant=partial(_significant, comparison.smallest_effect),
        amounts=_amounts,
        some=lambda names: some_of(names, SHOWN),
        **values,
    )


def _significant(smallest: float, changes: Sequence[NetChange | DepthChange]) -> list[NetChange | DepthChange]:
    return [change for change in changes if change.p_holm < ALPHA and abs(change.change.estimate) >= smallest]


def _amounts(nets: Sequence[NetChange]) -> str:
    """List nets, the one that changes most first."""
    ordered = sorted(nets, key=lambda net: -abs(net.change.estimate))
    names = [f"{net.net} ({net.variant})" if net.variant else net.net for net in ordered]
    changes = [points(abs(net.change.estimate)) for net in ordered]
    return some_of([f"{name} by {change}" for name, change in zip(names, changes, strict=True)], SHOWN)


def nets_table(comparison: Comparison, units: str = "seeds") -> Table:
    """Return each common net's final errors in both studies, means over `units`, and their difference."""
    a, b = comparison.names
    numbers = pd.DataFrame(
        [
            {key: getattr(net, key) for key in ("variant", "net", "architecture", "depth", "metric")}
            | {f"{study}_{key}": value for study in ("a", "b") for key, value in getattr(net, study).record().items()}
            | {key: getattr(net.change, key) for key in (*BOUNDS, "p")}
            | {"p_holm": net.p_holm}
            for net in comparison.nets
        ]
    )
    columns = [
        Column("Net", "net"),
        Column("Error", "metric", lambda metric: METRICS[metric].label),
        Column(f"{a} (%)", ("a_estimate", "a_sd", "a_n"), two_decimals),
        Column(f"{b} (%)", ("b_estimate", "b_sd", "b_n"), two_decimals),
    ]
    return Table.of("compare-nets", numbers, _with_change(comparison, numbers, columns), a=a, b=b, units=units)


def depths_table(comparison: Comparison) -> Table:
    """Return what depth costs in both studies, and the difference."""
    a, b = comparison.names
    numbers = pd.DataFrame(
        [
            {key: getattr(pair, key) for key in ("variant", "architecture", "shallow_net", "deep_net")}
            | {f"{study}_{key}": getattr(getattr(pair, study), key) for study in ("a", "b") for key in BOUNDS}
            | pair.change.record()
            | {"p_holm": pair.p_holm}
            for pair in comparison.depths
        ]
    )
    columns = [
        Column("Deep minus shallow", ("deep_net", "shallow_net"), "{} minus {}".format),
        Column(f"{a} (points)", [f"a_{key}" for key in BOUNDS], estimate_with_interval),
        Column(f"{b} (points)", [f"b_{key}" for key in BOUNDS], estimate_with_interval),
    ]
    return Table.of("compare-depths", numbers, _with_change(comparison, numbers, columns))


def settings_table(comparison: Comparison) -> Table:
    """Return the fields that differ between the two studies."""
    a, b = comparison.names
    numbers = pd.DataFrame(list(comparison.differing), columns=["name", "a", "b", "kind"])
    columns = [
        Column("Field", "name", lambda name: name.replace("_", " ")),
        Column(a, "a"),
        Column(b, "b"),
        Column("Kind", "kind"),
    ]
    return Table.of("compare-settings", numbers, columns, agreeing=comparison.agreeing)


def _with_change(comparison: Comparison, numbers: pd.DataFrame, columns: list[Column]) -> list[Column]:
    """Return the columns between that of the variants, if they have names, and those of the difference."""
    a, b = comparison.names
    variants = [Column("Variant", "variant")] if len(numbers) and numbers["variant"].any() else []
    return [
        *variants,
        *columns,
        Column(f"{b} minus {a} (points)", BOUNDS, points_or_dash),
        Column("95% interval", BOUNDS, interval_or_dash),
        Column("p (Holm)", "p_holm", p_or_dash),
    ]
