"""Load a data set by its specification: source, limits, validation split, fingerprint."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from study.data import cifar, digits, fashion_mnist, npz
from study.data.dataset import Dataset, fingerprint
from study.data.dogs_vs_cats import has_photographs, read_photographs
from study.data.files import is_packed
from study.data.image_table import read_table
from study.data.image_tree import read_tree
from study.data.labelled import Catalogue, load_catalogue
from study.data.parquet import SUFFIX, find_shards, read_shards
from study.data.source import Progress, Source, given_file, given_folder, given_path
from study.data.splits import hold_out, limit, take_test
from study.errors import DataError, nearest, printable

if TYPE_CHECKING:  # the grid's schema needs pydantic, which a machine that only trains may lack
    from study.config import DatasetSpec
    from study.config.spec import DatasetName

given_photographs = partial(given_path, needed="the folder of its files", example="DIR")
given_shards = partial(given_path, needed="the folder of its shards", example="DIR")
LISTED: dict[str, tuple[Callable[[str, str | None], Path], Callable[[Path], Catalogue]]] = {
    "dogs-vs-cats": (given_photographs, read_photographs),
    "image-folder": (given_folder, read_tree),
    "parquet": (given_shards, read_shards),
    "csv": (given_file, read_table),
}
"""Sources of image files, all decoded and kept in one way: how to find the given file or folder, and to list it."""


def _load_listed(spec: "DatasetSpec", progress: Progress | None) -> Source:
    place, read = LISTED[spec.name]
    return load_catalogue(read(place(spec.name, spec.root)), spec, progress)


LOADERS: "dict[str, Callable[[DatasetSpec, Progress | None], Source]]" = {
    "digits": digits.load,
    "cifar10": cifar.load,
    "cifar100": cifar.load,
    "fashion-mnist": fashion_mnist.load,
    "dogs-vs-cats": _load_listed,
    "image-folder": _load_listed,
    "npz": npz.load,
    "parquet": _load_listed,
    "csv": _load_listed,
}
SIZED = ("dogs-vs-cats", "image-folder", "npz", "parquet", "csv")
"""Sources whose images are resized; the others have a fixed size."""


def load_dataset(spec: "DatasetSpec | str", *, progress: Progress | None = None) -> Dataset:
    """Load the data set of a specification, or of a name with defaults: `load_dataset("digits")`.

    A source without test images is split first; then limits are applied, and the validation images are taken out of the
    remaining training images.

    Raises:
        DataError: no such data set, files missing or damaged, or a split that can't be made.
    """
    if isinstance(spec, str):
        check_name(spec)
        from study.config import DatasetSpec

        spec = DatasetSpec.model_validate({"name": spec})
    return load_splits([spec], progress=progress)[0]


def load_splits(specs: "Sequence[DatasetSpec]", *, progress: Progress | None = None) -> list[Dataset]:
    """Load a data set once for specifications that differ only in the seed of the split; they share its images.

    Raises:
        DataError: as `load_dataset`, and two splits that are the same.
    """
    spec, name = specs[0], specs[0].name
    check_name(name)
    for field in ("image_size", "resize", "skip_bad"):
        if getattr(spec, field) != type(spec).model_fields[field].default and name not in SIZED:
            raise DataError(f"{name}: '{field}' is for image files ({', '.join(SIZED)}); leave it out")
    try:
        source = LOADERS[name](spec, progress)
    except OSError as error:  # files that disappear or may not be read
        raise DataError(f"{name}: {printable(str(error))}") from None
    datasets = [_split(source, spec) for spec in specs]
    if len({dataset.fingerprint for dataset in datasets}) < len(datasets):
        raise DataError(
            f"{name}: two values of 'split_seed' choose the same images, as it has a test of its own and none are held "
            "out or left out: drop the axis, or set 'validation' or a limit"
        )
    return datasets


def source_of(place: Path) -> "DatasetName":
    """Return the name of the data set that a file or folder of images is read as; an image folder if in doubt.

    Raises:
        DataError: a folder holds several data sets.
    """
    if place.is_file():
        kinds: dict[str, DatasetName] = {".npz": "npz", ".csv": "csv", SUFFIX: "parquet"}
        suffix = place.suffix.lower()
        if suffix not in kinds and not is_packed(place.name):
            raise DataError(f"{place} isn't read: give a folder of images, or a file {', '.join(kinds)}")
        return kinds.get(suffix, "dogs-vs-cats" if has_photographs(place) else "image-folder")
    if has_photographs(place):
        return "dogs-vs-cats"
    return "parquet" if find_shards(place) else "image-folder"


def check_name(name: str) -> None:
    """Check that there is a data set of this name.

    Raises:
        DataError: there is none.
    """
    if name not in LOADERS:
        hint = nearest(name, list(LOADERS)) or f": there are {', '.join(LOADERS)}"
        raise DataError(f"no data set is called '{name}'{hint}")


def _split(source: Source, spec: "DatasetSpec") -> Dataset:
    for part, split in (("train", source.train), ("test", source.test)):
        if split is not None and not len(split):
            raise DataError(f"{spec.name} has no images to {part} {'on' if part == 'train' else 'with'}: add some")
    classes, seed, notes = len(source.classes), spec.split_seed, source.notes
    if source.test is None:
        train, test = take_test(source.train, spec.test, classes=source.classes, seed=seed)
        part = f"{len(test):,} of {len(source.train):,} images, stratified by class"
        notes = (f"test: {spec.test:g} ({part}, by split_seed {seed})", *notes)
    elif spec.test != type(spec).model_fields["test"].default:
        raise DataError(f"{spec.name} has images of its own to test with: leave 'test' out")
    else:
        train, test = source.train, source.test
    train = limit(train, spec.train_limit, classes=classes, seed=seed, field="train_limit")
    test = limit(test, spec.test_limit, classes=classes, seed=seed, field="test_limit")
    train, validation = hold_out(train, spec.validation, classes=classes, seed=seed)
    mark = fingerprint(train, validation, test, source.classes)
    return Dataset(spec.name, train, validation, test, source.classes, mark, source.skipped, notes)
