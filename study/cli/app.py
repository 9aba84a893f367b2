"""The commands: parse, call, print. Heavy imports stand inside them, so that `study --help` answers at once."""

import gc
import io
import os
import signal
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn, TextIO

import typer

from study.cli.data_options import data_app
from study.cli.report_options import compare, report, status
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

    [bold]mlflow ui[/bold]   shows every curve

    [bold]study report[/bold]   writes figures, tables and a verdict

    Exit codes: 0 done, 1 some run failed, 2 bad usage or grid, 130 interrupted (run it again: it goes on).""",
)
grids_app = typer.Typer(help="List the grids that come with the program, or print one.")
app.add_typer(grids_app, name="grids")
app.add_typer(data_app, name="data")

CLUSTER = "Cluster"
GridOption = Annotated[str, typer.Option("--grid", "-g", help="A grid file, or the name of a shipped grid.")]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", "-s", help="Change a setting of the grid, like recipe.lr=0.1. Repeatable.")
]
DeviceOption = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:N.")]
WorkersOption = Annotated[
    int | None, typer.Option("--workers", min=1, help="Runs at once; default a core or GPU each.")
]
ReplicasOption = Annotated[
    int | None, typer.Option("--replicas", min=1, max=16, help="Runs that a worker trains at once; default 1 to 4.")
]
RetriesOption = Annotated[
    int,
    typer.Option("--retries", min=0, help="Further tries of a run that breaks for a passing cause."),
]
CheckpointOption = Annotated[
    float, typer.Option("--checkpoint-every", min=0, help="Seconds between two checkpoints of a run.")
]
HangOption = Annotated[
    float, typer.Option("--hang-after", min=0.05, help="Minutes without a sign of life after which a worker is killed.")
]
ExecutorOption = Annotated[
    Literal["local", "ray", "slurm"],
    typer.Option(
        "--executor", help="Where runs are done: this machine, or a cluster of Ray or Slurm.", rich_help_panel=CLUSTER
    ),
]
AddressOption = Annotated[
    str | None,
    typer.Option("--address", help="Of the cluster, host:port; default this machine's.", rich_help_panel=CLUSTER),
]
CpusOption = Annotated[
    int | None, typer.Option("--cpus-per-worker", min=1, help="CPUs of a worker; default 1.", rich_help_panel=CLUSTER)
]
GpusOption = Annotated[
    float | None,
    typer.Option(
        "--gpus-per-worker",
        min=0,
        help="GPUs of a worker, or a part of one, such as 0.25; default 1 where a Ray cluster has any, 0 with Slurm.",
        rich_help_panel=CLUSTER,
    ),
]
MemoryOption = Annotated[
    float | None,
    typer.Option(
        "--memory-per-worker", min=0, help="GiB of memory of a worker, to plan with.", rich_help_panel=CLUSTER
    ),
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print results and problems only.")]


@app.callback(invoke_without_command=True)
def study(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.", is_eager=True)] = False,
) -> None:
    if version:
        from study import __version__

        typer.echo(f"study {__version__}")
        raise typer.Exit


@app.command()
def run(
    grid: GridOption = "experiments.yaml",
    changes: SetOption = None,
    device: DeviceOption = "auto",
    workers: WorkersOption = None,
    replicas: ReplicasOption = None,
    lr_from: Annotated[
        str | None, typer.Option("--lr-from", help="Use the learning rates that this study found, and search none.")
    ] = None,
    retries: RetriesOption = 2,
    checkpoint_every: CheckpointOption = 20.0,
    hang_after: HangOption = 30.0,
    executor: ExecutorOption = "local",
    address: AddressOption = None,
    cpus: CpusOption = None,
    gpus: GpusOption = None,
    memory: MemoryOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be done, and its cost; do nothing.")
    ] = False,
    quiet: QuietOption = False,
) -> None:
    """Train the nets of a grid; run it again after a stop, and it goes on."""
    from study.cli import run as commands
    from study.launch.executors.base import Hardware, Limits

    text = (grid, tuple(changes or ()))
    if dry_run:
        from study.cli import plan as commands_plan

        if executor != "local":
            typer.echo("times, memory and workers below are those of this machine, not of the cluster", err=True)
        raise typer.Exit(commands_plan.dry_run(*text, lr_from, device, workers, replicas))
    hardware = Hardware(device, workers, replicas, executor, address, cpus, gpus, memory)
    limits = Limits(retries, checkpoint_every, 60 * hang_after)
    raise typer.Exit(commands.run(*text, hardware, limits, quiet=quiet, lr_from=lr_from))


@app.command()
def tune(
    grid: GridOption = "experiments.yaml",
    changes: SetOption = None,
    device: DeviceOption = "auto",
    workers: WorkersOption = None,
    replicas: ReplicasOption = None,
    retries: RetriesOption = 2,
    checkpoint_every: CheckpointOption = 20.0,
    hang_after: HangOption = 30.0,
    executor: ExecutorOption = "local",
    address: AddressOption = None,
    cpus: CpusOption = None,
    gpus: GpusOption = None,
    memory: MemoryOption = None,
    quiet: QuietOption = False,
) -> None:
    """Search the learning rates of a grid, and run nothing else; `study run` goes on from there."""
    from study.cli import run as commands
    from study.launch.executors.base import Hardware, Limits

    hardware = Hardware(device, workers, replicas, executor, address, cpus, gpus, memory)
    limits = Limits(retries, checkpoint_every, 60 * hang_after)
    raise typer.Exit(commands.run(grid, tuple(changes or ()), hardware, limits, quiet=quiet, only_search=True))


app.command()(report)
app.command()(status)
app.command()(compare)


@app.command()
def nets(
    size: Annotated[int, typer.Option(min=8, help="Side of CIFAR-family images in pixels.")] = 32,
    imagenet_size: Annotated[int, typer.Option(min=32, help="Side of ImageNet-family and VGG images.")] = 224,
    shortcut: Annotated[
        Literal["A", "B", "C"] | None, typer.Option(help="Default: A for CIFAR, B for ImageNet.")
    ] = None,
    names: Annotated[
        list[str] | None, typer.Argument(help="Nets such as plain-20; default those of the paper.")
    ] = None,
) -> None:
    """Print layers, parameters and multiply-adds of nets, counted from the nets themselves."""
    from study.cli import run as commands

    commands.nets(names or [], size, imagenet_size, shortcut)


@app.command()
def predict(
    run: Annotated[str, typer.Option("--run", help="A finished run: its id, or its name, such as 'resnet-20 seed 0'.")],
    images: Annotated[Path, typer.Option(help="Folder of images, or a zip archive such as Kaggle's test1.zip.")],
    out: Annotated[Path, typer.Option(help="File to write.")] = Path("submission.csv"),
    experiment: Annotated[
        str | None, typer.Option("--experiment", "-e", help="The study of a run given by name; default the newest.")
    ] = None,
    views: Annotated[
        Literal["center", "ten-crop", "multi-scale"], typer.Option(help="Views of each image that are averaged.")
    ] = "center",
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="Write probabilities in place of labels.")
    ] = False,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave out files that can't be used.")] = False,
) -> None:
    """Predict unlabelled images with a finished run, in Kaggle's format: id,label."""
    from study.cli import data as commands_data

    commands_data.predict(run, experiment, images, out, views=views, probabilities=probabilities, skip_bad=skip_bad)


