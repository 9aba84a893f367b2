import numpy as np
import pandas as pd
import pytest

from study.report.figures.ranks import draw_ranks, rank_data, ranks_drawing
from study.report.figures.style import new_figure


def rows_of(depths=(20, 56), seeds=3, kinds=("plain", "residual")):
    return pd.DataFrame(
        [
            {
                "architecture": kind,
                "depth": depth,
                "stage": stage,
                "channels": 16 * stage,
                "seed": seed,
                "percent": 90.0 - depth / 10 * (kind == "plain") - stage + seed,
            }
            for kind in kinds
            for depth in depths
            for stage in (1, 2, 3)
            for seed in range(seeds)
        ]
    )


def test_means_over_seeds_by_stage_and_depth():
    frame = rank_data(rows_of())
    assert len(frame) == 36
    first = frame[(frame["stage"] == 1) & (frame["architecture"] == "plain") & (frame["depth"] == 56)].iloc[0]
    assert (first["channels"], first["seeds"]) == (16, 3)
    assert first["mean"] == pytest.approx(90 - 5.6 - 1 + 1)
    assert frame["share"].min() == pytest.approx(90 - 5.6 - 3)
    assert "(3 seeds)" in ranks_drawing(rows_of()).texts[1]


@pytest.mark.parametrize(
    ("depths", "seeds", "kinds"),
    [((20, 56), 3, ("plain", "residual")), ((56,), 1, ("plain",)), (tuple(range(8, 116, 6)), 1, ("residual",))],
)
def test_a_panel_a_stage(depths, seeds, kinds):
    frame = rank_data(rows_of(depths, seeds, kinds))
    with new_figure(3, sharey=True) as (figure, axes):
        draw_ranks(frame, figure, axes)
        figure.draw_without_rendering()
        assert [ax.get_title() for ax in axes[0]] == [f"stage {n} ({16 * n} channels)" for n in (1, 2, 3)]
        low, high = axes[0][0].get_ylim()
        assert low < frame["share"].min()
        assert high > 100
        hollow = [line for line in axes[0][0].get_lines() if line.get_markersize() == 3.0]
        assert sum(len(line.get_xdata()) for line in hollow) == (len(depths) * len(kinds) * seeds if seeds > 1 else 0)
        assert np.isfinite(axes[0][0].get_xlim()).all()
