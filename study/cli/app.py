"""The program `study`: its commands, and how errors are shown."""

import io
import os
import signal
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn, TextIO

import typer

from study.cli.data import data_app, predict
from study.cli.init import init
from study.cli.nets import grids_app, nets
from study.cli.report import compare, judge, report
from study.cli.run import run, tune
from study.cli.status import status
from study.cli.ui import ui
from study.errors import StudyError, printable
from study.retry import transient_disk_error

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""Do deeper plain networks train worse, and do residual connections fix it, on your data?

    [bold]study run --grid experiments.yaml[/bold]   trains a grid of nets

    [bold]study ui[/bold]   shows every curve, on MLflow's pages

    [bold]study report[/bold]   writes figures, tables and a verdict

    Exit codes: 0 done, 1 some run failed, 2 bad usage or grid, 130 interrupted (run it again: it goes on).""",
)
app.add_typer(grids_app, name="grids")
app.add_typer(data_app, name="data")
EXAMPLES: dict[Callable[..., None], str] = {
    run: "study run --grid digits --set grid.depth=8,20 --set recipe.epochs=8",
    init: "study init photographs --minutes 30",
    tune: "study tune --grid cifar10-quick --workers 2",
    report: "study report --experiment digits --style paper --open",
    ui: "study ui --experiment digits",
    status: "study status --experiment digits",
    compare: "study compare digits digits-raw",
    judge: "study judge runs.csv --classes 10",
    nets: "study nets plain-20 resnet-56",
    predict: "study predict --run 'resnet-20 seed 0' --images test1.zip --out submission.csv",
}
for command, example in EXAMPLES.items():
    app.command(epilog=f"Example: {example}")(command)


@app.callback(invoke_without_command=True)
def study(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.", is_eager=True)] = False,
) -> None:
    if version:
        from study import __version__

        typer.echo(f"study {__version__}")
        raise typer.Exit


def main() -> NoReturn:
    """Run a command; a `StudyError` becomes one line and exit code 2."""
    os.environ.setdefault("DO_NOT_TRACK", "true")  # the libraries' telemetry stays off
    os.environ["MPLBACKEND"] = "agg"  # figures are files: a notebook's kernel names a backend that may not be installed
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends a command as Ctrl-C does
    sys.stdout, sys.stderr = _unbreakable(sys.stdout), _unbreakable(sys.stderr)
    sys.exit(_exit_code())


def _exit_code() -> int:
    try:
        _check_working_folder()
        app()
    except StudyError as error:
        text = "\n".join(map(printable, str(error).split("\n")))  # of a name from a server, say
        typer.secho(f"error: {text}", fg=typer.colors.RED, err=True)
        return 2
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        why = transient_disk_error(error)  # each library has its own errors for a file that couldn't be written
        if not why:
            raise
        typer.secho(f"error: {printable(why)}: make room there, or choose another place", fg=typer.colors.RED, err=True)
        return 2
    return 0


def _check_working_folder() -> None:
    try:
        Path.cwd()
    except OSError as error:
        raise StudyError(f"the working folder can't be used ({error.strerror}): change to another") from None


class _Pipe(io.FileIO):
    """A pipe that drops text written after its reader has left."""

    def write(self, data: "ReadableBuffer") -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            with Path(os.devnull).open("wb") as nothing:
                os.dup2(nothing.fileno(), self.fileno())
            return memoryview(data).nbytes


def _unbreakable(stream: TextIO) -> TextIO:
    """Return a stream that a command can write to until its end, though its reader, such as `head`, has left."""
    if not isinstance(stream, io.TextIOWrapper) or not stat.S_ISFIFO(os.fstat(stream.fileno()).st_mode):
        return stream
    stream.flush()
    pipe = io.BufferedWriter(_Pipe(stream.fileno(), "w", closefd=False))
    return io.TextIOWrapper(pipe, stream.encoding, stream.errors, line_buffering=stream.line_buffering)
