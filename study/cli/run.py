"""`study run` and `study tune`: do the runs of a grid, or its searches alone, or say what they would take."""

import math
import shlex
import statistics
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from study.cli.console import print_table
from study.cli.init import (
    MINUTES,
    data_option,
    grid_file,
    grid_of_folder,
    minutes_option,
    print_proposal,
    skip_bad_option,
)
from study.cli.options import LaunchOptions, spread
from study.cli.status import print_results
from study.errors import StudyError, with_noun, without_passwords
from study.terminal import say
from study.track.tags import FINALS

if TYPE_CHECKING:
    from study.config import Grid
    from study.launch.display import Display
    from study.launch.estimate import Estimate
    from study.launch.run_grid import Plan
    from study.launch.scheduler.scheduler import Summary

PLAN_HEADINGS = ("net", "MACs", "iterations", "rate", "done", "continue", "to do", "trials", "work left")


@spread
def run(
    options: LaunchOptions,
    data: Annotated[str | None, data_option] = None,
    minutes: Annotated[float, minutes_option] = MINUTES,
    skip_bad: Annotated[bool, skip_bad_option] = False,
    lr_from: Annotated[
        str | None, typer.Option("--lr-from", help="Use the learning rates that this study found, and search none.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be done, and its cost; do nothing.")
    ] = False,
) -> None:
    """Train the nets of a grid; run it again after a stop, and it goes on."""
    if data is not None:
        if options.grid != LaunchOptions.grid:
            raise StudyError("--data makes a grid of its own: give either --data or --grid")
        if dry_run and not grid_file(data).exists():
            print_proposal(data, minutes, options, skip_bad=skip_bad)
            say("nothing was written or started")
            return
        options = replace(options, grid=str(grid_of_folder(data, minutes, options, skip_bad=skip_bad)))
    if dry_run:
        print_plan(options, lr_from)
    else:
        raise typer.Exit(run_and_print(options, lr_from))


@spread
def tune(options: LaunchOptions) -> None:
    """Search the learning rates of a grid, and run nothing else; `study run` goes on from there."""
    raise typer.Exit(run_and_print(options, only_search=True))


def run_and_print(options: LaunchOptions, lr_from: str | None = None, *, only_search: bool = False) -> int:
    """Run a grid, or its searches alone, then print its results, verdict and what to do next; return the exit code."""
    from study.config import grid_text, parse_grid, with_changes
    from study.launch.display import Display

    changes = options.changes or ()
    file, place = grid_text(options.grid)
    grid = with_rates(parse_grid(file, place, tuple(changes)), lr_from)
    if only_search and not any(spec.recipe.lr == "tune" for spec in grid.points):
        raise StudyError(f"{place}: no net has 'lr: tune', so there is nothing to search")
    if not options.quiet:
        say(size_of(grid), error=True)
    from study.launch.run_grid import run_grid  # imports PyTorch, which takes seconds

    words = ["study", "tune" if only_search else "run", "--grid", options.grid]
    words += [word for change in changes for word in ("--set", change)] + (["--lr-from", lr_from] if lr_from else [])
    command = shlex.join(map(without_passwords, words))
    text = with_changes(file, changes)
    text += f"# learning rates from study {lr_from}\n" if lr_from else ""
    hardware, limits = options.hardware(), options.limits()
    with Display(Console(stderr=True), quiet=options.quiet) as display:
        summary = run_grid(
            grid, display, hardware=hardware, limits=limits, text=text, command=command, only_search=only_search
        )
    return print_summary(summary, display, grid.name, command, only_search=only_search)


def size_of(grid: "Grid") -> str:
    """Say how many runs and searches a grid has, those done before included."""
    searched = [spec.on_split(0).with_recipe(budget=1.0) for spec in grid.points if spec.recipe.lr == "tune"]
    searches = len({spec.cell_key("") for spec in searched})
    rates = f", and {searches} search{'es' * (searches != 1)} of {with_noun(grid.tune.trials, 'learning rate')}"
    return f"{grid.name}: {with_noun(len(grid.points), 'run')}{rates if searches else ''}"


