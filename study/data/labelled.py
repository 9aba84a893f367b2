"""Labelled images as they are listed, the files of each split and their classes, and how these are decoded.

Archives of arrays, Parquet shards, tables and folder trees are all listed so, and then decoded and kept in one way.
"""

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import torch

from study.data.cache import decoded_images
from study.data.dataset import BadFile, Split
from study.data.files import BadFilesError, ImageFile, Read, first_names, listed, not_read, subfolders
from study.data.source import Progress, Source
from study.errors import DataError, printable

if TYPE_CHECKING:
    from study.config import DatasetSpec

Role = Literal["train", "test", "validation"]
ROLES: dict[Role, tuple[str, ...]] = {
    "train": ("train", "training"),
    "test": ("test", "testing"),
    "validation": ("val", "valid", "validation"),
}
"""Names of splits, in lower case."""
ROW = " row "
"""Between the name of an array or a shard and the number of an image in it."""
MAX_LABEL_BYTES = 256 * 2**20
"""Maximal size in memory of the labels of a file."""
LONGEST_NAME = 255
"""Maximal characters of a class's name: those of a folder's."""
STEERING = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""Control characters and those that change the direction of text: terminals and pages would obey them."""
FOLDER_SIZE = 32
"""Default side in pixels of the square images."""


class Labelled(NamedTuple):
    """The image files of a split, and the class of each."""

    name: str
    """What the split is called below the source's root; empty where the source has no splits."""
    files: Sequence[ImageFile]
    labels: Sequence[str]
    """Name of each file's class."""
    bad: Sequence[BadFile] = ()
    """Files that are known to be unusable without decoding them."""
    unread: Sequence[str] = ()
    """Names of files that aren't read: not images by their suffix, or images without a class."""


class Catalogue(NamedTuple):
    """The labelled images of a source, and how to read them."""

    root: Path
    train: Labelled
    test: Labelled | None
    """None where the source has no labelled images to test with."""
    classes: tuple[str, ...]
    """In the order of their labels."""
    read: Read
    notes: tuple[str, ...] = ()
    """Lines on which images are used and which aren't."""
    side: int = FOLDER_SIZE
    """Side in pixels of the square images, where none is given."""
    channels: Literal[1, 3] = 3
    """1 where all images are grey and have no other channels."""

    @property
    def parts(self) -> tuple[Labelled, ...]:
        """The splits there are."""
        return (self.train,) if self.test is None else (self.train, self.test)


def class_name(name: str) -> str:
    """Return a class's name in one Unicode form: macOS writes accents as separate characters."""
    return unicodedata.normalize("NFC", name)


def role_called(word: str) -> Role | None:
    """Return the split that a word such as `val` is a name of; None if none."""
    return next((role for role, names in ROLES.items() if word.lower() in names), None)


def role_of(name: str) -> Role | None:
    """Return the split that a name such as `test-00000-of-00002` stands for: its first word that does; None if none."""
    return next(filter(None, map(role_called, re.split(r"[^a-z]+", name.lower()))), None)


def divided(parts: Mapping[Role, Labelled]) -> tuple[Labelled, Labelled | None, tuple[str, ...]]:
    """Return the images to train on, those to test with if there are any, and notes; `parts` has some to train on.

    Where there are none to test with, validation images are the test.
    """
    test = parts.get("test") or parts.get("validation")
    notes = [f"test: the images of {test.name}"] if test else []
    if "test" in parts and "validation" in parts:
        notes.append(f"not used: {parts['validation'].name}")
    return parts["train"], test, tuple(notes)


