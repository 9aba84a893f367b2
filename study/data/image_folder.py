"""Image folders: any tree of `train/<class>/*` and `test/<class>/*` (or `val/`), ImageNet's included."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from study.data.cache import decoded_images
from study.data.dataset import Split
from study.data.decode import SUFFIXES, ImageFile
from study.data.source import Progress, Source, given_folder
from study.errors import DataError

if TYPE_CHECKING:
    from study.config import DatasetSpec

DEFAULT_SIZE = 32
NAMED = 5
"""Classes that an error names."""


def load(spec: "DatasetSpec", progress: Progress | None = None) -> Source:
    """Return the images of `spec.root`, resized to `spec.image_size` (32 by default), with classes sorted by name.

    `val/` is the test split where there is no `test/`, and isn't looked at otherwise.

    Raises:
        DataError: folders missing, a class without images, classes that differ, or files that can't be decoded.
    """
    root = given_folder(spec.name, spec.root)
    train_folder, test_folder = _split_folders(root)
    train, test = list_classes(train_folder, root), list_classes(test_folder, root)
    _compare(root, train_folder.name, set(train), test_folder.name, set(test))
    files = [file for listing in (train, test) for members in listing.values() for file in members]
    images = decoded_images(
        files, lambda file: (root / file.name).read_bytes(), spec.image_size or DEFAULT_SIZE, progress
    )
    labels = torch.cat([_labels(train), _labels(test)])
    count = len(_labels(train))
    return Source(Split(images[:count], labels[:count]), Split(images[count:], labels[count:]), tuple(train))


def list_classes(folder: Path, root: Path) -> dict[str, list[ImageFile]]:
    """Return the image files of each class folder below `folder`, classes and files sorted by name.

    Raises:
        DataError: no class folders, or one without image files.
    """
    classes = {}
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir() and not entry.name.startswith("."):
            classes[entry.name] = list_images(entry, root)
            if not classes[entry.name]:
                raise DataError(f"class folder {entry} has no images ({', '.join(SUFFIXES)})")
    if not classes:
        raise DataError(f"{folder} has no class folders: images are expected in {folder.name}/<class>/")
    return classes


def list_images(folder: Path, root: Path) -> list[ImageFile]:
    """Return the image files in and below `folder`, sorted by their path below `root`; hidden ones are passed over."""
    found = []
    for place, _, names in os.walk(folder):
        for name in names:
            if name.lower().endswith(SUFFIXES) and not name.startswith("."):
                path = Path(place, name)
                status = path.stat()
                found.append(ImageFile(path.relative_to(root).as_posix(), status.st_size, status.st_mtime_ns))
    return sorted(found)


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
        f"only in {name}/: {', '.join(sorted(only)[:NAMED])}{' ...' if len(only) > NAMED else ''}"
        for name, only in ((train_name, train - test), (test_name, test - train))
        if only
    ]
    if problems:
        raise DataError(f"{root}: classes differ between the splits: {'; '.join(problems)}")
    if len(train) < 2:
        raise DataError(f"{root} has one class only ({', '.join(train)}): there is nothing to tell apart")


def _labels(classes: dict[str, list[ImageFile]]) -> Tensor:
    counts = torch.tensor([len(members) for members in classes.values()])
    return torch.arange(len(classes)).repeat_interleave(counts)  # (N,)
