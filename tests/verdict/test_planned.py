"""A verdict says whether it rests on what was set before its results."""

from dataclasses import replace

import pandas as pd

from study.config.protocol import short_key
from study.report import join
from study.verdict import Rule, judge
from study.verdict.planned import exploratory
from tests.report.frames import Study, diverge, unfinish
from tests.report.studies import Made, loaded, make_protocol


def reasons(runs: pd.DataFrame, *protocols: object) -> tuple[str, ...]:
    return judge(runs, protocols=protocols)[0].exploratory


def test_all_set_beforehand(digits: Study) -> None:
    verdict = judge(digits.runs, protocols=[make_protocol(digits.runs)])[0]
    assert verdict.exploratory == ()
    assert verdict.line.startswith("Degradation shown after 220 iterations: ")


def test_without_a_record_nothing_is_said(digits: Study) -> None:
    assert reasons(digits.runs) == ()
    assert exploratory(digits.runs.iloc[:0], digits.runs, [make_protocol(digits.runs)], Rule()) == ()


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
    assert reasons(digits.runs, make_protocol(most)) == ("1 run (plain-8) was in no protocol by the end of training",)


def test_planned_runs_without_a_result(digits: Study) -> None:
    protocol = make_protocol(digits.runs)
    stopped = unfinish(digits, "plain-8 seed 2", "interrupted").runs
    assert reasons(stopped, protocol) == ("1 of 24 planned runs has no result",)
    assert reasons(digits.runs[digits.runs["depth"] < 56], protocol) == ("6 of 24 planned runs have no result",)
    assert reasons(diverge(digits, "plain-8 seed 2").runs, protocol) == ()  # that is a result


def test_another_version_of_the_rule(digits: Study) -> None:
    assert reasons(digits.runs, make_protocol(digits.runs, rule_version=1)) == (
        "version 1 of the rule was set, and version 4 is applied",
    )


def test_a_search_that_was_changed_after_results(digits: Study) -> None:
    first = make_protocol(digits.runs)
    changed = make_protocol(digits.runs, hour=4, results=5, search="t" * 16)
    wanted = "the search's settings were changed on 2026-11-27, after 5 results"
    assert reasons(digits.runs, first, changed) == (wanted,)
    assert reasons(digits.runs.assign(lr_tuned=False), first, changed) == ()
    assert reasons(digits.runs, first, make_protocol(digits.runs, hour=4, search="t" * 16)) == ()


def test_a_protocol_that_was_stored_after_its_results(digits: Study) -> None:
    """As by a grid that is run again with runs from before there were protocols, or after their tag was deleted."""
    keys = tuple(map(short_key, digits.runs["planned_key"]))
    late = make_protocol(digits.runs, hour=5, results=24, ended=keys)
    (reason,) = reasons(digits.runs, late)
    assert reason.startswith("24 runs (plain-8, ")
    assert reason.endswith(" were in no protocol by the end of training")
    more = pd.concat([digits.runs, digits.runs.assign(seed=lambda runs: runs["seed"] + 3)], ignore_index=True)
    more["planned_key"] = [f"{i:08d}" for i in range(len(more))]
    first = more[more["seed"] < 3]
    wider = make_protocol(more, hour=2, results=24, ended=tuple(map(short_key, first["planned_key"])))
    assert [reason.partition(" (")[0] for reason in reasons(more, make_protocol(first), wider)] == ["24 runs"]


def test_results_of_other_settings_that_were_replaced(digits: Study) -> None:
    again = digits.runs.assign(
        start_time=digits.runs["start_time"] + pd.Timedelta(days=1),
        planned_key=[f"x{key}" for key in digits.runs["planned_key"]],
        run_key=[f"x{key}" for key in digits.runs["run_key"]],
        run_id=[f"x{key}" for key in digits.runs["run_id"]],
    )
    protocols = make_protocol(digits.runs), make_protocol(again, hour=4, results=24)
    (reason,) = reasons(pd.concat([digits.runs, again], ignore_index=True), *protocols)
    assert reason.startswith("24 runs (plain-8, ")
    assert reason.endswith(" take the place of earlier results from other settings or data")
    probed = again.assign(
        planned_key=digits.runs["planned_key"], run_key=digits.runs["run_key"]
    )  # the same training, for a further probe
    assert reasons(pd.concat([digits.runs, probed], ignore_index=True), protocols[0]) == ()


def test_what_is_changed_before_the_first_result(digits: Study) -> None:
    """The last plan holds: it may be smaller, and who made two plans can't choose afterwards."""
    small = digits.runs[digits.runs["depth"] < 56]
    whole, part = make_protocol(digits.runs), make_protocol(small, hour=1)
    assert reasons(small, whole, part) == ()
    assert reasons(small, part, whole) == ("6 of 24 planned runs have no result",)


def test_each_study_of_a_page_has_its_own_protocols() -> None:
    """Although their runs have the same keys."""
    a, b = loaded("a"), loaded("b")
    keys = [f"{key}{i:06d}" for i, key in enumerate("ab" * (len(a.runs) // 2))]
    a.runs["planned_key"] = b.runs["planned_key"] = keys
    late = make_protocol(a.runs, hour=2, results=len(keys), ended=tuple(map(short_key, keys)))
    early = make_protocol(b.runs, smallest_effect=0.2)
    page = join([replace(a, provenance=Made({}, (late,))), replace(b, provenance=Made({}, (early,)))], "study report")
    first, second = judge(page.runs, page.rule, page.trials, page.protocols)
    assert first.exploratory[0].endswith("were in no protocol by the end of training")
    assert first.exploratory[1:] == ("a smallest effect of 0.5 was set, and 0.2 is applied",)
    assert second.exploratory == ()


def test_a_grid_that_gives_the_rate_goes_on_with_runs_that_another_tuned(digits: Study) -> None:
    """Its keys are those of the runs; what was begun before keeps the keys that it was planned by."""
    runs = digits.runs.assign(run_key=[f"{i:08d}" for i in range(len(digits.runs))])
    tuned = make_protocol(runs)
    given = make_protocol(runs.assign(planned_key=runs["run_key"]), hour=1)
    runs.loc[runs["seed"] == 2, "planned_key"] = runs["run_key"]  # begun by the second
    assert reasons(runs, tuned, given) == ()
    late = given.model_copy(update={"results": 16, "ended": tuple(runs.loc[runs["seed"] < 2, "run_key"])})
    added = reasons(runs, tuned, late)[0]
    assert added.startswith("8 runs (plain-8, ")
    assert added.endswith("were added on 2026-11-27, after 16 results")