def to_predict(roles: Collection[Role | None]) -> Role | None:
    """Return which split's images are predicted, of those that there are: the test's; None stands for no split."""
    order: tuple[Role | None, ...] = ("test", "validation", None, "train")
    return next(role for role in order if role in roles)


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Return the names of classes sorted: by value if all are numbers."""
    distinct = sorted(set(names))
    if all(name.isdecimal() and len(name) < 20 for name in distinct):
        return tuple(sorted(distinct, key=int))
    return tuple(distinct)


def refuse_too_many(images: int, size_bytes: int, place: str) -> None:
    """Check that a file can hold as many images as it says: lists are made of them, before one is read.

    Raises:
        DataError: it has fewer bytes than images.
    """
    if images > size_bytes:
        raise DataError(f"{place} says that it has {images:,} images in {size_bytes:,} bytes: it isn't what it says")


def _class_problem(catalogue: Catalogue) -> str:
    """Return why the classes of a source can't be used, or an empty text."""
    root, train, test, classes = catalogue.root, catalogue.train, catalogue.test, catalogue.classes
    if not classes:
        return f"{root} has no image that is read"
    for name in classes:
        if STEERING.search(name) or len(name) > LONGEST_NAME:
            shown = printable(name[:LONGEST_NAME])
            return f"{root}: class '{shown}' has a control character, or more than {LONGEST_NAME}: rename it"
    if test is not None and set(train.labels) != set(test.labels):
        pairs = ((train, test), (test, train))
        only = ((part.name, sorted(set(part.labels) - set(other.labels))) for part, other in pairs)
        lists = "; ".join(f"only in {name}: {first_names(names)}" for name, names in only if names)
        return f"{root}: classes differ between the splits: {lists}"
    if len(classes) < 2:
        (name,) = classes
        inner = root / train.name / name
        has_folders = inner.is_dir() and subfolders(inner)
        deeper = f"; if the folders in {inner} are the classes, that is the root" if has_folders else ""
        return f"{root} has one class only ({printable(name)}): there is nothing to tell apart{printable(deeper)}"
    return ""


def load_catalogue(catalogue: Catalogue, spec: "DatasetSpec", progress: Progress | None) -> Source:
    """Return the images of a source that are listed, decoded and made square with side `spec.image_size` or its own.

    Raises:
        DataError: classes that can't be told apart or differ between the splits, a class without a usable image, or the
            decoded images can't be kept.
        BadFilesError: files that can't be used, and `spec.skip_bad` isn't set.
    """
    parts, classes = catalogue.parts, catalogue.classes
    bad = [file for part in parts for file in part.bad]
    files = [file for part in parts for file in part.files]
    notes = (*catalogue.notes, *not_read([name for part in parts for name in part.unread]))
    if problem := _class_problem(catalogue):
        if bad and not spec.skip_bad:  # unread files may be the cause
            raise BadFilesError(tuple(bad), len(files) + len(bad))
        raise DataError("\n".join([problem, *listed(bad), *notes]))
    size = spec.image_size or catalogue.side
    decoded = decoded_images(files, catalogue.read, size, spec.resize, progress, catalogue.channels)
    skipped = (*bad, *(BadFile(files[row].name, why) for row, why in sorted(decoded.bad.items())))
    if skipped and not spec.skip_bad:
        raise BadFilesError(skipped, len(files) + len(bad))
    numbers = {name: label for label, name in enumerate(classes)}
    labels = torch.tensor([numbers[name] for part in parts for name in part.labels], dtype=torch.int64)
    everything = Split(decoded.pixels, labels, None, decoded.files)
    unusable = torch.tensor([*decoded.bad], dtype=torch.int64)
    splits, start = [], 0
    for part in parts:
        rows = torch.arange(start, start := start + len(part.files))
        split = everything.take(rows[~torch.isin(rows, unusable)])
        if missing := sorted(set(range(len(classes))) - set(split.labels.tolist())):
            names = first_names([classes[label] for label in missing])
            place = catalogue.root / part.name
            raise DataError("\n".join([f"no image of {names} in {place} can be used", *listed(skipped)]))
        splits.append(split)
    return Source(splits[0], splits[1] if catalogue.test else None, classes, skipped, notes)
