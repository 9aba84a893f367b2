"""How many dimensions the features of each stage fill: their effective rank as a share of the channels."""

from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from study.report.figures.against_depth import Look, draw_against_depth, seeds_by_depth
from study.report.figures.drawing import Drawing, write_texts
from study.report.figures.style import handles_of, key_below, panel_width
from study.report.metrics import axis
from study.report.text import span

COLUMNS = ["architecture", "stage", "channels", "depth", "share", "mean", "low", "high", "seeds"]
LOOK = Look(linewidth=1.2, aside=0.03, dashed=True, single=False)


def rank_data(rows: pd.DataFrame) -> pd.DataFrame:
    """Return a row a seed, net and stage, with the mean and interval of its net.

    Args:
        rows: of the table `ranks` at the end of training, with `percent`, the effective rank in percent of the
            channels, all finite.
    """
    stages = [
        seeds_by_depth(part, "percent").assign(stage=stage, channels=part["channels"].max())
        for stage, part in rows.groupby("stage")
    ]
    frame = pd.concat(stages, ignore_index=True).sort_values(["architecture", "stage"], kind="stable")
    return frame.rename(columns={"value": "share"})[COLUMNS].reset_index(drop=True)


def draw_ranks(frame: pd.DataFrame, figure: Figure, axes: Any) -> None:
    """Draw the share against depth, a panel a stage: every seed hollow, the mean full with its 95% interval."""
    depths, kinds = sorted(set(frame["depth"])), list(frame["architecture"].unique())
    for ax, (stage, seeds) in zip(axes[0], frame.groupby("stage"), strict=True):
        draw_against_depth(ax, seeds, depths, value="share", kinds=kinds, look=LOOK)
        ax.set_ylim(min(10 * np.floor((frame["share"].min() - 4) / 10), 90), 102)
        ax.set_title(f"stage {stage} ({' or '.join(map(str, sorted(set(seeds['channels']))))} channels)")
    axes[0][0].set_ylabel(axis("rank_share"))
    key_below(figure, handles_of(axes[0][0]))


def ranks_drawing(rows: pd.DataFrame) -> Drawing:
    """Return the figure of some rows (`rank_data`)."""
    frame = rank_data(rows)
    texts = write_texts("why-ranks", frame=frame, seeds=span(frame["seeds"]))
    panels = frame["stage"].nunique()
    draw = partial(draw_ranks, frame)
    return Drawing("why-ranks", texts, draw, frame, panels, 2.8, panel_width(panels), options={"sharey": True})
