"""Images beside what augmentation makes of them: a sheet to check it by eye."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from study.report.figures.data import show_image
from study.report.figures.style import as_text, new_figure

PITCH = 0.85
"""Inches from one picture to the next."""


def draw_augmented(
    clean: NDArray[np.uint8], augmented: NDArray[np.uint8], names: Sequence[str], augment: str, path: Path
) -> None:
    """Write a sheet: a row an image, first as evaluation shows it, then as training may.

    Args:
        clean: (N, H, W, C), C 1 or 3.
        augmented: (N, V, H, W, C).
        names: the class of each image.
        augment: name of the augmentation.
        path: the picture; its suffix says the format.
    """
    rows, columns = augmented.shape[:2]
    height, width = PITCH * rows + 0.35, PITCH * (columns + 1) + 0.5
    with new_figure(columns=columns + 1, rows=rows, height=height, width=width) as (figure, axes):
        for row in range(rows):
            for column, picture in enumerate([clean[row], *augmented[row]]):
                axes[row][column].axis("off")
                show_image(axes[row][column], picture)
            place = {"transform": axes[row][0].transAxes, "rotation": 90, "ha": "right", "va": "center"}
            axes[row][0].text(-0.06, 0.5, as_text(names[row], 14), **place)
        axes[0][0].set_title("evaluation")
        title = axes[0][1].set_title(f"training, augment: {augment}", loc="left")
        title.set_in_layout(False)  # it may be wider than its picture
        figure.savefig(path, dpi=200)
