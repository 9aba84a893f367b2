import re
from io import BytesIO

import pytest
from matplotlib.lines import Line2D

from study.report.figures.labels import label_ends
from study.report.figures.points import name_points, take_names
from study.report.figures.series import mark_series, places_of
from study.report.figures.style import key_below, new_figure

RED, BLUE, PINK = "#d55e00", "#0072b2", "#ffc0cb"


def marked(draw):
    """Return the places of a figure's entries, and its SVG."""
    svg = BytesIO()
    with new_figure(width=6.0) as (figure, axes):
        draw(figure, axes[0][0])
        take_names(figure)
        entries = mark_series(figure)
        figure.savefig(svg, format="svg")
        return places_of(figure, entries), svg.getvalue().decode()


def key(*labels):
    return [Line2D([], [], color=colour, label=label) for colour, label in labels]


def series(svg):
    """Return how many parts of an SVG each series has."""
    ids = re.findall(r'id="(series\d+\.\d+)"', svg)
    assert len(ids) == len(set(ids))
    names = [name.split(".")[0] for name in ids]
    return {name: names.count(name) for name in sorted(set(names))}


def test_lines_bands_and_intervals_go_with_the_entry_of_their_colour():
    def draw(figure, ax):
        for colour in (RED, BLUE):
            ax.plot([0, 1], [0, 1], color=colour)
        ax.fill_between([0, 1], [0, 1], [1, 2], color=RED, alpha=0.2)
        ax.errorbar([0], [1], [1], color=BLUE, linewidth=0, elinewidth=1, capsize=2)
        ax.axhline(1, color="#8a8a8a")
        key_below(figure, key((RED, "8 layers"), (BLUE, "20 layers"), ("#123456", "nothing drawn")))

    places, svg = marked(draw)
    assert [(place["series"], place["name"]) for place in places] == [(0, "8 layers"), (1, "20 layers")]
    band, interval_and_caps, text_and_mark = 1, 1 + 3, 2
    assert series(svg) == {"series0": 1 + band + text_and_mark, "series1": 1 + interval_and_caps + text_and_mark}
    (left, top, width, height), (second, *_) = (place["box"] for place in places)
    assert 0 < left < left + width < second < 1
    assert 0.8 < top < top + height <= 1


def test_labels_at_the_ends_are_of_their_lines_whatever_the_shade():
    def draw(_, ax):
        for colour in (RED, BLUE):
            ax.plot([0, 1], [0, 1], color=colour)
        (pale,) = ax.plot([0, 1], [1, 2], color=PINK)
        name_points(pale, "the paper's", colour=RED)
        label_ends(ax, [(1, "8-layer", RED), (2, "20-layer", BLUE)])

    places, svg = marked(draw)
    assert [place["name"] for place in places] == ["8-layer", "20-layer"]
    assert series(svg) == {"series0": 4, "series1": 3}


@pytest.mark.parametrize("labels", [[], [(RED, "8 layers")], [(RED, "8 layers"), (RED, "20 layers")]])
def test_a_figure_of_one_colour_has_nothing_to_highlight(labels):
    def draw(figure, ax):
        ax.plot([0, 1], [0, 1], color=RED)
        if labels:
            key_below(figure, key(*labels))

    places, svg = marked(draw)
    assert (places, series(svg)) == ([], {})
