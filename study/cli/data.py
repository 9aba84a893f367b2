"""`study data`, to look at a data set before nets are trained on it, and `study predict`."""

import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from study.cli.console import loading, print_table, warn, writing
from study.cli.options import DataOptions, experiment_option, spread
from study.errors import StudyError
from study.paths import check_writable
from study.spreadsheet import plain_cell, write_frame
from study.terminal import say

if TYPE_CHECKING:
    from study.config import DatasetSpec
    from study.data import BadFile, Dataset

data_app = typer.Typer(
    help="Look at a data set: its statistics, its bad files, and what augmentation does to it.",
    epilog="Example: study data stats --root photographs",
    no_args_is_help=True,
)
BAD_FILES = "bad_files.csv"
SKIP = "--skip-bad (in a grid: 'skip_bad: true' under dataset)"
VIEWS = 7
"""Number of augmented views drawn of each image."""


@data_app.command(epilog="Example: study data stats --root photographs")
@spread
def stats(
    options: DataOptions,
    out: Annotated[Path | None, typer.Option(help="Folder to write; default reports/DATASET-data.")] = None,
) -> None:
    """Write a table of all images, the mean and variance of each channel, and figures."""
    from study.data import BadFilesError, load_dataset
    from study.data.describe import few_images
    from study.launch.dataset_record import describe_record
    from study.report import write_data_figures
    from study.track.datasets import write_files

    spec, _ = options.chosen()
    folder = out or Path("reports") / f"{spec.name}-data"
    with writing(folder), loading() as progress:
        try:
            images = load_dataset(spec, progress=progress)
        except BadFilesError as error:
            folder.mkdir(parents=True, exist_ok=True)
            list_bad_files(error.bad, folder)
            raise BadFilesError(error.bad, error.total, SKIP, str(folder / BAD_FILES)) from None
        folder.mkdir(parents=True, exist_ok=True)
        (folder / BAD_FILES).unlink(missing_ok=True)  # of an earlier time
        if images.skipped:
            list_bad_files(images.skipped, folder)
        record = describe_record(images)
        write_files(record, folder)
        write_frame(record.table, folder / "images.csv")
        progress("drawing figures", 0.0)
        write_data_figures(record, folder / "figures")
        progress("drawing figures", 1.0)
    print_statistics(record.statistics)
    warn(few_images(images))
    say(f"written: {folder}")


@data_app.command(epilog="Example: study data prepare --root photographs --skip-bad")
@spread
def prepare(
    options: DataOptions,
) -> None:
    """Download what is missing, check every image, and decode it into the cache that all runs share."""
    from study.data import BadFilesError, cache, load_dataset
    from study.data.describe import few_images

    spec, _ = options.chosen()
    begun = time.monotonic()
    with loading() as progress:
        try:
            images = load_dataset(spec, progress=progress)
            files = images.train.files
            damaged = cache.verify(files.folder) if files is not None else 0
            if damaged:
                images = load_dataset(spec, progress=progress)
        except BadFilesError as error:
            for bad in error.bad:
                say(f"{bad.name}: {bad.reason}")
            raise BadFilesError(error.bad, error.total, SKIP, place="") from None
    splits = ", ".join(f"{len(split):,} {name}" for name, split in images.splits().items())
    shape = "x".join(map(str, images.image_shape))
    say(f"{images.name}: {splits} images of {shape} in {images.num_classes} classes ({images.fingerprint})")
    for note in images.notes:
        say(note)
    warn(few_images(images))
    if images.skipped:
        say(f"skipped: {len(images.skipped)} bad files")
    if damaged:
        say(f"decoded again: {damaged} images that had been altered on disk")
    for folder in own_folders(spec, images):
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        say(f"{size / 2**20:.1f} MiB in {folder}")
    say(f"ready ({time.monotonic() - begun:.1f} s)")


@data_app.command(epilog="Example: study data show --dataset cifar10 --augment crop-flip")
@spread
def show(
    options: DataOptions,
    augment: Annotated[
        Literal["none", "crop-flip", "imagenet"] | None,
        typer.Option(help="Default: the grid's, or crop-flip."),
    ] = None,
    images: Annotated[int, typer.Option(min=1, max=40, help="Images shown, a row each.")] = 6,
    seed: Annotated[int, typer.Option(min=0, help="Which images, and which changes.")] = 0,
    out: Annotated[Path, typer.Option(help="Picture to write: .png, .pdf or .svg.")] = Path("augmentation.png"),
) -> None:
    """Draw training images with their augmentation, to see that it's right."""
    from study.data import load_dataset
    from study.data.describe import augmented_views
    from study.report.figures.dataset import draw_augmented

    if out.suffix not in (".png", ".pdf", ".svg"):
        raise StudyError(f"--out {out}: a picture's name ends in .png, .pdf or .svg")
    spec, usual = options.chosen()
    augmentation = augment or usual
    check_writable(out.parent)
    with loading() as progress:
        loaded = load_dataset(spec, progress=progress)
    clean, changed, names = augmented_views(loaded, augmentation, images=images, views=VIEWS, seed=seed)
    with writing(out.parent):
        out.parent.mkdir(parents=True, exist_ok=True)
        draw_augmented(clean, changed, names, augmentation, out)
    say(f"written: {out}")


