"""Building a report: the page from top to bottom, its figures, tables and verdict, swapped in whole."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from study.errors import StudyError, without_passwords
from study.report.comparison_section import compared_part, conclusions
from study.report.data_section import data_part
from study.report.figures.curves import curve_drawings
from study.report.figures.drawing import Picture
from study.report.figures.final_errors import depth_drawing
from study.report.figures.length import length_drawing
from study.report.figures.probability import probability_drawing
from study.report.figures.speed import speed_drawing
from study.report.figures.style import Style, depth_colours
from study.report.joined import Joined
from study.report.page import Answer, Page, Part, Section, render
from study.report.provenance import made, mixture, unfinished_note
from study.report.publish import swapped_in
from study.report.searches import Search, search_section
from study.report.summary import abstract, basis
from study.report.tables.architectures import architectures_table
from study.report.tables.pairs import overall_table, pairs_table
from study.report.tables.paper import differences_table, errors_table, shortcuts_table, training_errors_table
from study.report.tables.results import rates_table, results, runs_table, splits_table, trials_table, unfinished_table
from study.report.tables.writer import with_rows, write_table
from study.report.why.section import why_section
from study.verdict import selection as c
from study.verdict.comparison import Comparison
from study.verdict.overall import Overall, overall
from study.verdict.verdict import Verdict, judge


def build_report(study: Joined, out: Path, *, style: Style = "house", comparison: Comparison | None = None) -> Path:
    """Write a study's report into the folder `out` and return its index.html.

    With the `style` paper, curves have the axes and colours of the paper's Figures 1 and 6. A `comparison` is of two
    studies, which are joined in `study`.

    The folder is built beside `out` and takes its place at the end: a report is there whole or not at all. An older
    report in `out` is replaced; other files beside it stay.

    Raises:
        StudyError: no run has ended, or `out` holds something that isn't a report.
    """
    _check(study)
    out = out.resolve()
    words = {key: without_passwords(value) for key, value in study.words.items()}  # also what older versions stored
    with swapped_in(out) as folder:
        _write(replace(study, words=words), folder, style, comparison)
    return out / "index.html"


def _write(study: Joined, folder: Path, style: Style, comparison: Comparison | None) -> None:
    figures, runs, smallest = folder / "figures", study.runs, study.rule.smallest_effect
    verdicts = judge(runs, study.rule, study.trials, study.protocols, study.commands)
    together = overall(verdicts, runs) if comparison is None else None
    pictures = {variant: draw_variant(study, variant, figures, style) for variant in c.variants(runs)}
    compared = compared_part(comparison, runs, figures) if comparison is not None else None
    chapters = why_section(runs, study.curves, study.probes, smallest, figures) if comparison is None else ()
    searched = (
        search_section(c.of_variant(runs, variant), c.of_variant(study.trials, variant), study.rule, figures)
        for variant in pictures
    )
    searches = [search for search in searched if search is not None]
    # The picture of both studies comes first on a page of two; else each verdict has its own.
    leads = {} if compared else {variant: (drawn["depth"],) for variant, drawn in pictures.items() if "depth" in drawn}
    several = len(verdicts) > 1
    main = compared.pictures[:1] if compared is not None else ()
    beside = [compared._replace(pictures=compared.pictures[1:])] if compared is not None else []
    questions = tuple(chapter._replace(heading=f"{i}. {chapter.heading}") for i, chapter in enumerate(chapters, 1))
    sections = (
        Section("compared", " and ".join(comparison.names if comparison else ()), _anchored("compared", beside)),
        Section("figures", "Figures", _gallery(pictures, leads, several=several)),
        Section("why", "Why", questions, together=True),
        Section("rates", "Does the answer depend on the learning rate?", _rates(searches), together=True),
        Section("tables", "Tables", _anchored("tables", _results(study, verdicts, together))),
        Section("data", "The data", _anchored("data", _data(study, figures))),
    )
    page = Page(
        study=study.name,
        abstract=abstract(runs),
        basis=basis(runs, verdicts),
        conclusions=conclusions(comparison) if comparison else together.sentences if together else (),
        pictures=main,
        answers=tuple(Answer(verdict, leads.get(verdict.variant, ())) for verdict in verdicts),
        sections=tuple(section for section in sections if section.parts),
        made=made(study.name, runs, study.words),
        protocols=study.protocols,
    )
    for table in page.tables:
        write_table(table, folder / "tables")
    record = _verdict_record(study, verdicts, searches, chapters, comparison)
    record |= {"overall": together} if together else {}
    text = json.dumps(_plain(record), indent=2, ensure_ascii=False)
    (folder / "verdict.json").write_text(text + "\n", encoding="utf-8")
    (folder / "index.html").write_text(render(page), encoding="utf-8")


def draw_variant(study: Joined, variant: str, folder: Path, style: Style = "house") -> dict[str, Picture]:
    """Draw the figures of one variant's runs into `folder`, in the order in which they are read; by name.

    One that has no data is left out.
    """
    runs, curves = (c.of_variant(frame, variant) for frame in (study.runs, study.curves))
    colours = depth_colours(c.depths(study.runs), style)
    drawings = (
        depth_drawing(runs),
        *curve_drawings(runs, curves, colours, style),
        probability_drawing(runs),
        length_drawing(study.runs, variant, colours),
        speed_drawing(runs),
    )
    return {drawing.name: drawing.save(folder, variant) for drawing in drawings if drawing is not None}


def _anchored(name: str, parts: Iterable[Part]) -> tuple[Part, ...]:
    return tuple(part._replace(id=f"{name}-{i}") for i, part in enumerate(parts, 1))


def _heading(variant: str, *, several: bool) -> str:
    return variant or ("All nets" if several else "")


def _gallery(
    pictures: Mapping[str, Mapping[str, Picture]], leads: Mapping[str, tuple[Picture, ...]], *, several: bool
) -> tuple[Part, ...]:
    """Return each variant's figures but the one that its verdict is shown with."""
    parts = (
        Part(
            _heading(variant, several=several),
            pictures=tuple(picture for picture in drawn.values() if picture not in leads.get(variant, ())),
        )
        for variant, drawn in pictures.items()
    )
    return _anchored("figures", (part for part in parts if part.pictures))


