"""Sentences of the report, written from numbers by templates: a sentence is what one `{% call say() %}` holds."""

import re
from collections.abc import Callable
from functools import cache
from typing import Any

from jinja2 import Environment

from study.report.moments import phrase
from study.verdict.text import listed, points, sentence_templates


@cache
def _environment() -> Environment:
    environment = sentence_templates("study.report")
    environment.filters |= {
        "points": lambda *values: points(*map(float, values)),  # NumPy's numbers round otherwise
        "listed": lambda items: listed(list(items)),
        "count": lambda value: f"{value:,.0f}",
        "moment": phrase,
        "g": lambda value: f"{value:g}",
        "rate": lambda value: f"{value:.4g}",
        "rows": lambda frame, form: ", ".join(form.format(**row) for row in frame.to_dict("records")),
    }
    return environment


def write(template: str, **values: Any) -> tuple[str, ...]:
    """Return the sentences of a template in `templates`: what stands in each `{% call say() %}` that isn't empty.

    Breaks of lines and indentation are one space, and none before punctuation or after an opening bracket.
    """
    sentences: list[str] = []

    def say(caller: Callable[[], str]) -> str:
        sentence = re.sub(r" (?=[,;:.)])|(?<=\() ", "", " ".join(caller().split()))
        if sentence:
            sentences.append(sentence)
        return ""

    _environment().get_template(f"{template}.j2").render(say=say, **values)
    return tuple(sentences)


def some_of(names: list[str], most: int, what: str = "") -> str:
    """List names, of many the first few: ``a, b and 7 more images``."""
    more = len(names) - most
    return listed(names) if more <= 0 else f"{', '.join(names[:most])} and {more:,} more {what}".rstrip()
