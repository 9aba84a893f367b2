"""A verdict says whether it rests on what was set before its results."""

import pandas as pd

from study.verdict import judge
from study.verdict.planned import exploratory
from tests.report.frames import Study, diverge, unfinish
from tests.report.studies import make_protocol


def reasons(runs: pd.DataFrame, *protocols: object) -> tuple[str, ...]:
    return judge(runs, protocols=protocols)[0].exploratory


def test_all_set_beforehand(digits: Study) -> None:
    verdict = judge(digits.runs, protocols=[make_protocol(digits.runs)])[0]
    assert verdict.exploratory == ()
    assert verdict.line.startswith("Degradation shown after 220 iterations: ")


def test_without_a_record_nothing_is_said(digits: Study) -> None:
    assert reasons(digits.runs) == ()
    assert exploratory(digits.runs.iloc[:0], digits.runs, [make_protocol(digits.runs)]) == ()


def test_seeds_that_were_added_after_results(digits: Study) -> None:
    first, later = digits.runs[digits.runs["seed"] < 2], digits.runs[digits.runs["seed"] == 2]
    added = make_protocol(digits.runs, hour=3, results=16)
    verdict = judge(digits.runs, protocols=[make_protocol(first), added])[0]
    assert verdict.exploratory == (
        "8 runs (plain-8, plain-20, plain-32, plain-56, resnet-8, resnet-20, resnet-32 and resnet-56) were added on "
        "2026-11-27, after 16 results",
    )
    assert verdict.line.startswith("Degradation shown (exploratory) after 220 iterations: ")
    assert verdict.sentences[0] == (
        f"Exploratory, since not all of this was set before the first result: {verdict.exploratory[0]}."
    )
    # The same seeds as a grid of their own; and set before any run had ended.
    alone = make_protocol(later, hour=3, results=1)
    assert reasons(digits.runs, make_protocol(first), alone)[0].endswith("were added on 2026-11-27, after 1 result")
    assert reasons(digits.runs, make_protocol(first), make_protocol(digits.runs, hour=3)) == ()


def test_another_grid_of_the_same_study_changes_nothing(digits: Study) -> None:
    """It has a protocol of its own, from before its own results."""
    wide = digits.runs.assign(variant="width=2", planned_key=[f"w{key}" for key in digits.runs["planned_key"]])
    both = pd.concat([digits.runs, wide], ignore_index=True)
    protocols = [make_protocol(digits.runs), make_protocol(wide, hour=5, results=24)]
    assert [verdict.exploratory for verdict in judge(both, protocols=protocols)] == [(), ()]


def test_runs_of_no_protocol(digits: Study) -> None:
    most = digits.runs[digits.runs["name"] != "plain-8 seed 0"]
    assert reasons(digits.runs, make_protocol(most)) == ("1 run (plain-8) was in no protocol",)


def test_planned_runs_without_a_result(digits: Study) -> None:
    protocol = make_protocol(digits.runs)
    stopped = unfinish(digits, "plain-8 seed 2", "interrupted").runs
    assert reasons(stopped, protocol) == ("1 of 24 planned runs has no result",)
    assert reasons(digits.runs[digits.runs["depth"] < 56], protocol) == ("6 of 24 planned runs have no result",)
    assert reasons(diverge(digits, "plain-8 seed 2").runs, protocol) == ()  # that is a result


def test_another_version_of_the_rule(digits: Study) -> None:
    assert reasons(digits.runs, make_protocol(digits.runs, rule_version=1)) == (
        "version 1 of the rule was set, and version 2 is applied",
    )


def test_a_search_that_was_changed_after_results(digits: Study) -> None:
    first = make_protocol(digits.runs)
    changed = make_protocol(digits.runs, hour=4, results=5, search="t" * 16)
    wanted = "the search's settings were changed on 2026-11-27, after 5 results"
    assert reasons(digits.runs, first, changed) == (wanted,)
    assert reasons(digits.runs.assign(lr_tuned=False), first, changed) == ()
    assert reasons(digits.runs, first, make_protocol(digits.runs, hour=4, search="t" * 16)) == ()
