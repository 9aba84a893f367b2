"""Several verdicts are tested together, and their rise is averaged."""

import pandas as pd
import pytest

from study.statistics.multiplicity import holm
from study.verdict import judge, overall
from tests.report.frames import Truth, make_study
from tests.report.studies import make_protocol


def study(name: str, *plain: float, seeds: int = 3, spread: float = 0.2) -> pd.DataFrame:
    depths = (8, 20, 56)[: len(plain)]
    truth = Truth({("plain", depth): (mean, spread) for depth, mean in zip(depths, plain, strict=True)}, seeds=seeds)
    runs = make_study(truth, seed=len(name)).runs
    return runs.assign(variant=f"study={name}", run_key=[f"{name}{key}" for key in runs["run_key"]])


def together(*studies: pd.DataFrame, protocols=()):
    runs = pd.concat(studies, ignore_index=True)
    return overall(judge(runs, protocols=protocols), runs)


def test_holm_over_all_verdicts():
    found = together(study("a", 1, 2, 9), study("bb", 1, 1, 1), study("ccc", 1, 6))
    assert [part.variant for part in found.parts] == ["study=a", "study=bb", "study=ccc"]
    assert [(part.pair.shallow, part.pair.deep) for part in found.parts] == [(8, 56), (8, 56), (8, 20)]
    assert [part.p_adjusted for part in found.parts] == pytest.approx(holm([part.pair.p_worse for part in found.parts]))
    assert [part.worse for part in found.parts] == [True, False, True]
    assert found.sentences[0] == (
        "Over 3 verdicts together (Holm's rule), degradation from the shallowest to the deepest plain net is shown in "
        "2 (study=a; study=ccc)."
    )
    assert found.mean.mean.estimate == pytest.approx((8 + 0 + 5) / 3, abs=0.3)
    assert found.sentences[1].startswith("On average it ends with 4.")
    assert "3 verdicts; between them the true rise is estimated to vary by 3.9" in found.sentences[1]


def test_a_claim_of_one_study_may_not_hold_over_many():
    lone = study("a", 1.0, 2.1, seeds=3, spread=0.25)
    alone = judge(lone)[0]
    many = together(lone, *(study("x" * n, 1, 1, seeds=3) for n in range(2, 12)))
    assert alone.plain.status == "shown"
    assert not any(part.worse for part in many.parts)
    assert many.sentences[0].endswith("is shown in none.")


def test_one_verdict_or_one_seed():
    assert together(study("a", 1, 9)) is None
    assert together(study("a", 1, 9), study("b", 1)) is None  # a single depth compares nothing
    single = together(study("a", 1, 9, seeds=1), study("bb", 1, 9, seeds=1))
    assert single.mean is None
    assert len(single.sentences) == 1
    assert not any(part.worse for part in single.parts)


def test_no_mean_over_what_is_not_independent():
    a, b = study("a", 1, 9), study("bb", 1, 6)
    assert together(a, b).mean is not None
    variants = together(*(runs.assign(variant=f"width={i}") for i, runs in enumerate((a, b))))
    assert variants.mean is None
    assert [part.worse for part in variants.parts] == [True, True]
    assert variants.sentences == (
        "Over 2 verdicts together (Holm's rule), degradation from the shallowest to the deepest plain net is shown in "
        "all.",
    )
    of_a_study = [runs.assign(variant=f"study=a, width={i}") for i, runs in enumerate((a, b))]
    assert together(*of_a_study, study("ccc", 1, 6)).mean is None
    shared = pd.concat([b.iloc[1:], a.iloc[:1].assign(variant="study=bb")])
    assert together(a, shared).mean is None


def test_names_what_has_no_name_and_what_is_exploratory():
    level, steep = study("a", 1, 1).assign(variant="width=2"), study("bb", 1, 6).assign(variant="")
    protocol = make_protocol(pd.concat([level, steep]), search="")
    stale = protocol.model_copy(update={"rule_version": 1})
    assert together(steep, level, protocols=[protocol]).sentences[0].endswith("is shown in 1 (all nets).")
    found = together(steep, level, protocols=[stale])
    assert found.sentences[0].endswith("is shown in 1 (all nets); 2 of the verdicts are exploratory.")
