"""`study init`: a grid for images in a folder or a file, fitted to some minutes on this machine."""

import shlex
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from study.cli.console import warn, writing
from study.cli.options import LaunchOptions
from study.errors import StudyError
from study.paths import check_writable
from study.terminal import say

MINUTES = 30.0
minutes_option = typer.Option(min=1, help="With images of your own: time that the study may take on this machine.")
skip_bad_option = typer.Option("--skip-bad", help="With images of your own: go on without files that can't be used.")
data_option = typer.Option(
    "--data", help="Images, as `study init` takes them, which makes their grid unless it is there."
)


def init(
    folder: Annotated[
        str,
        typer.Argument(
            help="Images: a folder a class, train/ and test/, Kaggle's train.zip, Parquet shards, or .npz or .csv."
        ),
    ],
    minutes: Annotated[float, minutes_option] = MINUTES,
    skip_bad: Annotated[bool, skip_bad_option] = False,
) -> None:
    """Write a grid for your own images, FOLDER.yaml: the largest study that some minutes allow here."""
    path = grid_file(folder)
    if path.exists():
        command = shlex.join(["study", "run", "--grid", str(path)])
        raise StudyError(f"{path} is there already: run it with `{command}`, or remove it to plan anew")
    write_grid(path, folder, minutes, LaunchOptions(), skip_bad=skip_bad)
    say(f"to begin: study run --grid {shlex.quote(str(path))}")


def grid_of_folder(folder: str, minutes: float, options: LaunchOptions, *, skip_bad: bool) -> Path:
    """Return the grid file of a folder of images, made now if it isn't there."""
    path = grid_file(folder)
    if path.exists():
        _refuse_other_images(path, folder)
        say(f"{path}: made before, and used as it is; remove it to plan anew", error=True)
    else:
        write_grid(path, folder, minutes, options, skip_bad=skip_bad)
    return path


def _refuse_other_images(path: Path, folder: str) -> None:
    """Check that a grid is one for these images: folders in several places, or a folder and a file, have one name.

    Raises:
        StudyError: it is for others.
    """
    from study.config import load_grid

    root = load_grid(str(path)).points[0].dataset.root
    if root is None or Path(root).expanduser().resolve() != Path(folder).expanduser().resolve():
        other = f"images in {root}" if root else "other images"
        raise StudyError(f"{path} is there already, for {other}: rename it, or give --data from another folder")


def grid_file(folder: str) -> Path:
    """Return the file of the working folder that a grid for a folder of images is written to."""
    return Path(f"{source_name(folder)}.yaml")


def source_name(folder: str) -> str:
    """Return the name of a folder, or of a file without what it ends in.

    Raises:
        StudyError: there is no name, as where a shell's variable isn't set.
    """
    if not folder:
        raise StudyError("the name of the images is empty: name a folder or a file, or . for the working folder")
    path = Path(folder).resolve()
    return (path.stem if path.is_file() else path.name) or "images"


def write_grid(path: Path, folder: str, minutes: float, options: LaunchOptions, *, skip_bad: bool) -> None:
    """Write the grid that is proposed for a folder of images, and print what it does."""
    check_writable(Path.cwd())
    text = print_proposal(folder, minutes, options, skip_bad=skip_bad)
    with writing(Path.cwd()):
        path.write_text(text, encoding="utf-8")
    say(f"written to {path}, to be changed and run again")


def print_proposal(folder: str, minutes: float, options: LaunchOptions, *, skip_bad: bool) -> str:
    """Print what the grid that is proposed for a folder of images does; return its text."""
    from study.data import BadFilesError
    from study.launch.display import Display
    from study.launch.proposal import propose

    with Display(Console(stderr=True), quiet=options.quiet) as display:
        name, hardware = source_name(folder), options.hardware()
        try:
            proposal = propose(folder, name, minutes, display, hardware, skip_bad=skip_bad)
        except BadFilesError as error:
            raise BadFilesError(error.bad, error.total, "--skip-bad") from None
    for line in proposal.lines:
        say(line)
    warn(proposal.doubts)
    return proposal.text
