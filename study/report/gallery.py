"""Figures of a study's runs: drawn, saved in every format, and described."""

import base64
import re
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from study.report import captions
from study.report.figures import curves as curve_figures
from study.report.figures import depth as depth_figure
from study.report.figures.style import FORMATS, draw_and_save


class Picture(NamedTuple):
    """A saved figure and what the page says of it."""

    name: str
    variant: str
    title: str
    caption: str
    alt: str
    image: str
    """The SVG as a data: address, so that ids of one figure never meet those of another."""
    files: tuple[str, ...]
    share: float = 1.0
    """Of the page's width that it takes up."""

    @classmethod
    def of(cls, folder: Path, name: str, variant: str, texts: tuple[str, str, str], share: float = 1.0) -> "Picture":
        """Take in a figure that was saved in `folder` as `name`; `texts` are its title, caption and alternative."""
        uri = base64.b64encode((folder / f"{name}.svg").read_bytes()).decode()
        files = tuple(f"figures/{name}.{kind}" for kind in FORMATS)
        return cls(name, variant, *texts, f"data:image/svg+xml;base64,{uri}", files, share)


def draw_figures(runs: pd.DataFrame, curves: pd.DataFrame, colours: dict[int, str], folder: Path) -> list[Picture]:
    """Draw the figures of one variant into `folder`; one that has no data is left out. `colours` are by depth."""
    variant = str(runs["variant"].iloc[0])
    suffix = f"-{slug(variant)}" if variant else ""
    pictures = []

    def keep(name: str, title: str, caption: str, alt: str) -> None:
        pictures.append(Picture.of(folder, f"{name}{suffix}", variant, (title, caption, alt)))

    depth = depth_figure.depth_data(runs)
    if depth.series:
        draw_and_save(folder, f"depth{suffix}", partial(depth_figure.draw_both, depth), 2, height=2.6)
        keep("depth", "Final error against depth", captions.depth_caption(depth), captions.depth_alt(depth))
    lines = curve_figures.curve_data(curves, runs, colours) if len(curves) else None
    if lines is not None and lines.lines:
        ends = _ends(lines)
        if ends is not None:
            draw = partial(curve_figures.draw_two_depths, ends)
            draw_and_save(folder, f"degradation{suffix}", draw, 2, height=2.3, sharey=True)
            keep("degradation", f"The shallowest and the deepest {ends.panels[0]} net",
                 captions.two_depths_caption(ends), captions.curves_alt(ends))  # fmt: skip
        draw = partial(curve_figures.draw_all, lines)
        draw_and_save(folder, f"curves{suffix}", draw, len(lines.panels), height=2.7, sharey=True)
        keep("curves", "Training and test error of all nets", captions.curves_caption(lines),
             captions.curves_alt(lines))  # fmt: skip
    return pictures


def _ends(data: curve_figures.CurveData) -> curve_figures.CurveData | None:
    """Return the lines of the shallowest and deepest plain nets, None where there aren't two."""
    depths = sorted({line.depth for line in data.lines if line.architecture == "plain"})
    return curve_figures.only(data, "plain", (depths[0], depths[-1])) if len(depths) > 1 else None


def slug(text: str) -> str:
    """Return a text as a part of a file name: ``batch_size=64, width=2`` -> ``batch_size-64-width-2``."""
    return re.sub(r"[^A-Za-z0-9_.]+", "-", text).strip("-.")
