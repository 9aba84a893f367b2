"""Several verdicts are tested together, and their rise is averaged."""

import pandas as pd
import pytest

from study.statistics.multiplicity import holm
from study.verdict import judge, overall
from tests.report.frames import Truth, make_study


def study(name: str, *plain: float, seeds: int = 3, spread: float = 0.2) -> pd.DataFrame:
    depths = (8, 20, 56)[: len(plain)]
    truth = Truth({("plain", depth): (mean, spread) for depth, mean in zip(depths, plain, strict=True)}, seeds=seeds)
    return make_study(truth, seed=len(name)).runs.assign(variant=f"study={name}")


def together(*studies: pd.DataFrame):
    return overall(judge(pd.concat(studies, ignore_index=True)))


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
    assert "3 verdicts; between them the true rise varies by 3.9" in found.sentences[1]


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
