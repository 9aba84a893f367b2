"""Options that several commands have in common, as dataclasses that a command takes whole."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_type_hints

from typer import Option

from study.cli import complete
from study.errors import StudyError

if TYPE_CHECKING:
    from study.config import DatasetSpec
    from study.launch.executors.base import Hardware, Limits

experiment_option = partial(Option, "--experiment", "-e", autocompletion=complete.studies)
cluster_option = partial(Option, rich_help_panel="Cluster")


def spread(command: Callable[..., None]) -> Callable[..., None]:
    """Make an option of each field of the dataclass that a command takes first: Typer knows no groups of options."""
    first, *parameters = inspect.signature(command, eval_str=True).parameters.values()
    group = first.annotation
    options = get_type_hints(group, include_extras=True)
    spread_out = [
        first.replace(name=key, default=getattr(group, key), annotation=kind) for key, kind in options.items()
    ]

    @wraps(command)
    def call(**given: Any) -> None:
        command(group(**{key: given.pop(key) for key in options}), **given)

    call.__signature__ = inspect.Signature([*spread_out, *parameters])  # type: ignore[attr-defined]
    return call


@dataclass(frozen=True)
class LaunchOptions:
    """Which grid, and where and how its runs are done."""

    grid: Annotated[
        str, Option("--grid", "-g", autocompletion=complete.grids, help="A grid file, or the name of a shipped grid.")
    ] = "experiments.yaml"
    changes: Annotated[
        list[str] | None,
        Option(
            "--set",
            "-s",
            autocompletion=complete.settings,
            help="Change a setting of the grid, like recipe.lr=0.1. Repeatable.",
        ),
    ] = None
    device: Annotated[str, Option(help="auto, cpu, cuda or cuda:N.")] = "auto"
    workers: Annotated[int | None, Option(min=1, help="Runs at once; default a core or GPU each.")] = None
    replicas: Annotated[
        int | None, Option(min=1, max=16, help="Runs that a worker trains at once; default 1 to 4.")
    ] = None
    retries: Annotated[int, Option(min=0, help="Further tries of a run that breaks for a passing cause.")] = 2
    checkpoint_every: Annotated[float, Option(min=0, help="Seconds between two checkpoints of a run.")] = 20.0
    hang_after: Annotated[
        float, Option(min=0.05, help="Minutes without a sign of life after which a worker is killed.")
    ] = 30.0
    executor: Annotated[
        Literal["local", "ray", "slurm"],
        cluster_option(help="Where runs are done: this machine, or a cluster of Ray or Slurm."),
    ] = "local"
    address: Annotated[str | None, cluster_option(help="Of the cluster, host:port; default this machine's.")] = None
    cpus_per_worker: Annotated[int | None, cluster_option(min=1, help="CPUs of a worker; default 1.")] = None
    gpus_per_worker: Annotated[
        float | None,
        cluster_option(
            min=0,
            help="GPUs of a worker, or a part of one, such as 0.25; default 1 where a Ray cluster has any, 0 with "
            "Slurm.",
        ),
    ] = None
    memory_per_worker: Annotated[
        float | None, cluster_option(min=0, help="GiB of memory of a worker, to plan with.")
    ] = None
    quiet: Annotated[bool, Option("--quiet", "-q", help="Print results and problems only.")] = False

    def hardware(self) -> "Hardware":
        """Return where runs are done."""
        from study.launch.executors.base import Hardware

        place = (self.executor, self.address, self.cpus_per_worker, self.gpus_per_worker, self.memory_per_worker)
        return Hardware(self.device, self.workers, self.replicas, *place)

    def limits(self) -> "Limits":
        """Return what a worker may take, and how often it saves its work."""
        from study.launch.executors.base import Limits

        return Limits(self.retries, self.checkpoint_every, 60 * self.hang_after)


@dataclass(frozen=True)
class DataOptions:
    """Which data set: by its name, or that of a grid."""

    dataset: Annotated[
        str | None,
        Option(
            "--dataset",
            "-d",
            help="digits, cifar10, cifar100, fashion-mnist, dogs-vs-cats, image-folder, npz, parquet or csv; "
            "default: the kind of --root.",
        ),
    ] = None
    root: Annotated[
        str | None, Option("--root", "-r", help="Folder of the images, or their file: .npz, .csv or .parquet.")
    ] = None
    grid: Annotated[
        str | None,
        Option("--grid", "-g", autocompletion=complete.grids, help="Take the data set from a grid, not --dataset."),
    ] = None
    image_size: Annotated[int | None, Option(min=4, max=1024, help="Side of the square images.")] = None
    resize: Annotated[
        Literal["crop", "pad", "stretch"] | None, Option(help="How image files are made square. Default: crop.")
    ] = None
    skip_bad: Annotated[bool, Option("--skip-bad", help="Go on without files that can't be used.")] = False

    def chosen(self) -> "tuple[DatasetSpec, str]":
        """Return the data set, and the augmentation that a grid uses with it.

        Raises:
            StudyError: neither a data set nor a grid is named, or both.
        """
        from study.config import DatasetSpec, load_grid
        from study.data.load import check_name, source_of

        given = {"root": self.root, "image_size": self.image_size, "resize": self.resize}
        changes: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
        changes |= {"skip_bad": True} if self.skip_bad else {}
        if self.grid is not None and self.dataset is None:
            point = load_grid(self.grid).points[0]
            fields = point.dataset.model_dump(exclude_unset=True)
            return DatasetSpec.model_validate({**fields, **changes}), point.recipe.augment
        dataset = self.dataset
        if dataset is None and self.grid is None and self.root is not None:
            dataset = source_of(Path(self.root))
        if dataset is None or self.grid is not None:
            raise StudyError("name a data set with --dataset or --root, or a grid that has one with --grid")
        check_name(dataset)
        return DatasetSpec.model_validate({"name": dataset, **changes}), "crop-flip"
