"""How a study was made is told from what its runs were made of."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from study.report import Joined, build_report
from study.report.provenance import as_run, facts, made, mixture

from .frames import Study, Truth, make_study, unfinish

TRUTH = Truth({("plain", 8): (1, 0.1), ("residual", 20): (1, 0.1)})


def test_the_grid_as_it_was_run_is_that_of_the_runs_that_count() -> None:
    """Whatever was asked for later: a run that failed, or isn't there, isn't part of it."""
    runs = unfinish(make_study(TRUTH), "plain-8 seed 1", "failed").runs
    runs.loc[runs["name"] == "plain-8 seed 1", "epochs"] = "4.0"
    runs.loc[runs["net"] == "resnet-20", ["lr", "warmup"]] = [0.03, "40"]
    runs["warmup_shape"] = np.nan  # as of a run by another version
    whole = yaml.safe_load(as_run(runs, "{sampler: gp, low: 0.001}"))
    assert whole["runs"] == 5
    assert whole["recipe"]["epochs"] == 20.0
    assert (whole["recipe"]["nesterov"], whole["recipe"]["schedule"]) == (False, "step")
    assert whole["dataset"] == {"dataset": "digits"}
    assert whole["tune"] == [{"sampler": "gp", "low": 0.001}]
    assert whole["nets"] == [
        {"net": "plain-8", "lr": 0.1, "seeds": [0, 2]},
        {"net": "resnet-20", "lr": 0.03, "warmup": 40, "seeds": [0, 1, 2]},
    ]
    assert dict(facts(runs))["epochs"] == "20.0"


def test_nets_by_two_sources_are_told_and_two_families_are_not() -> None:
    families = STUDY.runs.assign(family=["cifar" if depth == 8 else "imagenet" for depth in STUDY.runs["depth"]])
    assert mixture(families) == ""
    edited = changed(families.assign(family="nets.py:build@a"), "plain-20 seed 1", family="nets.py:build@b")
    assert mixture(edited) == (
        "Not all runs that are compared were made alike: "
        "of nets by nets.py:build@a (5 runs) and nets.py:build@b (1 run)."
    )


def test_variants_and_probes_stand_in_it() -> None:
    runs = make_study(TRUTH).runs
    wide = runs.assign(variant="width=2", width="2.0")
    both = pd.concat([runs.assign(width="1.0", probes=""), wide.assign(probes="surface,lesion")])
    whole = yaml.safe_load(as_run(both, "{low: 0.1}\n{low: 0.2}"))
    assert whole["probes"] == ["lesion", "surface"]
    assert whole["tune"] == [{"low": 0.1}, {"low": 0.2}]
    assert [net["width"] for net in whole["nets"]] == [1.0, 1.0, 2.0, 2.0]
    assert [net.get("variant") for net in whole["nets"]] == [None, None, "width=2", "width=2"]
    assert sum(len(net["seeds"]) for net in whole["nets"]) == whole["runs"] == 12


def test_nothing_was_run() -> None:
    assert as_run(make_study(TRUTH).runs.assign(outcome="failed")) == ""


def test_what_is_to_be_known_of_it_stands_with_it() -> None:
    runs = make_study(TRUTH).runs
    words = {"command": "a  # 2 runs\nb  # 4 runs", "left out": "run x\nrun y", "rule": "1 points, as set"}
    found = made("s", runs, words)
    assert found.commands == ("a  # 2 runs", "b  # 4 runs", "study report --experiment s")
    assert found.left_out == ("run x", "run y")
    assert found.rule == ("1 points, as set",)
    assert not {"rule", "left out"} & dict(found.versions).keys()


STUDY = make_study(Truth({("plain", 8): (1, 0.1), ("plain", 20): (5, 0.1), ("residual", 8): (1, 0.1)}, seeds=2))


def changed(runs: pd.DataFrame, name: str, **values: str) -> pd.DataFrame:
    return runs.assign(
        **{
            column: [value if one == name else before for one, before in zip(runs["name"], runs[column], strict=True)]
            for column, value in values.items()
        }
    )


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
    failed = unfinish(
        Study(changed(runs, "plain-20 seed 1", precision="bf16"), STUDY.curves, STUDY.trials),
        "plain-20 seed 1",
        "failed",
    )
    assert mixture(failed.runs) == ""


def test_what_an_axis_varies_is_not_told(runs: pd.DataFrame) -> None:
    """Variants are judged apart; but plain nets, which have no shortcut, are compared with each option's."""
    by_axis = [
        runs.assign(variant=f"precision={one}", precision=one, run_id=runs["run_id"] + one) for one in ("bf16", "fp32")
    ]
    assert mixture(pd.concat(by_axis, ignore_index=True)) == ""
    residual = runs["architecture"] == "residual"
    options = runs.assign(variant=["shortcut=A" if one else "" for one in residual])
    assert mixture(options) == ""
    assert "by code aaa (4 runs) and bbb (2 runs)" in mixture(
        options.assign(code=residual.map({True: "bbb", False: "aaa"}))
    )


@pytest.mark.usefixtures("sketched")
def test_page_and_verdict_tell_it(runs: pd.DataFrame, tmp_path: Path) -> None:
    mixed = changed(runs, "plain-20 seed 1", precision="bf16")
    page = build_report(Joined("s", mixed, STUDY.curves, STUDY.trials), tmp_path / "s")
    sentence = "Not all runs that are compared were made alike: in bf16 (1 run) and fp32 (5 runs)."
    assert sentence in page.read_text(encoding="utf-8").partition('id="made"')[2]
    assert json.loads((tmp_path / "s" / "verdict.json").read_text(encoding="utf-8"))["notes"] == [sentence]