def with_rates(grid: "Grid", lr_from: str | None) -> "Grid":
    """Return a grid with the learning rates that the study `lr_from` found, if one is named, and say which they are."""
    if lr_from is None:  # without PyTorch, so that the first line comes at once
        return grid
    from study.launch.plan.cells import with_rates_from

    given = with_rates_from(grid, lr_from)
    pairs = zip(grid.points, given.points, strict=True)
    rates = dict.fromkeys(f"{spec.net} {spec.recipe.lr:g}" for asked, spec in pairs if asked.recipe.lr == "tune")
    say(
        f"learning rates from study {lr_from}: {', '.join(rates)}; what 'tune' says in this grid isn't used", error=True
    )
    return given


def print_summary(summary: "Summary", display: "Display", name: str, command: str, *, only_search: bool) -> int:
    """Print a launcher's summary and what to do next; return the exit code."""
    from study.track.snapshot import take_snapshot
    from study.track.view import write_description

    ended = summary.finished + summary.diverged
    earlier = f", {summary.earlier} runs were done before" if summary.earlier else ""
    display.say(f"{ended} runs and {summary.trials} trials done{earlier} ({summary.seconds:.0f} s)")
    failed: dict[str, list[str]] = {}
    for run_name, cause in summary.failures:
        failed.setdefault(cause, []).append(run_name)
    for cause, names in failed.items():
        display.warn(f"failed: {names[0]}{f' and {len(names) - 1} more' if len(names) > 1 else ''}: {cause}")
    if summary.interrupted:  # printing results would take seconds, and the user wants to stop
        display.warn(f"interrupted, nothing is lost; to go on: {command}")
        return 130
    verdicts: list[str] = []
    try:
        if only_search:
            print_rates(name)
        elif ended + summary.earlier:
            verdicts = print_results(take_snapshot(name))
    except StudyError as error:  # renamed or deleted meanwhile
        display.warn(f"no results to show: {error}")
    try:
        write_description(name, verdicts)
    except StudyError as error:
        display.warn(f"the experiment's description still has the verdict before this one: {error}")
    if summary.failures:
        display.warn(
            f"the cause of each failure is in MLflow (traceback.txt or worker.log of the run); to try again: {command}"
        )
        return 1
    pages = pages_of(name)
    if only_search:
        train = command.replace("study tune", "study run", 1)
        say(f"to train at these rates: {train}\nevery trial: {pages}", error=True)
    else:
        report = shlex.join(["study", "report", "--experiment", name])
        say(f"figures and tables: {report}\nevery curve: {pages}", error=True)
    return 0


def pages_of(name: str) -> str:
    """Return the address of a study's curves on a tracking server, or else the command that serves MLflow's pages."""
    from study.track.find import find_experiment
    from study.track.uri import tracking_uri, ui_address
    from study.track.view import view_address

    if (uri := tracking_uri()).startswith("http"):
        with suppress(StudyError):  # renamed or deleted meanwhile
            return view_address(ui_address(uri), find_experiment(name, uri))
    return shlex.join(["study", "ui", "--experiment", name])


def print_rates(name: str) -> None:
    """Print the rates that the searches of a study chose."""
    from study.track.frames import load_search_results

    rows = []
    for search in sorted(load_search_results(name), key=lambda search: (search.variant, search.net)):
        besides = ", ".join(f"{field} {value:g}" for field, value in search.point.items() if field != "lr")
        net = f"{search.net} ({search.variant})" if search.variant else search.net
        rows.append((net, f"{search.point['lr']:g}", besides))
    print_table(("net", "learning rate", "besides"), rows, title=f"{name}: learning rates", left=("net", "besides"))


def print_plan(options: LaunchOptions, lr_from: str | None) -> None:
    """Print the plan of a grid and the cost of what is left; measure nets of unknown speed first."""
    from study.config import load_grid
    from study.launch.display import Display, duration
    from study.launch.estimate import SpeedCache, estimate, time_cells
    from study.launch.executors.devices import choose_workers
    from study.launch.run_grid import make_plan

    hardware = options.hardware()
    if hardware.executor != "local":
        say("times, memory and workers below are those of this machine, not of the cluster", error=True)
    grid = with_rates(load_grid(options.grid, tuple(options.changes or ())), lr_from)
    with Display(Console(stderr=True)) as display:
        plan = make_plan(grid, display)
        chosen_workers = choose_workers(hardware, plan.jobs, plan.gpus_per_run)
        speeds = SpeedCache(chosen_workers, plan.facts)
        timed = time_cells(plan.cells, speeds, plan.facts, grid, display.loading)
    cost = estimate(timed, plan.facts, grid.tune, chosen_workers)
    print_cells(grid.name, plan, cost, grid.tune.trainings)
    say(what_it_can_show(grid, plan))
    runs = sum(len(cell.left) for cell in plan.cells)
    adds = sum(cell.runs_cost + cell.search_cost(grid.tune.trainings) for cell in plan.cells)
    searches = " and their searches" if any(cell.point is None for cell in plan.cells) else ""
    say(f"left to do: {runs} runs{searches}, {with_letter(adds)} multiply-adds")
    if runs:
        workers = f"{len(chosen_workers.devices)} worker{'s' * (len(chosen_workers.devices) > 1)}"
        gpu = f"{cost.gpu / 1024:.1f} GiB of a GPU's, " if cost.gpu else ""
        say(
            f"about {duration(cost.seconds)} on {workers} ({', '.join(dict.fromkeys(chosen_workers.names))}), "
            f"{cost.memory / 1024:.1f} GiB of memory, {gpu}"
            f"{max(1, round(cost.disk / 1e6)):,} MB of disk; nothing was started"
        )


