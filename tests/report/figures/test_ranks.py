import numpy as np
import pandas as pd
import pytest

from study.report.figures.ranks import draw_ranks, rank_data
from study.report.figures.style import new_figure


def rows_of(depths=(20, 56), seeds=3, kinds=("plain", "residual")):
    return pd.DataFrame([
        {"architecture": kind, "depth": depth, "stage": stage, "channels": 16 * stage, "seed": seed,
         "percent": 90.0 - depth / 10 * (kind == "plain") - stage + seed}
        for kind in kinds for depth in depths for stage in (1, 2, 3) for seed in range(seeds)
    ])  # fmt: skip


def test_means_over_seeds_by_stage_and_depth():
    data = rank_data(rows_of())
    assert data.stages == (1, 2, 3)
    assert len(data.series) == 6
    first = data.series[0]
    assert (first.architecture, first.stage, first.channels, first.depths) == ("plain", 1, 16, (20, 56))
    assert first.means[1].estimate == pytest.approx(90 - 5.6 - 1 + 1)
    assert data.lowest == pytest.approx(90 - 5.6 - 3)
    assert len(data.frame()) == 36
    assert rank_data(rows_of()[:0]) is None


@pytest.mark.parametrize(
    ("depths", "seeds", "kinds"),
    [((20, 56), 3, ("plain", "residual")), ((56,), 1, ("plain",)), (tuple(range(8, 116, 6)), 1, ("residual",))],
)
def test_a_panel_a_stage(depths, seeds, kinds):
    data = rank_data(rows_of(depths, seeds, kinds))
    with new_figure(3, sharey=True) as (figure, axes):
        draw_ranks(data, figure, axes)
        figure.draw_without_rendering()
        assert [ax.get_title() for ax in axes[0]] == [f"stage {n} ({16 * n} channels)" for n in (1, 2, 3)]
        low, high = axes[0][0].get_ylim()
        assert low < data.lowest
        assert high > 100
        hollow = [line for line in axes[0][0].get_lines() if line.get_markersize() == 3.0]
        assert sum(len(line.get_xdata()) for line in hollow) == (len(depths) * len(kinds) * seeds if seeds > 1 else 0)
        assert np.isfinite(axes[0][0].get_xlim()).all()
