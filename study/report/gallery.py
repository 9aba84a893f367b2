"""Figures of a study's runs: drawn, saved in every format with their data, and described."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pandas as pd

from study.report import captions
from study.report.figures import curve_panels, final_errors, probabilities, speed
from study.report.figures.drawing import Drawing, Picture, slug
from study.report.figures.error_curves import curve_data, ends, split_very_deep
from study.report.figures.style import COLUMN, WIDTH, Style


def draw_figures(
    runs: pd.DataFrame, curves: pd.DataFrame, colours: dict[int, str], folder: Path, style: Style = "house"
) -> list[Picture]:
    """Draw the figures of one variant into `folder`; one that has no data is left out.

    `colours` are by depth; `style` is that of the curves.
    """
    variant = str(runs["variant"].iloc[0])
    suffix = f"-{slug(variant)}" if variant else ""
    drawings = (*_of_runs(runs), *_of_curves(runs, curves, colours, style))
    pictures = [drawing.save(folder, variant) for drawing in drawings]
    order = ("depth", "degradation", "curves", "very-deep", "probability", "speed")
    return sorted(pictures, key=lambda picture: order.index(picture.name.removesuffix(suffix)))


def _of_runs(runs: pd.DataFrame) -> Iterator[Drawing]:
    depth = final_errors.depth_data(runs)
    if depth.series:
        texts = ("Final error against depth", captions.depth_caption(depth), captions.depth_alt(depth))
        columns, draw = len(depth.metrics), partial(final_errors.draw_both, depth)
        yield Drawing("depth", texts, draw, depth.frame(), columns, 2.8, _wide(columns), {})
    pairs = probabilities.probability_data(runs)
    if pairs is not None:
        title = "How likely the deeper of two nets is worse"
        texts = (title, captions.probability_caption(pairs), captions.probability_alt(pairs))
        width, height = probabilities.shape(pairs)
        draw = partial(probabilities.draw_matrices, pairs)
        yield Drawing("probability", texts, draw, pairs.frame(), len(pairs.pairs), height, width, {"sharey": True})
    costs = speed.speed_data(runs)
    if costs.series:
        texts = ("What depth costs", captions.speed_caption(costs), captions.speed_alt(costs))
        columns, draw = len(costs.metrics), partial(speed.draw_both, costs)
        yield Drawing("speed", texts, draw, costs.frame(), columns, 2.4, _wide(columns), {})


def _of_curves(runs: pd.DataFrame, curves: pd.DataFrame, colours: dict[int, str], style: Style) -> Iterator[Drawing]:
    lines = curve_data(curves, runs, colours, style) if len(curves) else None
    if lines is None or not lines.lines:
        return
    shared = {"sharey": True, "style": style}
    two = ends(lines)
    if two is not None:
        texts = (f"The shallowest and the deepest {two.panels[0]} net",
                 captions.two_depths_caption(two), captions.curves_alt(two))  # fmt: skip
        columns, draw = len(two.splits), partial(curve_panels.draw_two_depths, two)
        yield Drawing("degradation", texts, draw, two.frame(), columns, 2.5, _wide(columns), shared)
    others, deep = split_very_deep(lines)
    apart = {line.depth for line in deep.lines} - {line.depth for line in others.lines} if deep is not None else set()
    parts = [("curves", "Training and test error of all nets", others, tuple(sorted(apart)))]
    parts += [("very-deep", "The very deep nets", deep, ())] if deep is not None else []
    for name, title, part, elsewhere in parts:
        texts = (title, captions.curves_caption(part, elsewhere), captions.curves_alt(part))
        columns, draw = len(part.panels), partial(curve_panels.draw_all, part)
        yield Drawing(name, texts, draw, part.frame(), columns, 2.9, _wide(columns), shared)


def _wide(columns: int) -> float:
    """Return the width of a figure with so many panels in inches: a single one takes a column and its labels."""
    return WIDTH if columns > 1 else 1.2 * COLUMN
