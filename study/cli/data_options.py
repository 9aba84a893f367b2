"""The `study data` commands: look at a data set before nets are trained on it."""

from pathlib import Path
from typing import Annotated, Literal

import typer

data_app = typer.Typer(
    help="Look at a data set: its statistics, its bad files, and what augmentation does to it.", no_args_is_help=True
)

DatasetOption = Annotated[
    str | None,
    typer.Option("--dataset", "-d", help="digits, cifar10, cifar100, fashion-mnist, dogs-vs-cats or image-folder."),
]
RootOption = Annotated[str | None, typer.Option("--root", "-r", help="Folder of the files.")]
GridOption = Annotated[
    str | None, typer.Option("--grid", "-g", help="Take the data set from a grid, in place of --dataset.")
]
SizeOption = Annotated[int | None, typer.Option("--image-size", min=4, max=1024, help="Side of the square images.")]
ResizeOption = Annotated[
    Literal["crop", "pad", "stretch"] | None, typer.Option(help="How image files are made square. Default: crop.")
]
SkipOption = Annotated[bool, typer.Option("--skip-bad", help="Go on without files that can't be used.")]


@data_app.command()
def stats(
    dataset: DatasetOption = None,
    root: RootOption = None,
    grid: GridOption = None,
    image_size: SizeOption = None,
    resize: ResizeOption = None,
    skip_bad: SkipOption = False,
    out: Annotated[Path | None, typer.Option(help="Folder to write; default reports/DATASET-data.")] = None,
) -> None:
    """Write a table of all images, the mean and variance of each channel, and figures."""
    from study.cli import data as commands_data

    commands_data.stats(commands_data.DataOptions(dataset, root, grid, image_size, resize, skip_bad), out)


@data_app.command()
def prepare(
    dataset: DatasetOption = None,
    root: RootOption = None,
    grid: GridOption = None,
    image_size: SizeOption = None,
    resize: ResizeOption = None,
    skip_bad: SkipOption = False,
) -> None:
    """Download what is missing, check every image, and decode it into the cache that all runs share."""
    from study.cli import data as commands_data

    commands_data.prepare(commands_data.DataOptions(dataset, root, grid, image_size, resize, skip_bad))


@data_app.command()
def show(
    dataset: DatasetOption = None,
    root: RootOption = None,
    grid: GridOption = None,
    image_size: SizeOption = None,
    resize: ResizeOption = None,
    skip_bad: SkipOption = False,
    augment: Annotated[
        Literal["none", "crop-flip", "imagenet"] | None,
        typer.Option(help="Default: the grid's, or crop-flip."),
    ] = None,
    images: Annotated[int, typer.Option(min=1, max=40, help="Images shown, a row each.")] = 6,
    seed: Annotated[int, typer.Option(min=0, help="Which images, and which changes.")] = 0,
    out: Annotated[Path, typer.Option(help="Picture to write: .png, .pdf or .svg.")] = Path("augmentation.png"),
) -> None:
    """Draw training images with their augmentation, to see that it's right."""
    from study.cli import data as commands_data

    options = commands_data.DataOptions(dataset, root, grid, image_size, resize, skip_bad)
    commands_data.show(options, augment, images, seed, out)
