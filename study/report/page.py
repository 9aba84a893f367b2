"""The page: one HTML file that needs no network, for a screen, a phone and paper."""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape

from study.report import cells as c
from study.report.data_section import DataSection
from study.report.gallery import Picture
from study.report.metrics import METRICS
from study.report.tables import Table
from study.report.tuning_section import TuningSection
from study.report.verdict import Verdict

DEFINITIONS = (
    ("train_error", "as trained: the running average over the images since the last point, augmented, in training "
     "mode, while the weights change. The curves show it."),
    ("final_train_error_augmented", "after the last iteration, the whole training split, augmented as in training, "
     "in evaluation mode."),
    ("final_train_error", "after the last iteration, the whole training split, clean images, in evaluation mode. The "
     "verdict rests on this one."),
)  # fmt: skip

RECIPE = (
    "epochs", "iterations", "total_iterations", "batch_size", "optimizer", "momentum", "nesterov", "weight_decay",
    "schedule", "milestones", "gamma", "warmup", "augment", "normalize", "shortcut", "width", "family", "precision",
)  # fmt: skip
DATA = ("dataset", "train_images", "test_images", "skipped_images", "classes")


class Fact(NamedTuple):
    """A line of how the study was made."""

    name: str
    value: str


def facts(runs: pd.DataFrame) -> list[Fact]:
    """Return data, recipe, hardware and commits, each with all the values that the runs have."""
    out = [_fact(runs, name) for name in (*DATA, *RECIPE, "device", "commit") if name in runs]
    seeds = sorted({int(seed) for seed in runs["seed"]})
    out.append(Fact("seeds", ", ".join(map(str, seeds))))
    hours = float(runs["seconds"].sum()) / 3600
    out.append(Fact("time of all runs", f"{hours:.2f} hours" if hours >= 0.1 else f"{hours * 60:.1f} minutes"))
    return [fact for fact in out if fact.value]


def _fact(runs: pd.DataFrame, name: str) -> Fact:
    present = runs[name].dropna()
    if pd.api.types.is_numeric_dtype(present):
        words = [f"{value:,.15g}" for value in sorted(set(present))]
    else:
        words = sorted({str(value) for value in present} - {"", "None", "nan"})
    return Fact(name.replace("_", " "), ", ".join(words))


def prose(text: str) -> Markup:
    """Escape a sentence and keep names of nets, signed numbers and p-values from breaking over lines."""
    whole = re.compile(r"\b[a-z]+-\d+\b|(?<![\w])-\d[\d.]*|\bp (?:=|&lt;|&gt;) [\d.]+\d")
    return Markup(whole.sub(lambda match: f'<span class="whole">{match[0]}</span>', str(escape(text))))


def render(
    study_name: str,
    runs: pd.DataFrame,
    verdicts: list[Verdict],
    pictures: list[Picture],
    tables: list[Table],
    provenance: Mapping[str, str],
    data: Sequence[DataSection] = (),
    tuned: Sequence[TuningSection] = (),
) -> str:
    """Return the page's HTML. Everything that comes from the study is escaped."""
    environment = Environment(
        loader=PackageLoader("study.report"), autoescape=select_autoescape(["html", "j2"], default=True),
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["prose"] = prose
    others = dict(provenance)
    command = others.pop("command", f"study report {study_name}")
    return environment.get_template("index.html.j2").render(
        study=study_name, verdicts=verdicts, pictures=pictures, tables=tables, facts=facts(runs), data=data,
        tuned=tuned,
        provenance=[Fact(name, str(value)) for name, value in others.items()], command=command,
        definitions=[(METRICS[key].label, key, text) for key, text in DEFINITIONS],
        counted=len(c.counted(runs)), total=len(runs), excluded=c.excluded(runs),
    )  # fmt: skip
