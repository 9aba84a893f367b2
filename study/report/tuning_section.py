"""The part of a report on learning rates: whether the answer depends on them."""

from functools import partial
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from study.report.captions import rates_alt, rates_caption
from study.report.figures import rate_panels as figure
from study.report.figures.drawing import Picture, slug
from study.report.figures.style import COLUMN, WIDTH, draw_and_save
from study.report.tables.results import Table
from study.report.tables.searches import good_table, robustness_table, winners_table
from study.report.tuning_words import Facts, sentences
from study.verdict import selection as c
from study.verdict.edges import find_edges
from study.verdict.rate_sensitivity import Choice, choices
from study.verdict.searches import LEAST_TOLERANCE, Compared, Searched, by_trial, compare, other_fields, search_of


class TuningSection(NamedTuple):
    """What a report says of the searches of one variant."""

    variant: str
    sentences: tuple[str, ...]
    pictures: tuple[Picture, ...]
    tables: tuple[Table, ...]
    nets: tuple[Searched, ...]
    compared: tuple[Compared, ...]
    choices: tuple[Choice, ...]


def tuning_section(runs: pd.DataFrame, seeds: pd.DataFrame, smallest: float, folder: Path) -> TuningSection | None:
    """Draw the searches of one variant into `folder` and tell the rest; None where nothing was searched.

    Args:
        runs: the variant's runs.
        seeds: its trials, a row a seed, as `load_trials` gives them.
        smallest: smallest effect of interest, in points.
        folder: where figures go.
    """
    trials = by_trial(seeds)
    if trials.empty:
        return None
    variant = str(runs["variant"].iloc[0])
    facts = _facts(runs, seeds, trials, smallest)
    suffix = f"-{slug(variant)}" if variant else ""
    data = figure.rate_data(trials, facts.nets, facts.tolerance, facts.fields)
    pictures = []
    if data is not None:
        rows, columns = figure.shape(data)
        draw = partial(figure.draw_panels, data)
        size = {"rows": rows, "height": figure.height(data)}
        draw_and_save(folder, f"rates{suffix}", draw, columns, data.frame(), **size, sharex=True, sharey=True)
        texts = ("Training error against learning rate", rates_caption(data), rates_alt(data))
        share = 1.0 if columns > 1 else COLUMN / WIDTH
        pictures.append(Picture.of(folder, f"rates{suffix}", variant, texts, share))
    made = (good_table(facts), winners_table(facts), robustness_table(facts))
    tables = tuple(table._replace(name=table.name + suffix) for table in made if len(table.shown))
    return TuningSection(
        variant, sentences(facts), tuple(pictures), tables, facts.nets, facts.compared, facts.choices
    )  # fmt: skip


def _facts(runs: pd.DataFrame, seeds: pd.DataFrame, trials: pd.DataFrame, smallest: float) -> Facts:
    tolerance, fields = max(LEAST_TOLERANCE, smallest), other_fields(trials["point"])
    nets = tuple(
        search_of(trials[(trials["architecture"] == kind) & (trials["depth"] == depth)], tolerance, fields)
        for kind in c.architectures(trials)
        for depth in c.depths(trials[trials["architecture"] == kind])
    )
    compared = tuple(one for kind in c.architectures(trials) if (one := compare(trials, kind)) is not None)
    objective = str(seeds["objective"].iloc[0])
    rows = choices(runs, seeds, trials, smallest, find_edges(c.counted(runs), trials))
    used = tuple(sorted({int(seed) for seed in seeds["seed"]}))
    return Facts(nets, compared, rows, fields, tolerance, smallest, objective, used)
