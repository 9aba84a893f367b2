"""Sentences of the report, written from numbers by templates: a sentence is what one `{% call say() %}` holds."""

import math
import re
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

from jinja2 import Environment

from study.report.moments import phrase
from study.statistics.growth import BATCH_NORM_GROWTH
from study.verdict.text import interval, listed, points, sentence_templates


@cache
def _environment() -> Environment:
    environment = sentence_templates("study.report")
    environment.filters |= {
        "points": lambda *values: points(*map(float, values)),  # NumPy's numbers round otherwise
        "listed": lambda items: listed(list(items)),
        "count": lambda value: f"{value:,.0f}",
        "moment": phrase,
        "exp": math.exp,
        "log": math.log,
        "interval": interval,
        "g": lambda value: f"{value:g}",
        "rate": lambda value: f"{value:.4g}",
        "rows": lambda frame, form: ", ".join(form.format(**row) for row in frame.to_dict("records")),
    }
    environment.globals["batch_norm_growth"] = BATCH_NORM_GROWTH
    return environment


def write(template: str, **values: Any) -> tuple[str, ...]:
    """Return the sentences of a template in `templates`: what stands in each `{% call say() %}` that isn't empty.

    Breaks of lines and indentation are one space, and none before punctuation or after an opening bracket.
    """
    sentences: list[str] = []

    def say(caller: Callable[[], str]) -> str:
        sentence = re.sub(r" (?=[,;:.)]+( |$))|(?<=\() ", "", " ".join(caller().split()))
        if sentence:
            sentences.append(sentence)
        return ""

    _environment().get_template(f"{template}.j2").render(say=say, **values)
    return tuple(sentences)


def span(counts: Iterable[int]) -> str:
    """Write numbers, such as those of the seeds of nets, as one or as a range: ``3``, ``2 to 3``."""
    ordered = sorted(counts)
    return f"{ordered[0]}" if ordered[0] == ordered[-1] else f"{ordered[0]} to {ordered[-1]}"


def seeds_words(counts: Iterable[int], kind: str = "Means", unit: str = "seed") -> str:
    """Say what marks are of nets with so many seeds: ``One seed a net``, ``Means over 2 to 3 seeds``."""
    seeds = span(counts)
    return f"One {unit} a net" if seeds == "1" else f"{kind} over {seeds} {unit}s"


def band_words(counts: Iterable[int], kind: str = "Means") -> str:
    """Say what lines with bands are: ``Means over 3 seeds, bands from the lowest to the highest``."""
    words = seeds_words(counts, kind)
    return f"{words}, bands from the lowest to the highest" if words.startswith(kind) else words


def some_of(names: list[str], most: int, what: str = "") -> str:
    """List names, of many the first few: ``a, b and 7 more images``."""
    more = len(names) - most
    return listed(names) if more <= 0 else f"{', '.join(names[:most])} and {more:,} more {what}".rstrip()
