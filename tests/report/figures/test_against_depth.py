import numpy as np
import pandas as pd
import pytest

from study.report.figures.against_depth import Look, draw_against_depth, seeds_by_depth
from study.report.figures.style import new_figure


def runs_of(kinds=("residual", "plain"), depths=(56, 20), seeds=3):
    return pd.DataFrame(
        [
            {"architecture": kind, "depth": depth, "error": float(depth + seed + (kind == "plain"))}
            for kind in kinds
            for depth in depths
            for seed in range(seeds)
        ]
    )


def test_a_row_a_seed_with_its_net_s_mean():
    runs = runs_of()
    runs.loc[0, "error"] = np.nan
    frame = seeds_by_depth(runs, "error")
    nets = frame.drop_duplicates(["architecture", "depth"])
    assert nets[["architecture", "depth", "mean", "seeds"]].to_numpy().tolist() == [
        ["plain", 20, 22.0, 3],
        ["plain", 56, 58.0, 3],
        ["residual", 20, 21.0, 3],
        ["residual", 56, 57.5, 2],
    ]
    assert len(frame) == 11
    assert seeds_by_depth(runs[:0], "error").empty


@pytest.mark.parametrize(("seeds", "single", "hollow"), [(3, True, 6), (1, True, 2), (1, False, 0)])
def test_seeds_stand_outside_of_their_mean(seeds, single, hollow):
    frame = seeds_by_depth(runs_of(seeds=seeds), "error")
    with new_figure() as (figure, axes):
        ax = axes[0][0]
        draw_against_depth(ax, frame, [20, 56], look=Look(single=single))
        figure.draw_without_rendering()
        lines = {line.get_label(): line for line in ax.get_lines()}
        plain, residual = lines["plain nets"].get_xdata(), lines["residual nets"].get_xdata()
        assert plain[0] < 20 < residual[0]
        left, right = (line for line in ax.get_lines() if line.get_markersize() == 3.0)
        assert len(left.get_xdata()) == len(right.get_xdata()) == hollow
        assert all(left.get_xdata()[: hollow // 2] < plain[0])
        assert all(right.get_xdata()[: hollow // 2] > residual[0])


def test_a_kind_keeps_its_side_where_the_other_is_missing():
    frame = seeds_by_depth(runs_of(kinds=("residual",)), "error").drop(columns=["low", "high"])
    with new_figure() as (_, axes):
        draw_against_depth(axes[0][0], frame, [20, 56], kinds=("plain", "residual"))
        assert axes[0][0].get_lines()[0].get_xdata()[0] > 20
