"""The verdict in sentences: the templates, and how they write numbers."""

import re
from functools import cache
from typing import Any

from jinja2 import Environment

from study.names import SHALLOWEST
from study.statistics.interval import Interval
from study.statistics.power import MOST_SEEDS
from study.verdict.findings import UNFAIR
from study.verdict.rule import ALPHA, FAILURE_MARGIN
from study.verdict.shortcut_effect import UNLIKE, ShortcutEffect
from study.verdict.text import sentence_templates

MANY_SEEDS = 30
"""Past so many seeds for a net, a smaller spread is the better advice."""


def say(macro: str, *facts: Any) -> str:
    """Return the text of a macro of `verdict.j2`, in one line."""
    return sentence(_macro(macro)(*facts)).rstrip("\n")


def say_each(macro: str, *facts: Any) -> tuple[str, ...]:
    """Return the sentences of a macro that writes several."""
    return tuple(line.strip() for line in _macro(macro)(*facts).splitlines() if line.strip())


def sentence(block: str) -> str:
    """Join the lines of a text: a line's end is a space, and nothing before punctuation and after a bracket."""
    closed = re.sub(r"\s*\n\s*(?=[,.;:)])|(?<=\()\s*\n\s*", "", block.strip())
    return re.sub(r"\s*\n\s*", " ", closed) + "\n"


def _macro(name: str) -> Any:
    return getattr(_templates().get_template("verdict.j2").module, name)


@cache
def _templates() -> Environment:
    environment = sentence_templates("study.verdict")
    environment.filters |= {
        "uncapital": lambda words: f"{words[0].lower()}{words[1:]}",
        "flipped": _flipped,
        "sentence": sentence,
    }
    environment.tests |= {"significant": _significant}
    environment.globals |= {
        "ALPHA": ALPHA,
        "FAILURE_MARGIN": f"{FAILURE_MARGIN:g}",
        "SHALLOWEST": SHALLOWEST,
        "UNFAIR": UNFAIR,
        "UNLIKE": UNLIKE,
        "MANY_SEEDS": MANY_SEEDS,
        "MOST_SEEDS": MOST_SEEDS,
    }
    return environment


def _flipped(d: Interval) -> Interval:
    return Interval(-d.estimate, -d.high, -d.low, d.p, d.n)


def _significant(effect: ShortcutEffect, sign: int) -> bool:
    """Whether the shortcuts remove of the rise (1), or add to it (-1), at every rate."""
    return effect.p_adjusted < ALPHA and sign * effect.contrast.estimate > 0 and not effect.edge
