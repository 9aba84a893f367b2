"""Options that several commands have in common."""

from typing import Annotated, Literal

import typer

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
    int, typer.Option("--retries", min=0, help="Further tries of a run that breaks for a passing cause.")
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

DatasetOption = Annotated[
    str | None,
    typer.Option("--dataset", "-d", help="digits, cifar10, cifar100, fashion-mnist, dogs-vs-cats or image-folder."),
]
RootOption = Annotated[str | None, typer.Option("--root", "-r", help="Folder of the files.")]
DataGridOption = Annotated[
    str | None, typer.Option("--grid", "-g", help="Take the data set from a grid, in place of --dataset.")
]
SizeOption = Annotated[int | None, typer.Option("--image-size", min=4, max=1024, help="Side of the square images.")]
ResizeOption = Annotated[
    Literal["crop", "pad", "stretch"] | None, typer.Option(help="How image files are made square. Default: crop.")
]
SkipBadOption = Annotated[bool, typer.Option("--skip-bad", help="Go on without files that can't be used.")]
