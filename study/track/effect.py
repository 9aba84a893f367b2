"""The smallest effect that a study's verdict calls one: what was set before there were results stands."""

from collections.abc import Mapping
from dataclasses import dataclass

from study.errors import printable
from study.track import words


@dataclass(frozen=True)
class Effect:
    """A smallest effect of interest, in points of training error."""

    points: float
    remark: str = ""
    """What a reader must know of how it came about, if anything."""


def effect_of(tags: Mapping[str, str]) -> Effect:
    """Return the smallest effect that holds in a study, from the tags of its experiment."""
    text = tags.get(words.EFFECT, "")
    try:
        first, *later = (float(part) for part in text.split(words.TIMES)) if text else (words.USUAL_EFFECT,)
    except ValueError:
        first, later = 0.0, []
    if not 0 < first < 100:
        return Effect(
            words.USUAL_EFFECT,
            f"{words.USUAL_EFFECT:g} points, since the experiment's tag {words.EFFECT} is '{printable(text[:60])}'",
        )
    if not later:
        return Effect(first)
    asked = " and then ".join(f"{value:g}" for value in later)
    return Effect(
        first, f"{first:g} points, as set before the first result; {asked} was asked for later and isn't used"
    )


def changed(tags: Mapping[str, str], points: float, *, results: bool) -> str:
    """Return the tag's value once a grid asks for `points`; with `results`, it adds to what stands."""
    before = tags.get(words.EFFECT, "")
    if not before or not results:
        return repr(points)
    return before if before.split(words.TIMES)[-1] == repr(points) else f"{before}{words.TIMES}{points!r}"
