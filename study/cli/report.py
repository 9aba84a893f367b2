"""`study report`, once or again and again while runs go on, and `study compare`."""

import json
import re
import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

import typer

from study.cli.console import open_in_browser, print_verdicts, warn
from study.cli.options import experiment_option
from study.errors import StudyError, without_passwords
from study.paths import check_writable
from study.retry import transient_disk_error
from study.terminal import say
from study.track.find import newest_study

if TYPE_CHECKING:
    from study.report import Joined
    from study.report.figures.style import Style
    from study.track.frames import Study
    from study.track.snapshot import Snapshot

IDLE_SECONDS = 5.0
"""Seconds before a second look if no run is active: between two runs there is a moment without any."""


class ReportOptions(NamedTuple):
    """Where a page goes, and how it looks."""

    out: Path | None = None
    """Its folder; None for the usual one."""
    style: "Style" = "house"
    mlflow_ui: str = ""
    """Address of MLflow's pages, for links to runs; empty where the server's own is right."""

    def words(self) -> list[str]:
        """Return these options as words of the command line."""
        style = self.style if self.style != "house" else ""
        options = (("--out", self.out), ("--style", style), ("--mlflow-ui", self.mlflow_ui))
        return [word for option, value in options if value for word in (option, str(value))]


def report(
    experiment: Annotated[
        list[str] | None,
        experiment_option(help="The study; default the newest. Repeatable: several on one page."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder to write; default reports/STUDY.")] = None,
    style: Annotated[
        Literal["house", "paper"], typer.Option(help="Look of the curves; paper: axes and colours of its figures.")
    ] = "house",
    mlflow_ui: Annotated[
        str, typer.Option("--mlflow-ui", help="Address of MLflow's pages, for links to runs; default its server's.")
    ] = "",
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Make it again while runs go on; Ctrl-C ends that (exit code 0).")
    ] = False,
    every: Annotated[float, typer.Option(min=1, help="Seconds between two looks with --watch.")] = 20,
    show: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
) -> None:
    """Write the figures, tables and verdict of a study, or of several, from MLflow alone."""
    names = list(dict.fromkeys(experiment or [])) or [newest_study()]
    options = ReportOptions(out, style, mlflow_ui)
    check_writable(report_folder(names, out))
    if watch:
        try:
            page = write_while_running(names, options, every)
        except KeyboardInterrupt:
            say_with_time("watching ends; the report stays as it was made last")
            return
    else:
        page = read_and_write(names, options)
        if show:
            open_in_browser(page.as_uri())
    if len(names) == 1:
        keep_in_mlflow(names[0], page.parent)


def compare(
    names: Annotated[list[str], typer.Argument(metavar="STUDY", help="Studies.", show_default=False)],
    out: Annotated[Path | None, typer.Option(help="Folder to write; default reports/A+B.")] = None,
) -> None:
    """Set two studies side by side: settings, net by net and with depth. Of more, test their verdicts together."""
    from study.report import build_report, compare_runs, conclusions, join, warnings
    from study.track.frames import load_study

    if len(set(names)) < max(2, len(names)):
        repeated = next((name for name in names if names.count(name) > 1), names[0])
        raise StudyError(f"'{repeated}' is one study: give two to compare")
    if len(names) > 2:
        read_and_write(names, ReportOptions(out))
        return
    a, b = names
    check_writable(report_folder(names, out))
    words = ["study", "compare", a, b, *(["--out", str(out)] if out else [])]
    study = join([load_study(name) for name in (a, b)], shlex.join(words))
    print_remarks(study.words)
    comparison = compare_runs(study.runs, (a, b), study.rule.smallest_effect)
    page = build_report(study, report_folder([a, b], out), comparison=comparison)
    for sentence in conclusions(comparison):
        say(sentence, "bold")
    for warning in warnings(comparison):
        say(f"not comparable as they are: {warning}")
    print_path(page)


def judge(
    file: Annotated[Path | None, typer.Argument(help="A CSV file, a row a run.", show_default=False)] = None,
    experiment: Annotated[
        str | None,
        typer.Option("--experiment", "-e", help="In place of a file: an MLflow experiment, whoever made it."),
    ] = None,
    columns: Annotated[
        list[str] | None,
        typer.Option("--column", help="What the experiment calls a column, like depth=params.layers. Repeatable."),
    ] = None,
    classes: Annotated[int | None, typer.Option(min=2, help="Number of classes, where no column says it.")] = None,
    fractions: Annotated[bool, typer.Option("--fractions", help="Errors are parts of 1, not percent.")] = False,
    out: Annotated[Path | None, typer.Option(help="Folder to write; default reports/NAME.")] = None,
) -> None:
    """Judge runs that were made elsewhere: verdict, tables and figures of a CSV file or an MLflow experiment."""
    from study.report import join
    from study.track.table import read_experiment, read_table

    names: dict[str, str] = {}
    for column in columns or []:
        key, equals, names[key] = column.partition("=")
        if not key or not equals:
            raise StudyError(f"--column {column}: write COLUMN=NAME, like depth=params.layers")
    words = ["study", "judge", *([str(file)] if file else [])]
    if file is not None and experiment is None and not names:
        study = read_table(file, classes, fractions=fractions)
    elif experiment is not None and file is None:
        study = read_experiment(experiment, names, classes, fractions=fractions)
        words += ["--experiment", experiment, *(word for column in columns or [] for word in ("--column", column))]
    else:
        raise StudyError("name a CSV file, or an MLflow experiment with --experiment; --column is for the latter")
    words += [*(["--classes", str(classes)] if classes else []), *(["--fractions"] if fractions else [])]
    words += ["--out", str(out)] if out else []
    check_writable(folder := report_folder([study.name], out))
    write_page(join([study], shlex.join(words)), folder, ReportOptions(out))


def read_and_write(names: Sequence[str], options: ReportOptions) -> Path:
    """Write the report of these studies, print the verdicts and its path, and return it."""
    from study.track.find import missing_files_warning
    from study.track.frames import load_study

    for line in filter(None, map(missing_files_warning, names)):
        say(line, error=True)
    return write_report([load_study(name) for name in names], options)


def keep_in_mlflow(name: str, folder: Path) -> None:
    """Store a study's report in MLflow, beside its runs; where that can't be done, say so."""
    from study.report.publish import PARTS
    from study.track.view import store_report

    try:
        store_report(name, folder, PARTS)
    except StudyError as error:
        say(f"the report isn't in MLflow: {error}", error=True)


def write_report(studies: Sequence["Study"], options: ReportOptions) -> Path:
    """Write the report of studies that were read; print the verdicts and its path, and return it."""
    return write_page(
        on_one_page(studies, options), report_folder([study.name for study in studies], options.out), options
    )


def write_page(study: "Joined", folder: Path, options: ReportOptions) -> Path:
    """Write a report; print the verdicts and its path, and return it."""
    from study.report import build_report

    print_remarks(study.words)
    page = build_report(study, folder, style=options.style)
    record = json.loads((page.parent / "verdict.json").read_text(encoding="utf-8"))
    print_verdicts(record["verdicts"])
    for sentence in record.get("overall", {}).get("sentences", ()):
        say(sentence, "bold")
    print_path(page)
    return page


def on_one_page(studies: Sequence["Study"], options: ReportOptions) -> "Joined":
    """Join studies into one, with the command that makes their report."""
    from study.report import join

    words = ["study", "report", *(word for study in studies for word in ("--experiment", study.name))]
    if options.mlflow_ui:
        studies = [replace(study, provenance=study.provenance.with_pages(options.mlflow_ui)) for study in studies]
    return join(studies, shlex.join(map(without_passwords, words + options.words())))


def report_folder(names: Sequence[str], out: Path | None) -> Path:
    """Return where a report goes: `out`, or a folder named for the studies, safe for any characters in their names."""
    safe = [re.sub(r"[^\w.-]+", "-", name).strip(".-") or "study" for name in names]
    return out or Path("reports") / "+".join(safe)[:200]


def print_remarks(words: Mapping[str, str]) -> None:
    """Print what isn't known of runs made elsewhere, which are left out, and which changes of the rule aren't used."""
    warn(line for name in ("note", "left out", "rule") for line in words.get(name, "").splitlines())


def print_path(page: Path) -> None:
    """Print the path of a page."""
    say(f"report: {page.relative_to(Path.cwd()) if page.is_relative_to(Path.cwd()) else page}")


def write_while_running(names: Sequence[str], options: ReportOptions, every: float) -> Path:
    """Write the report again whenever the study has changed, until no run is active; return the page.

    Wait for a server that is unavailable, except at the first look.

    Raises:
        StudyError: no such study, or it has come to its end without a result.
    """
    from study.track.frames import complete_study
    from study.track.snapshot import take_snapshot
    from study.track.uri import Unreachable

    snapshots = [take_snapshot(name) for name in names]
    message, written, idle_snapshots, page = "", "", 0, Path()
    while True:
        try:
            state = "".join(snapshot.state for snapshot in snapshots)
            idle_snapshots = 0 if any(snapshot.active for snapshot in snapshots) else idle_snapshots + 1
            waiting = "" if idle_snapshots > 1 else reason_to_wait(snapshots)
            if state != written and not waiting:
                page = write_report([complete_study(snapshot) for snapshot in snapshots], options)
                written = state
                message = say_once(progress_of(snapshots), message)
            elif waiting:
                message = say_once(waiting, message)
            if idle_snapshots > 1:
                say_with_time("no run is at work any more: watching ends")
                return page
            time.sleep(min(every, IDLE_SECONDS) if idle_snapshots else every)
            snapshots = [take_snapshot(name) for name in names]
        except Exception as error:
            why = str(error) if isinstance(error, Unreachable) else transient_disk_error(error)
            if not why:
                raise
            message = say_once(f"{why}; trying again every {every:g} s", message)
            idle_snapshots = 0
            time.sleep(every)


def reason_to_wait(snapshots: Sequence["Snapshot"]) -> str:
    """Return what is missing for a report; empty where some run counts."""
    from study.track.frames import runs_frame
    from study.verdict import counted

    if any(len(counted(runs_frame(snapshot.records))) for snapshot in snapshots):
        return ""
    names = ", ".join(f"'{snapshot.name}'" for snapshot in snapshots)
    return f"waiting: no run of {names} has ended yet ({active_runs(snapshots)})"


def progress_of(snapshots: Sequence["Snapshot"]) -> str:
    """Return how many runs are counted, and how many are at work."""
    from study.track.frames import runs_frame
    from study.verdict import counted

    runs = [runs_frame(snapshot.records) for snapshot in snapshots]
    ended, total = sum(len(counted(frame)) for frame in runs), sum(map(len, runs))
    return f"{ended} of {total} runs counted, {active_runs(snapshots)}"


def active_runs(snapshots: Sequence["Snapshot"]) -> str:
    """Return the number of active runs and searches as text."""
    return f"{sum(snapshot.active for snapshot in snapshots)} runs and searches at work"


def say_once(text: str, last: str) -> str:
    """Print a line unless it was the last one; return it."""
    if text != last:
        say_with_time(text)
    return text


def say_with_time(text: str) -> None:
    """Print a line to standard error, with the time of day."""
    say(f"{time.strftime('%H:%M:%S')} {text}", error=True)
