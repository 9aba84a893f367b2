"""The one way in which chapters make their figures."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from study.report.figures.drawing import Picture, slug
from study.report.figures.style import WIDTH, draw_and_save
from study.report.why.chapter import Evidence


def make_picture(
    evidence: Evidence, folder: Path, name: str, texts: tuple[str, str, str], draw: Callable[..., None],
    data: pd.DataFrame, **size: Any,
) -> Picture:  # fmt: skip
    """Draw a figure into `folder` as `why-<name>`, with the variant in its name.

    Args:
        evidence: whose variant it is of.
        folder: where figures go.
        name: of the figure.
        texts: title, caption and alternative text.
        draw: fills the figure.
        data: the numbers that it shows.
        size: `columns`, `rows`, `height` and `width` in inches, and options of the axes.
    """
    variant = str(evidence.runs["variant"].iloc[0])
    whole = f"why-{name}-{slug(variant)}" if variant else f"why-{name}"
    width = size.pop("width", WIDTH)
    draw_and_save(folder, whole, draw, size.pop("columns", 1), data, width=width, **size)
    return Picture.of(folder, whole, variant, texts, min(1.0, width / WIDTH))
