"""Figures that take no time to save, for tests of what stands beside them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure

from study.report.figures.style import FORMATS
from study.spreadsheet import write_frame

SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="4" height="3"/>'


def sketch(
    figure: Figure, folder: Path, name: str, data: pd.DataFrame | None = None, kinds: Sequence[str] | None = None
) -> None:
    """Draw a figure without its layout, so that its texts are read, and save a blank one beside its numbers."""
    folder.mkdir(parents=True, exist_ok=True)
    figure.set_layout_engine(None)
    figure.draw_without_rendering()
    for kind in kinds or FORMATS:
        (folder / f"{name}.{kind}").write_bytes(SVG)
    if data is not None:
        write_frame(data, folder / f"{name}.csv")


@contextmanager
def sketches() -> Iterator[None]:
    """Save sketches within the block."""
    with pytest.MonkeyPatch.context() as patch:
        for module in ("drawing", "sizes"):
            patch.setattr(f"study.report.figures.{module}.save", sketch)
        yield
