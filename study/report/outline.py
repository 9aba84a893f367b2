"""What stands on the page, in its order: sections, groups within them, and the numbers of figures and tables."""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from typing import NamedTuple

from study.report.comparison_section import CompareSection
from study.report.data_section import DataSection
from study.report.figures.drawing import Picture, slug
from study.report.tables.results import Table
from study.report.tuning_section import TuningSection
from study.report.why.chapter import Chapter
from study.verdict.verdict import Verdict

FOLDED = 40
"""Rows from which on a table is folded up."""
MOST = 1000
"""Rows of a table that the page holds; its CSV has all."""
_NUMBER = re.compile(r"[<>]?\s?[-\u2212]?\d[\d,.]*\s?%?(\D.*)?")
_DASHES = ("", "\u2013")


class Figure(NamedTuple):
    """A figure with its number on the page."""

    number: int
    picture: Picture

    @property
    def id(self) -> str:
        """Anchor."""
        return f"figure-{self.picture.name}"

    @property
    def label(self) -> str:
        """Its line in the contents."""
        return f"Figure {self.number}: {self.picture.title}"


class Listing(NamedTuple):
    """A table with its number on the page."""

    number: int
    table: Table

    @property
    def id(self) -> str:
        """Anchor."""
        return f"table-{self.table.name}"

    @property
    def label(self) -> str:
        """Its line in the contents."""
        return f"Table {self.number}: {self.table.name.replace('-', ' ')}"

    @property
    def rows(self) -> list[tuple[str, ...]]:
        """The rows that the page holds."""
        return list(self.table.shown.head(MOST).itertuples(index=False, name=None))

    @property
    def left_out(self) -> int:
        """Rows that it doesn't hold."""
        return max(0, len(self.table.shown) - MOST)

    @property
    def folded(self) -> bool:
        """Whether it is shown when asked for, being long."""
        return len(self.table.shown) > FOLDED

    @property
    def numeric(self) -> list[bool]:
        """For each column, whether it holds numbers, which are set flush right."""
        return [
            any(cell not in _DASHES for cell in column)
            and all(cell in _DASHES or _NUMBER.fullmatch(cell) for cell in column)
            for column in (list(map(str, self.table.shown[name])) for name in self.table.shown)
        ]


class Group(NamedTuple):
    """A part of a section: of one variant or data set; the heading is empty where it is the only one."""

    id: str
    heading: str
    warnings: tuple[str, ...] = ()
    sentences: tuple[str, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    figures: tuple[Figure, ...] = ()
    tables: tuple[Listing, ...] = ()


class Section(NamedTuple):
    """A part of the page with a heading of its own."""

    id: str
    title: str
    groups: tuple[Group, ...] = ()

    @property
    def entries(self) -> list[tuple[str, str]]:
        """Anchor and line of what stands below it in the contents: its groups, or what its only group holds."""
        if len(self.groups) > 1:
            return [(group.id, group.heading) for group in self.groups]
        (group,) = self.groups
        return [*((one.id, one.label) for one in group.figures), *((one.id, one.label) for one in group.tables)]


class Answer(NamedTuple):
    """A verdict with its picture: final error against depth."""

    id: str
    verdict: Verdict
    figures: tuple[Figure, ...]


class Outline(NamedTuple):
    """The page from top to bottom, without what is the same in every report."""

    conclusions: tuple[str, ...]
    """What two studies side by side come to; empty on other pages."""
    answers: tuple[Answer, ...]
    sections: tuple[Section, ...]


def outline(
    verdicts: Sequence[Verdict],
    pictures: Sequence[Picture],
    tables: Sequence[Table],
    data: Sequence[DataSection],
    tuned: Sequence[TuningSection],
    why: Sequence[Chapter] = (),
    compared: CompareSection | None = None,
) -> Outline:
    """Put everything in its place and number it in the order in which it is read."""
    number, row = count(1), count(1)
    several = len(verdicts) > 1
    leading = pictures if compared is None else ()  # the picture of both studies comes first on a page of two
    answers = tuple(
        Answer(f"variant-{i}", verdict, tuple(_numbered(_leads(leading, verdict.variant), number)))
        for i, verdict in enumerate(verdicts, 1)
    )
    led = {figure.picture.name for answer in answers for figure in answer.figures}
    others = [picture for picture in pictures if picture.name not in led]
    variants = list(dict.fromkeys(picture.variant for picture in others))
    both = (_compared(compared, number, row),) if compared is not None else ()
    figures = tuple(
        Group(f"figures-{i}", _heading(variant, several),
              figures=tuple(_numbered([one for one in others if one.variant == variant], number)))
        for i, variant in enumerate(variants, 1)
    )  # fmt: skip
    argument = tuple(
        Group(f"why-{one.name}", f"{i}. {one.heading}", sentences=one.sentences,
              figures=tuple(_numbered(one.pictures, number)), tables=tuple(_listed(one.tables, row)))
        for i, one in enumerate(why, 1)
    )  # fmt: skip
    rates = tuple(
        Group(f"rates-{i}", _heading(one.variant, len(tuned) > 1), sentences=one.sentences,
              figures=tuple(_numbered(one.pictures, number)), tables=tuple(_listed(one.tables, row)))
        for i, one in enumerate(tuned, 1)
    )  # fmt: skip
    results = Group("tables-1", "", tables=tuple(_listed(tables, row)))
    sets = tuple(
        Group(f"data-{i}", one.name if len(data) > 1 else "", facts=one.facts,
              figures=tuple(_numbered(one.pictures, number)), tables=tuple(_listed(one.tables, row)))
        for i, one in enumerate(data, 1)
    )  # fmt: skip
    sections = (
        *both,
        Section("figures", "Figures", figures),
        Section("why", "Why", argument),
        Section("rates", "Does the answer depend on the learning rate?", rates),
        Section("tables", "Tables", (results,) if tables else ()),
        Section("data", "The data", sets),
    )
    conclusions = compared.conclusions if compared is not None else ()
    return Outline(conclusions, answers, tuple(section for section in sections if section.groups))


def _compared(one: CompareSection, number: Iterator[int], row: Iterator[int]) -> Section:
    group = Group("compared-1", "", one.warnings, one.sentences, figures=tuple(_numbered(one.pictures, number)),
                  tables=tuple(_listed(one.tables, row)))  # fmt: skip
    return Section("compared", f"{one.names[0]} and {one.names[1]}", (group,))


def _leads(pictures: Iterable[Picture], variant: str) -> list[Picture]:
    """Return the one picture that a variant's verdict is shown with."""
    wanted = f"depth-{slug(variant)}" if variant else "depth"
    return [picture for picture in pictures if picture.name == wanted and picture.variant == variant][:1]


def _heading(variant: str, several: bool) -> str:
    return variant or ("All nets" if several else "")


def _numbered(pictures: Iterable[Picture], number: Iterator[int]) -> Iterator[Figure]:
    return (Figure(next(number), picture) for picture in pictures)


def _listed(tables: Iterable[Table], number: Iterator[int]) -> Iterator[Listing]:
    return (Listing(next(number), table) for table in tables)
