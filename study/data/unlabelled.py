"""Images to predict, wherever they lie: a folder, a zip archive, an archive of arrays, Parquet shards or a table."""

import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

from study.data.files import ImageFile, Listing, not_read, open_archive, open_folder
from study.data.image_table import list_table
from study.data.npz import list_arrays
from study.data.parquet import SUFFIX, find_shards, list_shards
from study.errors import DataError, printable

KINDS = f"a folder of images or shards, a zip archive such as Kaggle's test1.zip, or a file .npz, {SUFFIX} or .csv"

Named = dict[str, ImageFile]
"""The images by their ids in a submission, in its order."""


def open_images(place: Path) -> tuple[Named, Listing]:
    """List the images of a place, none of them decoded, and give each its id.

    The id of a row of an array, or of shards one after another, is its number, from 0; that of a table's row its path.
    Files of a folder or a zip archive have their names without folders and suffix, in order of these: numbers first.

    Raises:
        DataError: the place doesn't exist, has no image, has two with one id, or can't be read.
    """
    if not place.exists():
        raise DataError(f"{place} doesn't exist: give {KINDS}")
    read, give_ids = _reader_of(place)
    listing = read(place)
    if not listing.files and not listing.bad:
        raise DataError("\n".join([f"{place} has no images", *not_read(listing.unread)]))
    return give_ids(listing.files), listing


def _reader_of(place: Path) -> tuple[Callable[[Path], Listing], Callable[[Sequence[ImageFile]], Named]]:
    """Return what lists the images of a place, and what gives them their ids.

    Raises:
        DataError: nothing does.
    """
    if place.is_dir():
        return (list_shards, _by_row) if find_shards(place) else (lambda folder: open_folder(folder, folder), _by_name)
    by_suffix = {".npz": (list_arrays, _by_row), SUFFIX: (list_shards, _by_row), ".csv": (list_table, _by_path)}
    if place.is_file() and place.suffix.lower() in by_suffix:
        return by_suffix[place.suffix.lower()]
    if place.is_file() and zipfile.is_zipfile(place):  # `is_zipfile` would never return for a pipe
        return open_archive, _by_name
    raise DataError(f"{place} can't be predicted: give {KINDS}")


def _by_row(files: Sequence[ImageFile]) -> Named:
    return {str(row): file for row, file in enumerate(files)}


def _by_path(files: Sequence[ImageFile]) -> Named:
    return {file.name: file for file in files}


def _by_name(files: Sequence[ImageFile]) -> Named:
    named: Named = {}
    for file in sorted(files, key=lambda file: _order(image_id(file.name))):
        other = named.setdefault(image_id(file.name), file)
        if other is not file:
            both = printable(f"{other.name} and {file.name} have the same id, '{image_id(file.name)}'")
            raise DataError(f"{both}; rename one")
    return named


def image_id(name: str) -> str:
    """Return the id of an image file: its name without folders and suffix."""
    return name.rpartition("/")[2].rpartition(".")[0]


def _order(name: str) -> tuple[int, int, str]:
    """Put numbers first, by their value, then other names."""
    return (0, int(name), name) if name.isdecimal() and len(name) < 19 else (1, 0, name)
