"""How a study was made is told from what its runs were made of."""

import numpy as np
import pandas as pd
import yaml

from study.report.provenance import as_run, facts, made
from tests.report.frames import Truth, make_study, unfinish

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
    told = {fact.name: fact.value for fact in facts(runs)}
    assert told["epochs"] == "20.0"


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
    words = {"command": "a  # 2 runs\nb  # 4 runs", "left out": "run x\nrun y", "smallest effect": "1 points, as set"}
    found = made("s", runs, words)
    assert found.commands == ("a  # 2 runs", "b  # 4 runs", "study report --experiment s")
    assert found.left_out == ("run x", "run y")
    assert ("smallest effect", "1 points, as set") in found.facts
    assert not {"smallest effect", "left out"} & {fact.name for fact in found.versions}
