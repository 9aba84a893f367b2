"""The page: one HTML file that needs no network, for a screen, a phone and paper."""

import base64
import hashlib
import re
from collections.abc import Iterable
from importlib.resources import files
from itertools import count
from typing import NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape

from study.config.protocol import Protocol
from study.errors import with_noun
from study.report.figures.drawing import Picture
from study.report.metrics import METRICS
from study.report.provenance import Made
from study.report.tables.writer import Table
from study.verdict.text import listed
from study.verdict.verdict import Verdict

MAIN = {
    "compare-depths": 12,
    "results": 12,
    "pairs": 6,
    "plain-residual": 12,
    "rates": 12,
    "training-errors": 12,
    "data-classes": 12,
}
"""Tables that matter, the most important first, and the rows up to which they are unfolded."""
MOST_UNFOLDED = 6
MOST_WORDS = 480
"""Of all that is unfolded in tables: a page is to be read in minutes, 1,500 words or less."""
LONG = 40
"""Rows from which on a table scrolls, and is left out on paper."""
MOST = 1000
"""Rows of a table that the page holds; its CSV has all."""
DEFINITIONS = {
    "train_error": "as trained: the running average over the images since the last point, augmented, in training "
    "mode, while the weights change. The curves show it.",
    "final_train_error_augmented": "after the last iteration, the whole training split, augmented as in training, in "
    "evaluation mode.",
    "final_train_error": "after the last iteration, the whole training split, clean images, in evaluation mode. The "
    "verdict rests on this one.",
}
SCRIPT = files("study.report").joinpath("templates/page.js").read_text(encoding="utf-8")
_DIGEST = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
POLICY = (
    f"default-src 'none'; script-src 'sha256-{_DIGEST}'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; "
    "form-action 'none'"
)
"""What a browser may do for the page: show what is in it. No script but the page's own, and nothing from a network,
whatever a name from outside holds."""


class Part(NamedTuple):
    """What stands under one heading of a section; the heading is empty where it is the only one."""

    heading: str = ""
    id: str = ""
    """Anchor."""
    warnings: tuple[str, ...] = ()
    sentences: tuple[str, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    """Names and values."""
    pictures: tuple[Picture, ...] = ()
    tables: tuple[Table, ...] = ()


class Section(NamedTuple):
    """A part of the page with a heading and an anchor of its own."""

    id: str
    title: str
    parts: tuple[Part, ...]
    together: bool = False
    """Whether each part is folded up as a whole, under its first sentence; else figure by figure, table by table."""


class Answer(NamedTuple):
    """A verdict, with its picture, final error against depth, unless another stands first on the page."""

    verdict: Verdict
    pictures: tuple[Picture, ...]


class Page(NamedTuple):
    """The page from top to bottom, without what is the same in every report."""

    study: str
    abstract: tuple[str, ...]
    """What was trained, and how errors ended."""
    basis: tuple[tuple[str, str], ...]
    """What the verdict rests on: names and texts."""
    conclusions: tuple[str, ...]
    """What two studies side by side, or several verdicts together, come to; empty on other pages."""
    pictures: tuple[Picture, ...]
    """The main figure of two studies."""
    answers: tuple[Answer, ...]
    sections: tuple[Section, ...]
    made: Made
    protocols: tuple[Protocol, ...] = ()
    """What was set beforehand, the oldest first."""

    @property
    def parts(self) -> list[Part]:
        """The parts of all sections."""
        return [part for section in self.sections for part in section.parts]

    @property
    def tables(self) -> list[Table]:
        """All tables, in their order."""
        return [table for part in self.parts for table in part.tables]


def prose(text: str) -> Markup:
    """Escape a sentence and keep names of nets, signed numbers and p-values from breaking over lines."""
    whole = re.compile(r"\b[a-z]+-\d+\b|(?<![\w])-\d[\d.]*|\bp (?:=|&lt;|&gt;) [\d.]+\d")
    return Markup(whole.sub(lambda match: f'<span class="whole">{match[0]}</span>', str(escape(text))))


def briefly(sentence: str) -> str:
    """Return a sentence without what stands in brackets: intervals, numbers of seeds, places in the literature."""
    return re.sub(r" \([^()]*\)", "", sentence)


def opening(text: str) -> tuple[str, str]:
    """Split a text into its first sentence and the rest."""
    first, *rest = re.split(r"(?<=\.) (?=[A-Z])", text, maxsplit=1)
    return first, "".join(rest)


def unfolded(tables: Iterable[Table]) -> list[str]:
    """Return the names of the tables that are unfolded: of those that matter the short ones that there is room for."""
    there, chosen, room = {table.name: table for table in tables}, [], MOST_WORDS
    for table in (there[name] for name, most in MAIN.items() if name in there and len(there[name].shown) <= most):
        words = len(f"{table.title} {opening(table.caption)[0]} {table.text}".split())
        if words <= room:
            chosen.append(table.name)
            room -= words
    return chosen[:MOST_UNFOLDED]


def render(page: Page) -> str:
    """Return the page's HTML, figures and tables numbered as they are read. All that comes from a study is escaped."""
    environment = Environment(
        loader=PackageLoader("study.report"),
        autoescape=select_autoescape(["html", "j2"], default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "ensure_ascii": False}
    environment.filters |= {
        "prose": prose,
        "with_noun": with_noun,
        "briefly": briefly,
        "opening": opening,
        "listed": listed,
    }
    pictures = [*page.pictures, *(picture for answer in page.answers for picture in answer.pictures)]
    pictures += [picture for part in page.parts for picture in part.pictures]
    return environment.get_template("index.html.j2").render(
        page=page,
        figure_numbers=dict(zip((picture.name for picture in pictures), count(1), strict=False)),
        table_numbers=dict(zip((table.name for table in page.tables), count(1), strict=False)),
        links=page.made.links,
        unfolded=unfolded(page.tables),
        long=LONG,
        most=MOST,
        policy=POLICY,
        script=Markup(SCRIPT),
        definitions=[(METRICS[key].label, key, text) for key, text in DEFINITIONS.items()],
    )
