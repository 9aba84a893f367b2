"""A source of images before limits and the validation split, and the folders of its files."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from study.data.dataset import BadFile, Split
from study.data.files import is_packed
from study.errors import DataError, printable
from study.paths import base_folder, cache_folder

if TYPE_CHECKING:
    from study.config import DatasetSpec

Progress = Callable[[str, float], None]
"""Called with the current task ("decoding images") and the part of it that is done, from 0 to 1."""


@dataclass(frozen=True)
class Source:
    """All labelled images of a source, for training and for test."""

    train: Split
    test: Split | None
    """None if the source has no test images: a part of `train` becomes the test."""
    classes: tuple[str, ...]
    skipped: tuple[BadFile, ...] = ()
    """Files left out because they can't be used."""
    notes: tuple[str, ...] = ()
    """Lines on which folders are used and which files aren't read."""


def data_folder(name: str) -> Path:
    """Return the folder of the files of data set `name`: below STUDY_DATA, or else the user's cache folder."""
    return base_folder("STUDY_DATA") / name


def files_folder(spec: "DatasetSpec") -> Path:
    """Return the folder of a data set's downloaded files: the user's, or else the program's.

    Raises:
        DataError: the user gave one that isn't a folder.
    """
    return data_folder(spec.name) if spec.root is None else given_folder(spec.name, spec.root)


def image_cache_folder() -> Path:
    """Return the folder of decoded images: STUDY_CACHE, or else `images` in the user's cache folder."""
    folder = os.environ.get("STUDY_CACHE")
    return Path(folder).expanduser() if folder else cache_folder("images")


def given_folder(name: str, root: str | None) -> Path:
    """Return the folder that the user gave for data set `name`.

    Raises:
        DataError: none was given, or it isn't a folder.
    """
    folder = given_path(name, root, "the folder of its files", "DIR")
    if not folder.is_dir():
        advice = ": unpack it there, and give the folder" if is_packed(folder.name) else ""
        raise DataError(f"{name}: root '{printable(str(root))}' isn't a folder{advice}")
    return folder


def given_path(name: str, root: str | None, needed: str, example: str) -> Path:
    """Return the file or folder that the user gave for data set `name`, which needs what `needed` says.

    Raises:
        DataError: none was given, or it doesn't exist.
    """
    if not root:
        raise DataError(f"{name} needs {needed}: dataset: {{name: {name}, root: {example}}}")
    try:
        path = Path(root).expanduser()
    except RuntimeError:
        raise DataError(f"{name}: root '{printable(root)}' names a user that isn't there: write the path out") from None
    if not path.exists():
        raise DataError(f"{name}: root '{printable(root)}' doesn't exist")
    return path


def given_file(name: str, root: str | None) -> Path:
    """Return the file that the user gave for data set `name`, which is also its suffix.

    Raises:
        DataError: none was given, or it isn't a file.
    """
    path = given_path(name, root, f"its .{name} file", f"FILE.{name}")
    if not path.is_file():
        raise DataError(f"{name}: root '{printable(str(root))}' isn't a file: give the .{name} file itself")
    return path
