import pandas as pd
import pytest

from study.report.figures.responses import response_lines, responses_drawing
from study.report.figures.style import new_figure
from study.report.moments import END


def rows(**nets):
    """Return rows of nets such as plain_8, each a list of its seeds' responses by layer."""
    return pd.DataFrame(
        [
            {
                "run_id": f"{net}{seed}",
                "architecture": net.split("_")[0],
                "depth": int(net.split("_")[1]),
                "moment": END,
                "layer": layer,
                "std": std,
            }
            for net, seeds in nets.items()
            for seed, given in enumerate(seeds)
            for layer, std in enumerate(given)
        ]
    )


def test_every_seed_is_sorted_on_its_own():
    lines = response_lines(rows(plain_8=[[1.0, 3.0, 2.0], [5.0, 1.0, 3.0]]))
    ordered, ranked = (lines[lines["order"] == order] for order in ("layer", "layer_rank"))
    assert ordered["place"].tolist() == [1, 2, 3]
    assert ordered["value"].tolist() == [3.0, 2.0, 2.5]
    assert ranked["value"].tolist() == [4.0, 2.5, 1.0]


@pytest.mark.parametrize(("strongest", "scale"), [(3.0, "linear"), (40.0, "log")])
def test_drawing_holds_every_layer(strongest, scale):
    nets = rows(plain_8=[[1.0, strongest]], residual_8=[[1.0, 2.0]], residual_14=[[1.0, 1.0]])
    drawing = responses_drawing(nets)
    with new_figure(drawing.columns, **drawing.options) as (figure, axes):
        drawing.draw(figure, axes)
        figure.draw_without_rendering()
        assert axes[0][0].get_yscale() == scale
        assert axes[0][0].get_ylim()[1] > strongest
        assert [text.get_text() for text in figure.legends[0].get_texts()] == ["8 layers", "14 layers"]