def predict(
    run: Annotated[str, typer.Option("--run", help="A finished run: its id, or its name, such as 'resnet-20 seed 0'.")],
    images: Annotated[
        str,
        typer.Option(
            help="Folder of images or shards, zip archive such as Kaggle's test1.zip, or .npz, .parquet or .csv."
        ),
    ],
    out: Annotated[Path, typer.Option(help="File to write.")] = Path("submission.csv"),
    experiment: Annotated[
        str | None, experiment_option(help="The study of a run given by name; default the newest.")
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
    import torch

    from study.config import RunSpec
    from study.data import BadFilesError
    from study.inference import load_predictor, predict_files, submission, write_csv
    from study.track.checkpoint import fetch_checkpoint
    from study.track.find import newest_study

    if not images:
        raise StudyError("--images is empty: name what is to be predicted, or . for the working folder")
    if out.is_dir():
        raise StudyError(f"--out {out}: a folder; name the file to write")
    check_writable(out.parent)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    study = experiment or (None if len(run) == 32 else newest_study())
    with loading() as progress, fetch_checkpoint(run, study) as net:
        predictor = load_predictor(RunSpec.model_validate(net.spec), net.path, device)
        try:
            predictions = predict_files(predictor, Path(images), views=views, skip_bad=skip_bad, progress=progress)
        except BadFilesError as error:
            raise BadFilesError(error.bad, error.total, "--skip-bad") from None
    with writing(out.parent):
        write_csv(out, submission(predictions, predictor, probabilities=probabilities))
    counts = torch.bincount(predictions.probabilities.argmax(1), minlength=len(predictor.classes)).tolist()
    shares = ", ".join(f"{count:,} {name}" for name, count in zip(predictor.classes, counts, strict=True) if count)
    skipped = f"; {len(predictions.skipped)} bad files skipped" if predictions.skipped else ""
    lines = [f"{net.name} ({net.run_id[:8]}): {len(predictions.ids):,} images: {shares}{skipped}"]
    say("\n".join([*lines, *predictions.notes, f"written: {out}"]))


def list_bad_files(bad: "Iterable[BadFile]", folder: Path) -> None:
    """Write a row a file that can't be used, and why."""
    from study.inference import write_csv

    rows = [("name", "reason"), *((file.name, file.reason) for file in bad)]
    write_csv(folder / BAD_FILES, ([plain_cell(cell) for cell in row] for row in rows))


def print_statistics(statistics: Any) -> None:
    """Print the mean, variance and standard deviation of each channel, and the sizes of the image files."""
    columns = (statistics[key] for key in ("channels", "mean", "variance", "std"))
    print_table(
        ("channel", "mean", "variance", "standard deviation"),
        [(channel, *(f"{value:.8f}" for value in values)) for channel, *values in zip(*columns, strict=True)],
        title=f"{statistics['dataset']}: {statistics['images']:,} images",
        left=("channel",),
    )
    say(statistics["definition"])
    if len(statistics["channels"]) == 3:
        say("channels in the order red, green, blue; OpenCV's is blue, green, red")
    height, width = statistics["height"], statistics["width"]
    say(
        f"heights {height['least']} to {height['greatest']} (median {height['median']:g}), "
        f"widths {width['least']} to {width['greatest']} (median {width['median']:g}) pixels"
    )
    for note in statistics["notes"]:
        say(note)
    if statistics["skipped"]:
        say(f"skipped: {len(statistics['skipped'])} bad files, listed in {BAD_FILES}")


def own_folders(spec: "DatasetSpec", dataset: "Dataset") -> list[Path]:
    """Return the program's folders that hold a data set's files."""
    from study.data.source import data_folder

    folders = [data_folder(spec.name)] if spec.root is None and data_folder(spec.name).is_dir() else []
    return folders + ([dataset.train.files.folder] if dataset.train.files is not None else [])
