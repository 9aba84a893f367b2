"""Figures on a dark page, as its style turns their colours: light for dark, hues as they are (W3C Filter Effects 1)."""

import re
from importlib.resources import files

import numpy as np
import pytest
from matplotlib.colors import rgb_to_hsv, to_rgb

from study.report.figures.probability import SHADES
from study.report.figures.style import PAPER_COLOURS, depth_colours, ordered_colours

STYLE = files("study.report").joinpath("templates/style.css.j2").read_text(encoding="utf-8")
INVERTED = float(re.search(r"filter: invert\(([.\d]+)\) hue-rotate\(180deg\)", STYLE)[1])
LIGHT, DARK = (dict(re.findall(r"--(\w+): (#\w+)", root)) for root in re.findall(r":root {([^}]*)}", STYLE)[:2])
HALF_TURN = np.full((3, 3), 2.0) * [0.213, 0.715, 0.072] - np.eye(3)


def turned(colours):
    """(..., 3) sRGB in 0..1 -> the same after the filter."""
    inverted = INVERTED + (1 - 2 * INVERTED) * np.asarray(colours)
    return np.clip(inverted @ HALF_TURN.T, 0, 1)


def luminance(colours):
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


def contrast(colours, ground):
    """Return the contrast of (..., 3) colours to a ground, as WCAG 2.2 defines it."""
    ends = luminance(np.asarray(colours)) + 0.05, luminance(np.array(to_rgb(ground))) + 0.05
    return np.maximum(*ends) / np.minimum(*ends)


def on_dark(colour):
    return float(contrast(turned(to_rgb(colour)), DARK["page"]))


def test_white_becomes_the_page_and_black_nearly_its_ink():
    """So that white in hollow marks, and of figures embedded as pixels, isn't seen."""
    white, black = (turned(np.full(3, grey)) for grey in (1.0, 0.0))
    assert np.rint(255 * white) == pytest.approx(255 * np.array(to_rgb(DARK["page"])))
    assert black == pytest.approx(to_rgb(DARK["ink"]), abs=0.03)


@pytest.mark.parametrize("least", [3.0, 4.5])
def test_what_is_legible_on_white_is_on_the_dark_page(least):
    """Whatever the colour: lines and marks from 3:1 on, letters from 4.5:1 on."""
    steps = np.linspace(0, 1, 52)
    colours = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(-1, 3)
    legible = colours[contrast(colours, "white") >= least]
    assert 0.3 < len(legible) / len(colours) < 0.8
    assert contrast(turned(legible), DARK["page"]).min() >= least


def test_numbers_in_cells_are_legible_on_either_page():
    """Whatever the probability, whose shade they lie on."""
    for red, green, blue, _ in SHADES(np.linspace(0, 1, 101)):
        cell = red, green, blue
        assert contrast((0, 0, 0), cell) >= 4.5
        assert contrast(turned((0, 0, 0)), tuple(turned(cell))) >= 4.5


@pytest.mark.parametrize("count", [2, 3, 5, 9, 12])
def test_deeper_and_later_stand_out_more_on_either_page(count):
    deeper = list(depth_colours(range(count)).values())
    later = list(ordered_colours(range(count), 0.82, 0.05).values())
    for colours in (deeper, later):
        assert (np.diff([contrast(to_rgb(colour), "white") for colour in colours]) > 0).all()
        assert (np.diff([on_dark(colour) for colour in colours]) > 0).all()


@pytest.mark.parametrize("colour", ["#0072b2", "#009e73", "#d55e00", *list(PAPER_COLOURS.values())[:4]])
def test_hues_stay(colour):
    """Captions call a line orange; residual nets are blue on either page."""
    hues = [rgb_to_hsv(channels)[0] for channels in (to_rgb(colour), turned(to_rgb(colour)))]
    assert hues[0] == pytest.approx(hues[1], abs=0.01)


@pytest.mark.parametrize("scheme", [LIGHT, DARK])
@pytest.mark.parametrize("words", ["ink", "soft", "link"])
def test_words_are_legible(scheme, words):
    """On the page and its boxes."""
    for ground in ("page", "card", "note"):
        assert contrast(to_rgb(scheme[words]), scheme[ground]) >= 4.5
