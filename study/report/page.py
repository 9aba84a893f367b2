"""The page: one HTML file that needs no network, for a screen, a phone and paper."""

import re
from collections.abc import Mapping, Sequence

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape

from study.report.comparison_section import CompareSection
from study.report.data_section import DataSection
from study.report.figures.drawing import Picture
from study.report.metrics import METRICS
from study.report.outline import outline
from study.report.provenance import made
from study.report.tables.results import Table
from study.report.tuning_section import TuningSection
from study.report.why.chapter import Chapter
from study.verdict.verdict import Verdict

DEFINITIONS = (
    ("train_error", "as trained: the running average over the images since the last point, augmented, in training "
     "mode, while the weights change. The curves show it."),
    ("final_train_error_augmented", "after the last iteration, the whole training split, augmented as in training, "
     "in evaluation mode."),
    ("final_train_error", "after the last iteration, the whole training split, clean images, in evaluation mode. The "
     "verdict rests on this one."),
)  # fmt: skip
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""What a browser may do for the page: show what is in it. No script, and nothing from a network, whatever a name
from outside holds."""


def prose(text: str) -> Markup:
    """Escape a sentence and keep names of nets, signed numbers and p-values from breaking over lines."""
    whole = re.compile(r"\b[a-z]+-\d+\b|(?<![\w])-\d[\d.]*|\bp (?:=|&lt;|&gt;) [\d.]+\d")
    return Markup(whole.sub(lambda match: f'<span class="whole">{match[0]}</span>', str(escape(text))))


def render(  # noqa: PLR0913
    study_name: str,
    runs: pd.DataFrame,
    verdicts: list[Verdict],
    pictures: list[Picture],
    tables: list[Table],
    provenance: Mapping[str, str],
    data: Sequence[DataSection] = (),
    tuned: Sequence[TuningSection] = (),
    why: Sequence[Chapter] = (),
    compared: CompareSection | None = None,
) -> str:
    """Return the page's HTML. Everything that comes from the study is escaped."""
    environment = Environment(
        loader=PackageLoader("study.report"), autoescape=select_autoescape(["html", "j2"], default=True),
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["prose"] = prose
    return environment.get_template("index.html.j2").render(
        study=study_name, page=outline(verdicts, pictures, tables, data, tuned, why, compared), verdicts=verdicts,
        made=made(study_name, runs, provenance), policy=POLICY,
        definitions=[(METRICS[key].label, key, text) for key, text in DEFINITIONS],
    )  # fmt: skip