@grids_app.callback(invoke_without_command=True)
def grids(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        from study.cli import run as commands

        commands.list_grids()


@grids_app.command("show")
def show_grid(name: Annotated[str, typer.Argument(help="A shipped grid, or a file.")]) -> None:
    """Print a grid: a file to start from."""
    from study.config import grid_text

    typer.echo(grid_text(name)[0], nl=False)


def main() -> NoReturn:
    """Run a command; an error of the user's becomes one line and exit code 2."""
    gc.set_threshold(50_000, 20, 20)  # imports make no garbage, and looking for it took half a second
    os.environ.setdefault("DO_NOT_TRACK", "true")  # the libraries' telemetry stays off
    os.environ["MPLBACKEND"] = "agg"  # figures are files: a notebook's kernel names a backend that may not be installed
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends a command as Ctrl-C does
    sys.stdout, sys.stderr = _unbreakable(sys.stdout), _unbreakable(sys.stderr)
    sys.exit(_exit_code())


def _exit_code() -> int:
    try:
        app()
    except StudyError as error:
        text = "\n".join(map(printable, str(error).split("\n")))  # of a name from a server, say
        typer.secho(f"error: {text}", fg=typer.colors.RED, err=True)
        return 2
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        why = transient_disk_error(error)  # libraries have errors of their own for a file that couldn't be written
        if not why:
            raise
        typer.secho(f"error: {printable(why)}: make room there, or choose another place", fg=typer.colors.RED, err=True)
        return 2
    return 0


class _Pipe(io.FileIO):
    """A pipe; what is written after its reader has left is dropped."""

    def write(self, data: "ReadableBuffer") -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            with Path(os.devnull).open("wb") as nothing:
                os.dup2(nothing.fileno(), self.fileno())
            return memoryview(data).nbytes


def _unbreakable(stream: TextIO) -> TextIO:
    """Return a stream to which a command writes until its end, with an exit code of its own, though `head` has left."""
    if not isinstance(stream, io.TextIOWrapper) or not stat.S_ISFIFO(os.fstat(stream.fileno()).st_mode):
        return stream
    stream.flush()
    pipe = io.BufferedWriter(_Pipe(stream.fileno(), "w", closefd=False))
    return io.TextIOWrapper(pipe, stream.encoding, stream.errors, line_buffering=stream.line_buffering)
