"""A report of runs of several splits: what a table says of their spread, and that nothing takes them for unlike."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from study.cli.status import result_rows
from study.report import Joined, build_report
from study.report.provenance import mixture
from study.report.tables.paper import errors_table
from study.report.tables.results import results, results_table, splits_table
from study.statistics.variance_components import variance_components
from tests.report.conftest import DIGITS
from tests.report.data import make_record
from tests.report.frames import Study, make_study
from tests.report.studies import make_protocol
from tests.report.test_build import Page
from tests.verdict.test_splits import on_splits


@pytest.fixture(scope="module")
def study() -> Study:
    made = make_study(replace(DIGITS, seeds=6, trials=0))
    runs = on_splits(made.runs, 2)
    return Study(
        runs.assign(fingerprint=runs["split_seed"].map({0: "f" * 20, 1: "g" * 20, 2: "h" * 20})),
        made.curves,
        made.trials,
    )


def test_the_spread_of_splits_and_of_seeds(study: Study) -> None:
    table = splits_table(study.runs)
    row = table.numbers.set_index("net").loc["plain-56"]
    cell = study.runs[study.runs["net"] == "plain-56"].groupby("split_seed")["final_train_error"]
    parts = variance_components([errors for _, errors in cell])
    assert (row["splits"], row["runs"]) == (3, 6)
    assert row["final_train_error_between"] == parts.between
    assert row["final_train_error_within"] == parts.within
    assert row["final_train_error_share"] == parts.share
    assert list(table.shown["Net"]) == list(dict.fromkeys(study.runs["net"]))
    assert list(table.shown)[:4] == ["Net", "Splits", "Runs", "Training error: splits (points)"]


@pytest.mark.parametrize("seeds", [1, 6])
def test_no_table_without_two_splits_of_two_seeds(study: Study, seeds: int) -> None:
    runs = study.runs.assign(seed=study.runs["seed"] + 2 * study.runs["split_seed"])
    assert splits_table(on_splits(runs, seeds)).shown.empty
    assert splits_table(runs.drop(columns="split_seed")).shown.empty


def test_results_are_over_splits(study: Study) -> None:
    row = results_table(study.runs).set_index("net").loc["plain-56"]
    means = study.runs[study.runs["net"] == "plain-56"].groupby("split_seed")["final_train_error"].mean()
    assert row["final_train_error_estimate"] == pytest.approx(means.mean())
    assert row["final_train_error_sd"] == pytest.approx(means.std())
    assert (row["final_train_error_n"], row["runs"]) == (3, 6)
    assert "(number of splits). A split's value is the mean of its seeds." in results(study.runs).caption
    rows = {row[0]: row for row in result_rows(study.runs)}
    assert rows["plain-56"][-1] == "6 on 3 splits"
    assert rows["plain-56"][2] == f"{means.mean():.2f} ± {means.std():.2f}"


def test_captions_of_several_studies_say_what_each_has(study: Study) -> None:
    several = study.runs.assign(variant="study=a")
    alone = [study.runs.assign(variant=f"study={name}", split_seed=split) for name, split in (("b", 0), ("c", 1))]
    assert "over seeds of the errors" in results(pd.concat(alone)).caption
    both = pd.concat([several, alone[0]])
    assert "over seeds or splits of the errors" in results(both).caption
    assert "over seeds or splits (number of seeds or splits) of" in errors_table(both).caption


def test_splits_are_not_unlike_data(study: Study) -> None:
    assert mixture(study.runs) == ""
    other = study.runs.assign(fingerprint=["e" * 20, *study.runs["fingerprint"][1:]])
    assert mixture(other).startswith("Not all runs that are compared were made alike: of data eeee")


@pytest.mark.usefixtures("sketched")
def test_the_page(study: Study, tmp_path: Path) -> None:
    records = tuple(replace(make_record(), fingerprint=letter * 20) for letter in "fgh")
    protocol = make_protocol(study.runs, split_seeds=(0, 1, 2))
    joined = Joined("splits", study.runs, study.curves, study.trials, datasets=records, protocols=(protocol,))
    page = Page(build_report(joined, tmp_path / "out").read_text(encoding="utf-8"))
    assert "3 splits of 2 seeds each" in page.text
    assert "Means over 3 splits, full marks, with 95% t intervals; every split is a hollow mark" in page.text
    assert "Means over 6 runs; bands reach from the lowest to the highest run" in page.text
    assert "Runs are of several splits of the images, and the rule speaks of new splits" in page.text
    assert "seeds 0, 1; splits 0, 1, 2; lengths 1" in page.text
    assert page.text.count("in a class") == 2  # the images are described once, under a summary
    table = pd.read_csv(tmp_path / "out" / "tables" / "splits.csv")
    assert len(table) == 8
