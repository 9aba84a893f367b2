"""Whether the page says that runs which are compared were made unlike."""

import json
from pathlib import Path

import pandas as pd
import pytest

from study.report import Joined, build_report
from study.report.provenance import mixture

from .frames import Study, Truth, make_study, unfinish

STUDY = make_study(Truth({("plain", 8): (1, 0.1), ("plain", 20): (5, 0.1), ("residual", 8): (1, 0.1)}, seeds=2))


def changed(runs: pd.DataFrame, name: str, **values: str) -> pd.DataFrame:
    return runs.assign(**{
        column: [value if one == name else before for one, before in zip(runs["name"], runs[column], strict=True)]
        for column, value in values.items()
    })  # fmt: skip


@pytest.fixture
def runs() -> pd.DataFrame:
    return STUDY.runs.assign(code="aaa", torch="2.14.1", fingerprint="0123456789abcdef0123")


def test_runs_made_alike_need_no_word(runs: pd.DataFrame) -> None:
    assert mixture(runs) == ""
    assert mixture(runs.drop(columns=["code", "torch", "fingerprint"])) == ""


def test_all_that_mixes_is_told_with_its_counts(runs: pd.DataFrame) -> None:
    other = {"code": "bbb", "torch": "2.15.0", "precision": "bf16", "device": "NVIDIA H100", "fingerprint": "f" * 20}
    assert mixture(changed(runs, "plain-20 seed 1", **other)) == (
        "Not all runs that are compared were made alike: by code aaa (5 runs) and bbb (1 run); with PyTorch 2.14.1 "
        "(5 runs) and 2.15.0 (1 run); in bf16 (1 run) and fp32 (5 runs); on NVIDIA H100 (1 run) and cpu (5 runs); "
        "of data 0123456789ab (5 runs) and ffffffffffff (1 run)."
    )


def test_a_run_that_went_on_by_other_code_and_one_from_before_it_was_told(runs: pd.DataFrame) -> None:
    told = mixture(changed(changed(runs, "plain-8 seed 0", code="aaa, bbb"), "plain-8 seed 1", code=""))
    assert "by code unknown (1 run), aaa (4 runs) and aaa, bbb (1 run)." in told


def test_runs_that_do_not_count_are_not_told(runs: pd.DataFrame) -> None:
    failed = unfinish(Study(changed(runs, "plain-20 seed 1", precision="bf16"), STUDY.curves, STUDY.trials),
                      "plain-20 seed 1", "failed")  # fmt: skip
    assert mixture(failed.runs) == ""


def test_what_an_axis_varies_is_not_told(runs: pd.DataFrame) -> None:
    """Variants are judged apart; but plain nets, which have no shortcut, are compared with each option's."""
    by_axis = [runs.assign(variant=f"precision={one}", precision=one, run_id=runs["run_id"] + one)
               for one in ("bf16", "fp32")]  # fmt: skip
    assert mixture(pd.concat(by_axis, ignore_index=True)) == ""
    residual = runs["architecture"] == "residual"
    options = runs.assign(variant=["shortcut=A" if one else "" for one in residual])
    assert mixture(options) == ""
    assert "by code aaa (4 runs) and bbb (2 runs)" in mixture(
        options.assign(code=residual.map({True: "bbb", False: "aaa"}))
    )


def test_page_and_verdict_tell_it(runs: pd.DataFrame, tmp_path: Path) -> None:
    mixed = changed(runs, "plain-20 seed 1", precision="bf16")
    page = build_report(Joined("s", mixed, STUDY.curves, STUDY.trials), tmp_path / "s")
    sentence = "Not all runs that are compared were made alike: in bf16 (1 run) and fp32 (5 runs)."
    assert sentence in page.read_text(encoding="utf-8").partition('id="made"')[2]
    assert json.loads((tmp_path / "s" / "verdict.json").read_text(encoding="utf-8"))["notes"] == [sentence]
