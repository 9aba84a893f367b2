"""The commands that read results: `study report`, `study status` and `study compare`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

ExperimentsOption = Annotated[
    list[str] | None,
    typer.Option("--experiment", "-e", help="The study; default the newest. Repeatable: several on one page."),
]
OutOption = Annotated[Path | None, typer.Option(help="Folder to write; default reports/STUDY.")]


def report(
    experiment: ExperimentsOption = None,
    out: OutOption = None,
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
) -> None:
    """Write the figures, tables and verdict of a study, or of several, from MLflow alone."""
    from study.cli import report as commands_report
    from study.cli import watch as commands_watch

    names = commands_report.studies(experiment or [])
    wish = commands_report.Wish(out, style, mlflow_ui)
    if watch:
        commands_watch.watch(names, wish, every)
    else:
        commands_report.report(names, wish)


def status(
    experiment: Annotated[str | None, typer.Option("--experiment", "-e", help="The study; default the newest.")] = None,
) -> None:
    """Print the results of a study so far, and its verdict."""
    from study.cli import status as commands_status

    commands_status.status(experiment)


def compare(
    a: Annotated[str, typer.Argument(help="A study.", show_default=False)],
    b: Annotated[str, typer.Argument(help="The study that is set against it.", show_default=False)],
    out: Annotated[Path | None, typer.Option(help="Folder to write; default reports/A+B.")] = None,
) -> None:
    """Set two studies side by side: what differs in settings, net by net and with depth."""
    from study.cli import report as commands_report

    commands_report.compare(a, b, out)
