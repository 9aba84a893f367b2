"""What the `study data` commands and `study predict` do: call the packages, print what a person wants to read."""

import time
from collections.abc import Callable, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from study.errors import StudyError
from study.spreadsheet import plain_cell, write_frame
from study.terminal import say, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from study.config import DatasetSpec
    from study.data import BadFile, BadFilesError, Dataset

BAD_FILES = "bad_files.csv"
VIEWS = 7
"""Augmented views of each image that are drawn."""


@dataclass(frozen=True)
class DataOptions:
    """Which data set: by its name, or that of a grid."""

    dataset: str | None
    root: str | None
    grid: str | None
    image_size: int | None
    resize: str | None
    skip_bad: bool


def stats(options: DataOptions, out: Path | None) -> None:
    """Write a data set's table, statistics and figures, and print the statistics."""
    from study.data import BadFilesError
    from study.launch.dataset_record import described
    from study.report import write_data_figures
    from study.track.datasets import write_files

    spec, _ = chosen(options)
    folder = out or Path("reports") / f"{spec.name}-data"
    with _writing(folder), _loading() as progress:
        try:
            dataset = load(spec, progress)
        except BadFilesError as error:
            folder.mkdir(parents=True, exist_ok=True)
            _list_bad(error.bad, folder)
            raise _refusal(error, f"all of them stand in {folder / BAD_FILES}") from None
        folder.mkdir(parents=True, exist_ok=True)
        (folder / BAD_FILES).unlink(missing_ok=True)  # of an earlier time
        if dataset.skipped:
            _list_bad(dataset.skipped, folder)
        record = described(dataset)
        write_files(record, folder)
        write_frame(record.table, folder / "images.csv")
        progress("drawing figures", 0.0)
        write_data_figures(
            record.table,
            record.statistics,
            record.samples,
            record.sample_labels,
            record.mean_image,
            folder / "figures",
        )
        progress("drawing figures", 1.0)
    _print_statistics(record.statistics)
    say(f"written: {folder}")


def prepare(options: DataOptions) -> None:
    """Make a data set ready, check every decoded image, and say what it takes of the disk."""
    from study.data import BadFilesError, cache

    spec, _ = chosen(options)
    begun = time.monotonic()
    with _loading() as progress:
        try:
            dataset = load(spec, progress)
            files = dataset.train.files
            damaged = cache.verify(files.folder) if files is not None else 0
            if damaged:
                dataset = load(spec, progress)
        except BadFilesError as error:
            for bad in error.bad:
                say(f"{bad.name}: {bad.reason}")
            raise _refusal(error, "they are listed above") from None
    splits = ", ".join(f"{len(split):,} {name}" for name, split in dataset.splits().items())
    shape = "x".join(map(str, dataset.image_shape))
    lines = [f"{dataset.name}: {splits} images of {shape} in {dataset.num_classes} classes ({dataset.fingerprint})"]
    lines += dataset.notes
    lines += [f"skipped: {len(dataset.skipped)} bad files"] * bool(dataset.skipped)
    lines += [f"decoded again: {damaged} images that had been altered on disk"] * bool(damaged)
    lines += [f"{_mib(folder):.1f} MiB in {folder}" for folder in _kept(spec, dataset)]
    lines.append(f"ready ({time.monotonic() - begun:.1f} s)")
    for line in lines:
        say(line)


def show(options: DataOptions, augment: str | None, images: int, seed: int, out: Path) -> None:
    """Draw images with and without augmentation."""
    from study.data.describe import augmented_views
    from study.report.figures.augmented import draw_augmented

    if out.suffix not in (".png", ".pdf", ".svg"):
        raise StudyError(f"--out {out}: a picture's name ends in .png, .pdf or .svg")
    spec, grids_augment = chosen(options)
    augment = augment or grids_augment
    with _loading() as progress:
        dataset = load(spec, progress)
    clean, changed, names = augmented_views(dataset, augment, images=images, views=VIEWS, seed=seed)
    with _writing(out.parent):
        out.parent.mkdir(parents=True, exist_ok=True)
        draw_augmented(clean, changed, names, augment, out)
    say(f"written: {out}")