def _rates(searches: Sequence[Search]) -> tuple[Part, ...]:
    several = len(searches) > 1
    parts = (search.part._replace(heading=_heading(search.variant, several=several)) for search in searches)
    return _anchored("rates", parts)


def _results(study: Joined, verdicts: Iterable[Verdict], together: Overall | None = None) -> list[Part]:
    """Return the tables that have rows. Of pairs of depths those that a verdict tells, not those that it withholds."""
    runs, findings = study.runs, [finding for verdict in verdicts for finding in verdict.findings]
    tables = (
        unfinished_table(runs, study.curves),
        *([overall_table(together.parts)] if together else []),
        results(runs),
        splits_table(runs),
        pairs_table([pair for finding in findings for pair in (*finding.train, *finding.test)]),
        differences_table(runs),
        shortcuts_table(runs),
        training_errors_table(runs),
        errors_table(runs),
        architectures_table(runs),
        rates_table(runs, study.trials),
        trials_table(study.trials),
        runs_table(runs),
    )
    return [Part(tables=with_rows(tables))]


def _data(study: Joined, folder: Path) -> list[Part]:
    """Return the data sets of the runs that count; of several splits the first, as they share their images."""
    runs = c.counted(study.runs)
    if "split_seed" in runs:
        runs = runs[runs["split_seed"] == runs.groupby("variant")["split_seed"].transform("min")]
    used = set(runs["fingerprint"]) if "fingerprint" in runs else {""}
    records = [record for record in study.datasets if record.fingerprint in used or "" in used]
    return [data_part(record, folder, alone=len(records) == 1) for record in records]


def _verdict_record(
    study: Joined,
    verdicts: Sequence[Verdict],
    searches: Sequence[Search],
    chapters: Sequence[Part],
    comparison: Comparison | None,
) -> dict[str, Any]:
    """Return what verdict.json holds, for programs."""
    runs = study.runs
    record = {
        "study": study.name,
        "runs": len(runs),
        "counted": list(c.counted(runs)["run_id"]),
        "excluded": [run._asdict() for run in c.excluded(runs)],
        "protocols": [
            {
                "id": protocol.id,
                "runs": len(protocol.keys),
                **protocol.model_dump(mode="json", exclude={"keys", "ended"}),
            }
            for protocol in study.protocols
        ],
        "verdicts": [asdict(verdict) for verdict in verdicts],
        "notes": [note for note in (unfinished_note(runs), mixture(runs)) if note],
        "provenance": dict(study.words),
        "learning_rates": [
            {
                "variant": search.variant,
                "sentences": search.part.sentences,
                "nets": search.facts.nets,
                "compared": search.facts.compared,
                "choices": search.facts.choices,
            }
            for search in searches
        ],
        "why": [
            {"name": chapter.id.removeprefix("why-"), "heading": chapter.heading, "sentences": chapter.sentences}
            for chapter in chapters
        ],
    }
    return record | ({"comparison": asdict(comparison)} if comparison is not None else {})


def _plain(value: Any) -> Any:
    """Return a value as JSON has it: named tuples as mappings, NaN as null."""
    as_mapping = getattr(value, "record", None) or getattr(value, "_asdict", None)
    if as_mapping is not None:
        value = as_mapping()
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _check(study: Joined) -> None:
    if study.runs.empty:
        raise StudyError(f"study '{study.name}' has no runs to report: `study run` makes them")
    if c.counted(study.runs).empty:
        outcomes = study.runs["outcome"].value_counts().sort_index()
        counts = ", ".join(f"{n} {outcome}" for outcome, n in outcomes.items())
        raise StudyError(f"no run of study '{study.name}' has a result yet ({counts}): `study run` goes on with it")
