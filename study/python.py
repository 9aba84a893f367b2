"""The program in Python: run a grid, and get its runs and verdicts as one object."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from rich.console import Console

from study.config import grid_text, parse_grid, with_changes
from study.errors import StudyError
from study.launch.display import Display
from study.launch.executors.base import Hardware, Limits
from study.launch.run_grid import run_grid
from study.report import build_report, join
from study.track.frames import load_study, runs_frame, trials_frame
from study.track.snapshot import take_snapshot
from study.verdict import Rule, Verdict, judge


@dataclass(frozen=True, eq=False)
class Result:
    """What came out of a grid; it shows itself as its verdict."""

    name: str
    runs: pd.DataFrame
    """As `study.track.frames.load_runs` returns them."""
    verdicts: tuple[Verdict, ...]

    def __repr__(self) -> str:
        return "\n\n".join("\n".join((verdict.line, verdict.next_step)) for verdict in self.verdicts) or self.name

    def report(self, out: str | Path | None = None) -> Path:
        """Write the report of the study, by default into reports/NAME, and return its page."""
        study = join([load_study(self.name)], f"study report --experiment {self.name}")
        return build_report(study, Path(out or f"reports/{self.name}"))


def run(grid: str, *changes: str, hardware: Hardware | None = None, limits: Limits | None = None) -> Result:
    """Run what is missing of a grid, as `study run` does, and return its result; call it again to go on after a stop.

    Args:
        grid: a file, the name of a shipped grid, or the text of a grid.
        changes: settings such as ``recipe.lr=0.1``, put over the grid.
        hardware: where runs are done; by default what this machine has.
        limits: of retries and times.

    Raises:
        StudyError: the grid, its data, MLflow or the device can't be used, or some run failed.
        KeyboardInterrupt: it was stopped; nothing is lost.
    """
    text, place = (grid, "the grid") if "\n" in grid else grid_text(grid)
    parsed = parse_grid(text, place, changes)
    with Display(Console(), quiet=True) as display, _no_main():
        stored = with_changes(text, changes)
        summary = run_grid(parsed, display, hardware=hardware, limits=limits, text=stored, command="study.python.run")
    if summary.interrupted:
        raise KeyboardInterrupt
    if summary.failures:
        failed, cause = summary.failures[0]
        raise StudyError(f"{len(summary.failures)} runs failed, the first of them {failed}: {cause}")
    return load_result(parsed.name)


@contextmanager
def _no_main() -> Iterator[None]:
    """Let workers start without the module that this process runs: a script without a guard would run itself again."""
    main = sys.modules["__main__"]
    names = {name: getattr(main, name) for name in ("__spec__", "__file__") if hasattr(main, name)}
    for name in names:
        setattr(main, name, None)
    try:
        yield
    finally:
        for name, value in names.items():
            setattr(main, name, value)


def load_result(name: str) -> Result:
    """Return what came out of a study so far.

    Raises:
        StudyError: no such study.
    """
    snapshot = take_snapshot(name)
    runs, (protocols, _) = runs_frame(snapshot.records), snapshot.protocols
    verdicts = judge(runs, Rule.of(protocols), trials_frame(snapshot.records), protocols, snapshot.commands)
    return Result(name, runs, tuple(verdicts))