def what_it_can_show(grid: "Grid", plan: "Plan") -> str:
    """Say which rise of training error in plain nets so many seeds show, by the spread of the runs done if any are.

    Of several splits, as many as each net has, each with the mean of its seeds.
    """
    from study.statistics.multiplicity import SEQUENCE_SHARE
    from study.statistics.power import detectable
    from study.track.frames import runs_frame
    from study.verdict.rule import ALPHA
    from study.verdict.selection import unit_means

    plain = [cell for cell in plan.cells if cell.kind[1] == "plain" and cell.specs[0].recipe.budget == 1]
    depths = {kind: len([cell for cell in plain if cell.kind == kind]) for kind in {cell.kind for cell in plain}}
    cells = [cell for cell in plain if depths[cell.kind] > 1]
    if not cells:
        return "no two plain nets differ in depth alone, so there will be no verdict on it"
    unit = "split" if len(grid.splits) > 1 else "seed"
    repeats = min(len({spec.repeat[0 if unit == "split" else 1] for spec in cell.specs}) for cell in cells)
    if repeats < 2:
        return f"one {unit} a net gives numbers without a verdict: two or more are needed"
    several = max(depths.values()) > 2
    steady = "that grows with every depth " if several else ""
    factor = detectable(repeats, ALPHA * (SEQUENCE_SHARE if several else 1))
    done = [runs_frame(cell.done) for cell in cells if cell.done]
    errors = [unit_means(runs, FINALS[0], several=unit == "split") for runs in done]
    variances = [float(values.var(ddof=1)) for values in errors if len(values) > 1]
    spread = math.sqrt(statistics.fmean(variances)) if variances else 1.0
    where = f"spread by {spread:.2g} points as the runs that are done" if variances else "of a net spread by 1 point"
    rise = grid.smallest_effect + factor * spread
    return (
        f"with {repeats} {unit}s a net, a rise of {rise:.2g} points {steady}is shown in 80% of studies if {unit}s "
        f"{where}: {grid.smallest_effect:g} and {factor:.2g} times the spread"
    )


def print_cells(name: str, plan: "Plan", cost: "Estimate", trainings: int) -> None:
    """Print a row per cell: its net, the runs done and left, and the time of the rest."""
    from study.launch.display import duration

    facts, rows = plan.facts, []
    for cell, seconds in zip(plan.cells, cost.cells, strict=True):
        begun = sum(record is not None for _, record in cell.left)
        rows.append(
            (
                cell.name,
                with_letter(cell.complexity.multiply_adds),
                f"{cell.specs[0].recipe.total_iterations(facts.train_images):,}",
                f"{cell.point['lr']:g}" if cell.point else "tune",
                *(str(number) for number in (len(cell.done), begun, len(cell.left) - begun)),
                f"<= {trainings}" if cell.owns_search and not cell.point else "",
                duration(seconds) if cell.left else "",
            )
        )
    title = f"{name}: {facts.train_images:,} training and {facts.test_images:,} test images"
    console = Console()
    if not console.is_terminal:  # whole names, for programs that read them
        console = Console(width=max(console.width, 100 + max(len(cell.name) for cell in plan.cells)))
    print_table(PLAN_HEADINGS, rows, title=title, console=console)


def with_letter(number: float) -> str:
    """Format a large number with a letter: 7.8M, 3.9T."""
    for size, letter in ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.3g}{letter}"
    return f"{number:.3g}"