def predict(
    run: str, experiment: str | None, images: Path, out: Path, *, views: str, probabilities: bool, skip_bad: bool
) -> None:
    """Predict unlabelled images with a finished run's net, and write Kaggle's file."""
    import torch

    from study.cli.status import newest_study
    from study.config import RunSpec
    from study.data import BadFilesError
    from study.inference import load_predictor, predict_files, submission, write_csv
    from study.track.checkpoint import fetch_checkpoint

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    study = experiment or (None if len(run) == 32 else newest_study())
    with _loading() as progress, fetch_checkpoint(run, study) as found:
        predictor = load_predictor(RunSpec.model_validate(found.spec), found.path, device)
        try:
            predictions = predict_files(predictor, images, views=views, skip_bad=skip_bad, progress=progress)
        except BadFilesError as error:
            raise _refusal(error, "go on without them: --skip-bad") from None
    with _writing(out.parent):
        write_csv(out, submission(predictions, predictor, probabilities=probabilities))
    counts = torch.bincount(predictions.probabilities.argmax(1), minlength=len(predictor.classes)).tolist()
    shares = ", ".join(f"{count:,} {name}" for name, count in zip(predictor.classes, counts, strict=True) if count)
    skipped = f"; {len(predictions.skipped)} bad files skipped" if predictions.skipped else ""
    lines = [f"{found.name} ({found.run_id[:8]}): {len(predictions.ids):,} images: {shares}{skipped}"]
    say("\n".join([*lines, *predictions.notes, f"written: {out}"]))


def chosen(options: DataOptions) -> "tuple[DatasetSpec, str]":
    """Return the data set that options name, and the augmentation that a grid uses with it.

    Raises:
        StudyError: neither a data set nor a grid is named, or both.
    """
    from study.config import DatasetSpec, load_grid
    from study.data.load import LOADERS, known_names
    from study.errors import nearest

    changes = {
        "root": options.root,
        "image_size": options.image_size,
        "resize": options.resize,
        "skip_bad": options.skip_bad or None,
    }
    given = {key: value for key, value in changes.items() if value is not None}
    if (options.dataset is None) == (options.grid is None):
        raise StudyError("name a data set with --dataset, or a grid that has one with --grid")
    if options.grid is not None:
        point = load_grid(options.grid).points[0]
        fields = point.dataset.model_dump(exclude_unset=True)
        return DatasetSpec.model_validate({**fields, **given}), point.recipe.augment
    if options.dataset not in LOADERS:
        raise StudyError(
            f"no data set is called '{options.dataset}'{nearest(options.dataset or '', list(LOADERS)) or known_names()}"
        )
    return DatasetSpec.model_validate({"name": options.dataset, **given}), "crop-flip"


def load(spec: "DatasetSpec", progress: Callable[[str, float], None]) -> "Dataset":
    from study.data import load_dataset

    return load_dataset(spec, progress=progress)


@contextmanager
def _loading() -> "Iterator[Callable[[str, float], None]]":
    """Show progress on standard error."""
    from study.launch.display import Display

    with Display(Console(stderr=True)) as display:
        yield display.loading


@contextmanager
def _writing(folder: Path) -> "Iterator[None]":
    try:
        yield
    except OSError as error:
        raise StudyError(f"can't write in {folder}: {error.strerror or error}") from None


def _list_bad(bad: "Iterable[BadFile]", folder: Path) -> None:
    from study.inference import write_csv

    write_csv(
        folder / BAD_FILES,
        ([plain_cell(cell) for cell in row] for row in [("name", "reason"), *((one.name, one.reason) for one in bad)]),
    )


def _refusal(error: "BadFilesError", where: str) -> StudyError:
    lines = str(error).splitlines()
    shown = lines if "above" not in where else [lines[0], lines[-1]]
    return StudyError("\n".join([*shown, where]))


def _print_statistics(statistics: Any) -> None:
    table = Table(title=shown(f"{statistics['dataset']}: {statistics['images']:,} images"))
    for heading in ("channel", "mean", "variance", "standard deviation"):
        table.add_column(heading, justify="left" if heading == "channel" else "right")
    rows = zip(*(statistics[key] for key in ("channels", "mean", "variance", "std")), strict=True)
    for channel, *values in rows:
        table.add_row(channel, *(f"{value:.8f}" for value in values))
    Console().print(table)
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


def _kept(spec: "DatasetSpec", dataset: "Dataset") -> list[Path]:
    """Return the folders of our own that hold a data set's files."""
    from study.data.source import data_folder

    folders = [data_folder(spec.name)] if spec.root is None and data_folder(spec.name).is_dir() else []
    return folders + ([dataset.train.files.folder] if dataset.train.files is not None else [])


def _mib(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 2**20
