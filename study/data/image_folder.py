"""Image folders: any tree of `train/<class>/*` and `test/<class>/*` (or `val/`), ImageNet's included."""

import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from study.data.dataset import BadFile
from study.data.decode import SUFFIXES
from study.data.files import ImageFile, list_folder, read_file
from study.data.image_files import decoded_split
from study.data.source import Progress, Source, given_folder
from study.errors import DataError, printable

if TYPE_CHECKING:
    from study.config import DatasetSpec

DEFAULT_SIZE = 32
NAMED = 5
"""Classes that an error names."""

STEERING = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""Control characters, and those that turn the direction of text: a terminal or a page would obey them."""

Classes = dict[str, list[ImageFile]]
"""The image files of each class, classes and files sorted by name."""


def load(spec: "DatasetSpec", progress: Progress | None = None) -> Source:
    """Return the images of `spec.root`, made square with side `spec.image_size` (32 by default), classes by name.

    `val/` is the test split where there is no `test/`, and isn't looked at otherwise.

    Raises:
        DataError: folders missing, classes that differ between the splits, a class without a usable image.
        BadFilesError: files that can't be used, or empty class folders, and `spec.skip_bad` isn't set.
    """
    root = given_folder(spec.name, spec.root)
    folders = _split_folders(root)
    train, test = (list_classes(folder, root) for folder in folders)
    bad = [*_drop_empty(train, folders[0], root), *_drop_empty(test, folders[1], root)]
    _compare(root, folders[0].name, set(train), folders[1].name, set(test))
    classes = tuple(train)
    files = [file for listing in (train, test) for members in listing.values() for file in members]
    counts = [len(listing[name]) for listing in (train, test) for name in classes]
    labels = np.tile(np.arange(len(classes)), 2).repeat(counts)
    split, good, skipped = decoded_split(
        files,
        labels,
        lambda file: read_file(root / file.name),
        spec,
        default_size=DEFAULT_SIZE,
        bad=bad,
        progress=progress,
    )
    boundary = int((good < sum(counts[: len(classes)])).sum())
    parts = torch.arange(len(split)).tensor_split([boundary])
    for folder, part in zip(folders, parts, strict=True):
        left = Counter(split.labels[part].tolist())
        missing = [name for label, name in enumerate(classes) if not left[label]]
        if missing:
            raise DataError(f"no image of {_some(missing)} in {folder} can be used")
    return Source(split.take(parts[0]), split.take(parts[1]), classes, skipped)


def list_classes(folder: Path, root: Path) -> Classes:
    """Return the image files of each class folder below `folder`, named from `root`. Reads none of them.

    Raises:
        DataError: no class folders, or one whose name would steer a terminal that it is printed on.
    """
    classes = {}
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir() and not entry.name.startswith("."):
            if STEERING.search(entry.name):
                raise DataError(
                    f"class folder '{printable(entry.name)}' in {folder} has a control character: rename it"
                )
            classes[entry.name] = sorted(list_folder(entry, root))
    if not classes:
        loose = any(True for _ in list_folder(folder, root))
        sort = f"; sort the images in {folder.name}/ into such folders" if loose else ""
        raise DataError(f"{folder} has no class folders: images are expected in {folder.name}/<class>/{sort}")
    return classes


def _drop_empty(classes: Classes, folder: Path, root: Path) -> list[BadFile]:
    """Take the classes without images out, and return them."""
    empty = [name for name, members in classes.items() if not members]
    for name in empty:
        del classes[name]
    where = folder.relative_to(root).as_posix()
    return [BadFile(f"{where}/{name}/", f"class folder has no images ({', '.join(SUFFIXES)})") for name in empty]


def _split_folders(root: Path) -> tuple[Path, Path]:
    train = root / "train"
    if not train.is_dir():
        raise DataError(f"{root} has no folder 'train': images are expected in train/<class>/ and test/<class>/")
    for name in ("test", "val"):
        if (root / name).is_dir():
            return train, root / name
    raise DataError(f"{root} has no folder 'test' or 'val': images to test on are expected in test/<class>/")


def _compare(root: Path, train_name: str, train: set[str], test_name: str, test: set[str]) -> None:
    problems = [
        f"only in {name}/: {_some(sorted(only))}"
        for name, only in ((train_name, train - test), (test_name, test - train))
        if only
    ]
    if problems:
        raise DataError(f"{root}: classes differ between the splits: {'; '.join(problems)}")
    if len(train) < 2:
        raise DataError(f"{root} has one class only ({', '.join(train)}): there is nothing to tell apart")


def _some(names: list[str]) -> str:
    return f"{printable(', '.join(names[:NAMED]))}{' ...' if len(names) > NAMED else ''}"
