"""Building a report: figures, tables, verdict and page into a folder that is swapped in whole."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from study.errors import StudyError, without_passwords
from study.report.comparison import Comparison
from study.report.comparison_section import compare_section
from study.report.data_section import DataSection, data_section
from study.report.figures.drawing import Picture
from study.report.figures.style import Style, depth_colours
from study.report.gallery import draw_figures
from study.report.joined import Joined
from study.report.mixture import mixture
from study.report.page import render
from study.report.provenance import unfinished_note
from study.report.publish import swapped_in
from study.report.tables.all import all_tables
from study.report.tables.results import write_table
from study.report.tuning_section import TuningSection, tuning_section
from study.report.why.section import why_section
from study.verdict import selection as c
from study.verdict.rule import SMALLEST_EFFECT
from study.verdict.verdict import Verdict, judge

if TYPE_CHECKING:
    from study.track.datasets import DatasetRecord


def build_report(  # noqa: PLR0913
    study_name: str,
    runs: pd.DataFrame,
    curves: pd.DataFrame,
    trials: pd.DataFrame,
    out: Path,
    provenance: Mapping[str, str],
    smallest_effect: float = SMALLEST_EFFECT,
    *,
    datasets: "Sequence[DatasetRecord]" = (),
    probes: Mapping[str, pd.DataFrame] | None = None,
    style: Style = "house",
    comparison: Comparison | None = None,
) -> Path:
    """Write a study's report into the folder `out` and return its index.html.

    `datasets` are shown as far as a run that counts used them; `probes` are what `load_probes` gives. With the `style`
    paper, curves have the axes and colours of the paper's Figures 1 and 6. A `comparison` is of two studies, whose
    frames these are.

    The folder is built beside `out` and takes its place at the end: a report is there whole or not at all. An older
    report in `out` is replaced; other files beside it are kept.

    Raises:
        StudyError: no run has ended, or `out` holds something that isn't a report.
    """
    _check(study_name, runs)
    out = out.resolve()
    told = {key: without_passwords(value) for key, value in provenance.items()}  # also what older versions stored
    study = Joined(study_name, runs, curves, trials, tuple(datasets), dict(probes or {}), told, smallest_effect)
    with swapped_in(out) as new:
        _write(study, new, style, comparison)
    return out / "index.html"


def _write(study: Joined, folder: Path, style: Style, comparison: Comparison | None) -> None:
    runs, curves, trials, smallest_effect = study.runs, study.curves, study.trials, study.smallest_effect
    data = _data(runs, study.datasets, folder / "figures")
    verdicts = judge(runs, smallest_effect, trials, curves)
    pictures: list[Picture] = []
    tuned: list[TuningSection] = []
    colours = depth_colours(c.depths(runs), style)
    for variant in c.variants(runs):
        mine, lines, searches = (c.of_variant(frame, variant) for frame in (runs, curves, trials))
        pictures += draw_figures(mine, lines, colours, folder / "figures", style)
        section = tuning_section(mine, searches, smallest_effect, folder / "figures")
        tuned += [section] if section is not None else []
    # Pairs from the findings, so that none is told whose comparison the verdict withholds.
    pairs = [pair for one in verdicts for finding in one.findings for pair in (*finding.train, *finding.test)]
    tables = all_tables(runs, curves, trials, pairs)
    compared = compare_section(comparison, runs, folder / "figures") if comparison is not None else None
    evidence = runs, curves, study.probes, smallest_effect
    why = why_section(*evidence, folder / "figures") if comparison is None else ()
    more = [*(compared.tables if compared is not None else ()),
            *(table for chapter in why for table in chapter.tables),
            *(table for section in tuned for table in section.tables),
            *(table for section in data for table in section.tables)]  # fmt: skip
    for table in (*tables, *more):
        write_table(table, folder / "tables")
    told = _told(study.name, verdicts, runs, study.words) | {"learning_rates": [_searches(one) for one in tuned]}
    told["why"] = [{"name": one.name, "heading": one.heading, "sentences": one.sentences} for one in why]
    if comparison is not None:
        told["comparison"] = asdict(comparison)
    text = json.dumps(_plain(told), indent=2, ensure_ascii=False)
    (folder / "verdict.json").write_text(text + "\n", encoding="utf-8")
    page = render(study.name, runs, verdicts, pictures, tables, study.words, data, tuned, why, compared)
    (folder / "index.html").write_text(page, encoding="utf-8")


def _data(runs: pd.DataFrame, datasets: "Sequence[DatasetRecord]", folder: Path) -> list[DataSection]:
    used = set(c.counted(runs)["fingerprint"]) if "fingerprint" in runs else {""}
    kept = [record for record in datasets if record.fingerprint in used or "" in used]
    return [data_section(one, folder, f"-{one.fingerprint[:8]}" if len(kept) > 1 else "") for one in kept]


def _told(
    study_name: str, verdicts: list[Verdict], runs: pd.DataFrame, provenance: Mapping[str, str]
) -> dict[str, Any]:
    return {
        "study": study_name,
        "runs": len(runs),
        "counted": list(c.counted(runs)["run_id"]),
        "excluded": [run._asdict() for run in c.excluded(runs)],
        "verdicts": [asdict(verdict) for verdict in verdicts],
        "notes": [note for note in (unfinished_note(runs), mixture(runs)) if note],
        "provenance": dict(provenance),
    }


def _searches(section: TuningSection) -> dict[str, Any]:
    return {
        "variant": section.variant,
        "sentences": section.sentences,
        "nets": section.nets,
        "compared": section.compared,
        "choices": section.choices,
    }


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


def _check(study_name: str, runs: pd.DataFrame) -> None:
    if runs.empty:
        raise StudyError(f"study '{study_name}' has no runs to report: `study run` makes them")
    if c.counted(runs).empty:
        counts = ", ".join(f"{n} {outcome}" for outcome, n in runs["outcome"].value_counts().sort_index().items())
        raise StudyError(f"no run of study '{study_name}' has a result yet ({counts}): `study run` goes on with it")
