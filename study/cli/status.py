"""`study status`: a study's results so far, which `study run` prints at its end too."""

import statistics
from typing import TYPE_CHECKING, Annotated

from study.cli.console import print_table, print_verdicts, warn
from study.cli.options import experiment_option
from study.config.protocol import unused_changes
from study.terminal import say
from study.track import tags as tag
from study.track.find import newest_study
from study.track.snapshot import Snapshot, take_snapshot

if TYPE_CHECKING:
    import pandas as pd

    from study.verdict import Verdict

HEADINGS = ("net", "learning rate", "training error (%)", "test error (%)", "seeds")


def status(
    experiment: Annotated[str | None, experiment_option(help="The study; default the newest.")] = None,
) -> None:
    """Print the results of a study so far, and its verdict."""
    snapshot = take_snapshot(experiment or newest_study())
    counts = [f"{number} {what}" for what, number in outcomes(snapshot).items() if number]
    say(f"{snapshot.name}: {', '.join(counts) or 'no run yet'}")
    print_results(snapshot)


def outcomes(snapshot: Snapshot) -> dict[str, int]:
    """Return the number of ended runs by outcome, and of active runs and trials."""
    runs = [run.tags.get(tag.OUTCOME) for run in snapshot.records if run.tags.get(tag.KIND) == "run"]
    trials = [run.tags.get(tag.OUTCOME) for run in snapshot.records if run.tags.get(tag.KIND) == "trial"]
    return {
        **{f"runs {outcome}": runs.count(outcome) for outcome in ("finished", "diverged", "failed", "interrupted")},
        "trials done": sum(outcome in tag.DONE for outcome in trials),
        "runs and searches at work": snapshot.active,
    }


def print_results(snapshot: Snapshot) -> list[str]:
    """Print results and verdicts of a study, and to standard error what is left out; return the verdicts in words."""
    from study.track.frames import runs_frame, trials_frame

    protocols, edited = snapshot.protocols
    warn([*snapshot.left_out, *unused_changes(protocols), *edited])
    runs = runs_frame(snapshot.records)
    rows = result_rows(runs)
    if not rows:
        return []
    print_table(HEADINGS, rows, title=snapshot.name)
    from study.verdict import Rule, judge

    verdicts = judge(runs, Rule.of(protocols), trials_frame(snapshot.records), protocols, snapshot.commands)
    print_verdicts(map(vars, verdicts))
    return list(map(in_words, verdicts))


def in_words(verdict: "Verdict") -> str:
    """Return a verdict as a paragraph: what it says, how deep nets go without loss, why it is exploratory if it is."""
    exploratory = f"Exploratory: {'; '.join(verdict.exploratory)}." if verdict.exploratory else ""
    return " ".join(part for part in (verdict.line, verdict.how_deep, exploratory) if part)


def result_rows(runs: "pd.DataFrame") -> list[tuple[str, ...]]:
    """Return a row per net and variant of the runs that count: rates, and means and deviations of errors over seeds.

    Of a net with several splits, over splits, each the mean of its seeds.
    """
    from study.verdict import counted
    from study.verdict.selection import several_splits, unit_means

    if runs.empty:
        return []
    rows = []
    for (variant, _, _), cell in counted(runs).groupby(["variant", "architecture", "depth"], sort=False):
        net = str(cell["net"].iloc[0])
        rates = ", ".join(f"{rate:.4g}" for rate in sorted(set(cell["lr"].dropna())))
        tuned = " tuned" * bool(cell["lr_tuned"].astype(bool).all())
        errors = (
            mean_and_deviation(unit_means(cell, error).tolist()) for error in ("final_train_error", "final_test_error")
        )
        splits = f" on {cell['split_seed'].nunique()} splits" if several_splits(cell) else ""
        rows.append((f"{net} ({variant})" if variant else net, rates + tuned, *errors, f"{len(cell)}{splits}"))
    return rows


def mean_and_deviation(values: list[float]) -> str:
    """Format a mean over seeds, with its standard deviation if there is one."""
    if not values:
        return "nan"
    mean = statistics.fmean(values)
    return f"{mean:.2f}" if len(values) == 1 else f"{mean:.2f} \u00b1 {statistics.stdev(values):.2f}"
