"""A study's results so far: what `study status` prints, and `study run` at its end."""

import hashlib
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pydantic import BaseModel, ValidationError
from rich.console import Console
from rich.table import Table

from study.errors import StudyError
from study.folders import cache_folder
from study.track import Look, list_studies, look, tracking_uri, words

if TYPE_CHECKING:
    import pandas as pd

HEADINGS = ("net", "learning rate", "training error (%)", "test error (%)", "seeds")


class Said(NamedTuple):
    """A verdict in a line, and what to do next."""

    line: str
    next_step: str


class Standing(BaseModel):
    """What there is to say of a study's results."""

    rows: list[tuple[str, ...]]
    """As many texts each as `HEADINGS`."""
    verdicts: list[Said]


def status(experiment: str | None) -> None:
    """Print a study's results so far, and how many runs are at work."""
    seen = look(experiment or newest_study())
    counts = [f"{number} {what}" for what, number in outcomes(seen).items() if number]
    Console().print(f"{seen.name}: {', '.join(counts) or 'no run yet'}", highlight=False, soft_wrap=True, markup=False)
    print_results(seen)


def newest_study() -> str:
    """Return the study that was last added to.

    Raises:
        StudyError: there is none.
    """
    names = list_studies()
    if not names:
        raise StudyError(f"no study at {tracking_uri()} yet; `study run --grid digits` makes one in minutes")
    return names[0]


def outcomes(seen: Look) -> dict[str, int]:
    """Return how many runs have ended, and in which way, and how many runs and trials are at work."""
    runs = [run.tags.get(words.OUTCOME) for run in seen.records if run.tags.get(words.KIND) == "run"]
    trials = [run for run in seen.records if run.tags.get(words.KIND) == "trial"]
    ended = ("finished", "diverged", "failed", "interrupted")
    return {
        **{f"runs {outcome}": runs.count(outcome) for outcome in ended},
        "trials done": sum(run.tags.get(words.OUTCOME) in words.DONE for run in trials),
        "runs and searches at work": seen.at_work,
    }


def print_results(seen: Look) -> None:
    """Print the table of results and the verdicts of a study."""
    standing = standing_of(seen)
    if not standing.rows:
        return
    table = Table(title=seen.name)
    for i, heading in enumerate(HEADINGS):
        table.add_column(heading, justify="right" if i else "left")
    for row in standing.rows:
        table.add_row(*row)
    Console().print(table)
    for verdict in standing.verdicts:
        Console().print(verdict.line, style="bold", highlight=False, soft_wrap=True)
        Console().print(verdict.next_step, highlight=False, soft_wrap=True)


def standing_of(seen: Look) -> Standing:
    """Return what there is to say of a study; worked out anew where a run or search has ended since the last time.

    Statistics alone take longer to be imported than all of the rest, so what they came to is kept.
    """
    place = cache_folder("status") / f"{_digest([seen.uri, seen.experiment_id])}.json"
    state = _digest([_form(), seen.smallest_effect, sorted(_ends(seen))])
    try:
        kept = json.loads(place.read_text(encoding="utf-8"))
        if kept["state"] == state:
            return Standing.model_validate(kept["standing"])
    except (OSError, ValueError, KeyError, TypeError, ValidationError):
        pass  # nothing kept yet, or by another version
    standing = _work_out(seen.runs, seen.smallest_effect, seen.trials)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(json.dumps({"state": state, "standing": standing.model_dump()}), encoding="utf-8")
    except OSError:
        pass  # it will be worked out again
    return standing


def _work_out(runs: "pd.DataFrame", smallest_effect: float, trials: "pd.DataFrame") -> Standing:
    from study.report.tables import results_table
    from study.report.verdict import judge

    rows = []
    for row in results_table(runs).to_dict("records"):
        errors = (_spread(row[f"{e}_estimate"], row[f"{e}_sd"]) for e in ("final_train_error", "final_test_error"))
        net = f"{row['net']} ({row['variant']})" if row["variant"] else row["net"]
        rows.append((net, row["lr"] + (" tuned" if row["lr_tuned"] else ""), *errors, str(row["runs"])))
    verdicts = [Said(verdict.line, verdict.next_step) for verdict in judge(runs, smallest_effect, trials)]
    return Standing(rows=rows, verdicts=verdicts)


def _ends(seen: Look) -> list[tuple[str, str, dict[str, float], dict[str, str]]]:
    """Return what results rest on: how each run ended, in numbers and words."""
    return [
        (run.run_id, run.status, {} if run.status == "RUNNING" else dict(sorted(run.metrics.items())),
         {} if run.status == "RUNNING" else dict(sorted(run.tags.items())))
        for run in seen.records
    ]  # fmt: skip


def _form() -> int:
    """Return what changes with whatever the program says of the same results: when its report was changed last."""
    return max(file.stat().st_mtime_ns for file in (Path(__file__).parent / "report").rglob("*.py"))


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:20]


def _spread(mean: float, sd: float) -> str:
    """Return a mean with its standard deviation over seeds, where there is one."""
    return f"{mean:.2f}" if math.isnan(sd) else f"{mean:.2f} \u00b1 {sd:.2f}"
