"""What has the colour of an entry of a figure's key: lines with their bands, intervals and seeds.

A click on the entry makes the rest fade on the page.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from matplotlib.artist import Artist
from matplotlib.collections import Collection
from matplotlib.colors import to_hex, to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.transforms import Bbox

PREFIX = "series"
DIGITS = 4


class Entry(NamedTuple):
    """An entry of a key, or a label at a line's end."""

    series: int
    """What it is of: `PREFIX`, this and a dot begin the ids of its parts in an SVG."""
    name: str
    parts: tuple[Artist, ...]
    """Its text and its mark."""


def mark_series(figure: Figure) -> list[Entry]:
    """Give all that has the colour of an entry an id in the SVG; return the entries, none where they are of one colour.

    A text or line of another shade than what it belongs to has that colour as its gid.
    """
    drawn = [artist for ax in figure.axes for artist in (*ax.lines, *ax.collections, *ax.patches)]
    known = [(artist, _colour(artist)) for artist in drawn]
    there = {colour for _, colour in known}
    entries = [(colour, text, parts) for colour, text, parts in _entries(figure) if colour in there]
    ranks = {colour: rank for rank, colour in enumerate(dict.fromkeys(colour for colour, *_ in entries))}
    known += [(part, colour) for colour, _, parts in entries for part in parts]
    for number, (artist, colour) in enumerate(known):
        several = len(ranks) > 1 and colour in ranks
        artist.set_gid(f"{PREFIX}{ranks[colour]}.{number}" if several else None)
    named = [(ranks[colour], text.get_text().replace(r"\$", "$"), parts) for colour, text, parts in entries]
    return [Entry(*entry) for entry in named] if len(ranks) > 1 else []


def places_of(figure: Figure, entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """Return the entries as the page's script takes them: `series`, `name`, and `box` as `points.box_of` gives it."""
    if entries:
        figure.draw_without_rendering()  # at its own resolution: a file has another
    size = [*figure.bbox.size, *figure.bbox.size]
    places = []
    for entry in entries:
        box = Bbox.union([part.get_window_extent() for part in entry.parts])
        numbers = (box.x0, figure.bbox.height - box.y1, box.width, box.height)
        relative = [round(float(number / whole), DIGITS) for number, whole in zip(numbers, size, strict=True)]
        places.append({"series": entry.series, "name": entry.name, "box": relative})
    return places


def _entries(figure: Figure) -> Iterator[tuple[str, Text, tuple[Artist, ...]]]:
    """Yield the colour, text and parts of each entry of a key, and of each label that has a colour as its gid."""
    for legend in (*figure.legends, *filter(None, (ax.get_legend() for ax in figure.axes))):
        for text, mark in zip(legend.get_texts(), legend.legend_handles, strict=True):
            if mark is not None and (colour := _colour(mark)):
                yield colour, text, (text, mark)
    for text in (text for ax in figure.axes for text in ax.texts):
        if shade_of := text.get_gid():
            yield to_hex(shade_of), text, (text,)


def _colour(artist: Artist) -> str:
    """Return the colour of a mark as #rrggbb, empty where it has none or several."""
    if shade_of := artist.get_gid():
        return to_hex(shade_of)
    look: Any = artist
    if isinstance(artist, Line2D):
        return to_hex(look.get_color())
    colours = [look.get_facecolor(), look.get_edgecolor()]
    if isinstance(artist, Collection):
        colours = [of_all[0] if len(of_all) == 1 else "none" for of_all in colours]
    return next((to_hex(colour) for colour in colours if to_rgba(colour)[3] > 0), "")
