import subprocess
import sys
from itertools import combinations

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import font_manager
from matplotlib.colors import to_rgb

from study.report.figures.style import (
    ARCHITECTURE_COLOURS,
    PAPER_COLOURS,
    STYLES,
    depth_colours,
    families,
    legible,
    new_figure,
    ordered_colours,
    pale,
    save,
)

# Full protanopia and deuteranopia on linear RGB: Machado, Oliveira and Fernandes 2009, IEEE TVCG 15(6), table 1.
VISION = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
}
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def linear(colour):
    channels = np.array(to_rgb(colour))
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def lab(rgb):
    x, y, z = XYZ @ np.clip(rgb, 0, 1) / np.array([0.9505, 1, 1.089])
    x, y, z = (np.cbrt(v) if v > 0.008856 else 7.787 * v + 16 / 116 for v in (x, y, z))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def least_distance(colours, vision):
    """Return the least distance in CIELAB between two of the colours, as a kind of vision sees them."""
    seen = [lab(VISION[vision] @ linear(colour)) for colour in colours]
    return min(np.linalg.norm(a - b) for a, b in combinations(seen, 2))


def contrast(colour):
    return 1.05 / (0.05 + float(linear(colour) @ (0.2126, 0.7152, 0.0722)))


@given(st.sets(st.integers(2, 2000), min_size=2, max_size=9))
def test_deeper_is_darker(depths):
    colours = depth_colours(depths)
    lightness = [np.dot(to_rgb(colours[depth]), (0.2126, 0.7152, 0.0722)) for depth in sorted(depths)]
    assert (np.diff(lightness) < -0.005).all()


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize(("count", "least"), [(2, 70), (3, 35), (4, 30), (5, 20), (6, 10), (8, 10), (12, 5)])
def test_depths_differ_for_every_colour_vision(vision, count, least):
    # Two is about what an eye can tell apart side by side (Mahy et al. 1994), and ten what lines need.
    assert least_distance(depth_colours(range(count)).values(), vision) > least


@pytest.mark.parametrize("vision", VISION)
def test_architectures_differ_for_every_colour_vision(vision):
    assert least_distance(ARCHITECTURE_COLOURS.values(), vision) > 20


def test_the_measure_can_fail():
    assert least_distance(["#d62728", "#2ca02c"], "normal") > 100
    assert least_distance(["#a04800", "#607000"], "deuteranopia") < 20


def test_one_depth_has_a_colour():
    assert set(depth_colours([20])) == {20}


def test_the_papers_colours_are_by_depth():
    assert depth_colours([56, 20], "paper") == {20: PAPER_COLOURS[20], 56: PAPER_COLOURS[56]}
    many = depth_colours([8, 14, 20, 26, 32, 38, 44, 50, 56, 62, 68, 110, 1202], "paper")
    assert len(set(many.values())) == 13


@given(st.integers(0, 0xFFFFFF))
def test_text_is_legible_and_pale_lines_are_pale(number):
    colour = f"#{number:06x}"
    assert contrast(legible(colour)) >= 2.95
    assert contrast(pale(colour)) < 3.3
    assert legible("#333333") == "#333333"


def test_values_have_colours_from_dark_to_light():
    colours = ordered_colours((0.1, 0.0), 0.05, 0.88)
    assert list(colours) == [0.0, 0.1]
    assert contrast(colours[0.0]) > contrast(colours[0.1])
    assert len(set(ordered_colours(range(6), 0.82, 0.05).values())) == 6


def test_formats_and_data_lie_side_by_side(tmp_path):
    data = pd.DataFrame({"name": ['漢, "字"'], "value": [0.1 + 0.2]})
    with new_figure() as (figure, axes):
        axes[0][0].plot([1, 2])
        save(figure, tmp_path, "one", data)
    assert {path.name for path in tmp_path.iterdir()} == {"one.png", "one.svg", "one.pdf", "one.csv"}
    assert (tmp_path / "one.csv").read_text(encoding="utf-8").splitlines()[1].endswith(",0.30000000000000004")
    assert list(pd.read_csv(tmp_path / "one.csv")["name"]) == list(data["name"])
    assert b"/FontFile2" in (tmp_path / "one.pdf").read_bytes()
    assert "<text" in (tmp_path / "one.svg").read_text()


def test_saving_lays_out_once_and_as_drawing_would(tmp_path):
    with new_figure(2, sharey=True) as (figure, axes):
        axes[0][0].set_ylabel("y")
        figure.legend(handles=axes[0][0].plot([0, 1]), labels=["a"], loc="outside lower center")
        figure.draw_without_rendering()
        expected = axes[0][0].get_position().bounds
        save(figure, tmp_path, "one")
        assert axes[0][0].get_position().bounds == pytest.approx(expected)
        assert figure.get_layout_engine() is None


@pytest.mark.parametrize("style", STYLES)
def test_the_style_ends_with_the_figure(style):
    before = dict(mpl.rcParams)
    with new_figure(style=style):
        assert mpl.rcParams["pdf.fonttype"] == 42
        assert mpl.rcParams["axes.spines.top"] == (style == "paper")
    assert dict(mpl.rcParams) == before


def test_other_scripts_are_looked_up_in_fonts_that_are_installed():
    found = families()
    assert found[0] == "DejaVu Sans"
    assert set(found[1:-1]) <= set(font_manager.fontManager.get_font_names())


def test_figures_need_neither_torch_nor_mlflow():
    code = """
import sys
from study.report import figures
assert all(callable(getattr(figures, name)) for name in figures.__all__)
assert not {"torch", "mlflow"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
