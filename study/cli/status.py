"""A study's results so far: what `study status` prints, and `study run` at its end."""

import hashlib
import json
import math
import statistics
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pydantic import BaseModel, ValidationError
from rich.console import Console
from rich.table import Table

from study.config.paths import cache_folder
from study.errors import StudyError
from study.names import ARCHITECTURES
from study.terminal import say, shown
from study.track import tags as tag
from study.track.database import StoredRun
from study.track.find import list_studies
from study.track.snapshot import Snapshot, take_snapshot
from study.track.tags import DONE
from study.track.uri import tracking_uri

if TYPE_CHECKING:
    import pandas as pd

HEADINGS = ("net", "learning rate", "training error (%)", "test error (%)", "seeds")


class Said(NamedTuple):
    """A verdict in a line, and what to do next."""

    line: str
    next_step: str


class Kept(BaseModel):
    """Verdicts, and the state of the results that they are of."""

    state: str
    verdicts: list[Said]


def status(experiment: str | None) -> None:
    """Print a study's results so far, and how many runs are at work."""
    seen = take_snapshot(experiment or newest_study())
    counts = [f"{number} {what}" for what, number in outcomes(seen).items() if number]
    say(f"{seen.name}: {', '.join(counts) or 'no run yet'}")
    print_results(seen, at_once=True)


def newest_study() -> str:
    """Return the study that was last added to.

    Raises:
        StudyError: there is none.
    """
    names = list_studies()
    if not names:
        raise StudyError(f"no study at {tracking_uri()} yet; `study run --grid digits` makes one in minutes")
    return names[0]


def outcomes(seen: Snapshot) -> dict[str, int]:
    """Return how many runs have ended, and in which way, and how many runs and trials are at work."""
    runs = [run.tags.get(tag.OUTCOME) for run in seen.records if run.tags.get(tag.KIND) == "run"]
    trials = [run for run in seen.records if run.tags.get(tag.KIND) == "trial"]
    ended = ("finished", "diverged", "failed", "interrupted")
    return {
        **{f"runs {outcome}": runs.count(outcome) for outcome in ended},
        "trials done": sum(run.tags.get(tag.OUTCOME) in DONE for run in trials),
        "runs and searches at work": seen.active,
    }


def print_results(seen: Snapshot, *, at_once: bool = False) -> None:
    """Print the table of results and the verdicts of a study.

    With `at_once`, a verdict that has to be worked out anew is left out while runs are at work: it would soon be
    another, and statistics alone take longer to be imported than all of the rest.
    """
    for line in seen.left_out:
        say(line, "yellow", error=True)
    if seen.smallest_effect.remark:
        say(f"smallest effect: {seen.smallest_effect.remark}", "yellow", error=True)
    rows = rows_of(seen)
    if not rows:
        return
    table = Table(title=shown(seen.name))
    for i, heading in enumerate(HEADINGS):
        table.add_column(heading, justify="right" if i else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(shown, row))
    Console().print(table)
    verdicts = verdicts_of(seen, at_once=at_once)
    if verdicts is None:
        say("verdict: `study report` has that of the results so far")
    for verdict in verdicts or ():
        say(verdict.line, "bold")
        say(verdict.next_step)


def rows_of(seen: Snapshot) -> list[tuple[str, ...]]:
    """Return a row a net and variant, of the runs that a report counts: rates, and means and deviations of errors."""
    cells: dict[tuple[str, int, int], dict[str, StoredRun]] = {}
    for run in sorted(seen.records, key=lambda run: run.start_time):
        if _counts(run):
            kind = run.params["architecture"]
            place = run.tags.get(tag.VARIANT, ""), ARCHITECTURES.index(kind), int(run.params["depth"])
            cells.setdefault(place, {})[run.params["seed"]] = run  # the latest of a seed
    return [_row(variant, list(by_seed.values())) for (variant, _, _), by_seed in sorted(cells.items())]


def _counts(run: StoredRun) -> bool:
    ended = run.tags.get(tag.KIND) == "run" and run.tags.get(tag.OUTCOME) in ("finished", "diverged")
    return ended and bool(run.params) and not math.isnan(run.metrics.get("final_train_error", math.nan))


def _row(variant: str, runs: list[StoredRun]) -> tuple[str, ...]:
    net = runs[0].params["net"]
    rates = ", ".join(f"{rate:.4g}" for rate in sorted({float(run.params.get("lr", "nan")) for run in runs}))
    tuned = all(run.tags.get(tag.LR_TUNED) == "true" for run in runs)
    errors = (
        _spread([value for run in runs if not math.isnan(value := run.metrics.get(error, math.nan))])
        for error in ("final_train_error", "final_test_error")
    )
    return f"{net} ({variant})" if variant else net, rates + " tuned" * tuned, *errors, str(len(runs))


def verdicts_of(seen: Snapshot, *, at_once: bool) -> list[Said] | None:
    """Return the verdicts of a study: those kept, if no run or search has ended since, else worked out and kept.

    With `at_once`, None where they would have to be worked out and runs are at work.
    """
    place = cache_folder("status") / f"{_digest([seen.uri, seen.experiment_id])}.json"
    state = _digest([_form(), seen.smallest_effect.points, sorted(_ends(seen))])
    try:
        kept = Kept.model_validate_json(place.read_bytes())
        if kept.state == state:
            return kept.verdicts
    except (OSError, ValidationError):
        pass  # nothing kept yet, or by another version
    if at_once and seen.active:
        return None
    verdicts = _judge(seen.runs, seen.smallest_effect.points, seen.trials)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(Kept(state=state, verdicts=verdicts).model_dump_json(), encoding="utf-8")
    except OSError:
        pass  # they will be worked out again
    return verdicts


def _judge(runs: "pd.DataFrame", smallest_effect: float, trials: "pd.DataFrame") -> list[Said]:
    from study.verdict import judge

    return [Said(verdict.line, verdict.next_step) for verdict in judge(runs, smallest_effect, trials)]


def _ends(seen: Snapshot) -> list[tuple[str, str, dict[str, float], dict[str, str]]]:
    """Return what results rest on: how each run ended, in numbers and words."""
    return [
        (run.run_id, run.status, {} if run.status == "RUNNING" else dict(sorted(run.metrics.items())),
         {} if run.status == "RUNNING" else dict(sorted(run.tags.items())))
        for run in seen.records
    ]  # fmt: skip


def _form() -> int:
    """Return what changes with whatever the program says of the same results: when its report was changed last."""
    return max(file.stat().st_mtime_ns for file in Path(__file__).parents[1].joinpath("verdict").rglob("*.py"))


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:20]


def _spread(values: list[float]) -> str:
    """Return a mean with its standard deviation over seeds, where there is one."""
    if not values:
        return "nan"
    mean = statistics.fmean(values)
    return f"{mean:.2f}" if len(values) == 1 else f"{mean:.2f} \u00b1 {statistics.stdev(values):.2f}"
