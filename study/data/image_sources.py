"""Data sets of image files: Dogs vs Cats and folders of classes, ImageNet's included (see `image_tree`).

Kaggle's Dogs vs Cats is its original `train.zip`, read in place, or the unpacked `train/` folder. Its test1.zip has no
labels and is for prediction only, so the test is taken from the labelled images.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from study.data.cache import decoded_images
from study.data.dataset import BadFile, Split
from study.data.files import (
    BadFilesError,
    ImageFile,
    Listing,
    Read,
    first_names,
    listed,
    not_read,
    open_archive,
    open_folder,
    read_file,
)
from study.data.image_tree import Part, read_tree
from study.data.labelled import Catalogue, Labelled, class_problem
from study.data.source import Progress, Source, given_folder
from study.errors import DataError

if TYPE_CHECKING:
    from study.config import DatasetSpec

FOLDER_SIZE = 32
"""Default side in pixels of the square images of an image folder."""
DOGS_SIZE = 64
"""Default side in pixels of the square images of Dogs vs Cats."""
DOGS_CLASSES = ("cat", "dog")
DOGS_NAME = re.compile(r"(cat|dog)\.(\d{1,9})\.jpg")
DOGS_BUNDLES = "dogs-vs-cats*.zip"
"""Names of the archive of archives that Kaggle's download buttons give, in both editions."""


def load_image_folder(spec: "DatasetSpec", progress: Progress | None = None) -> Source:
    """Return the images of `spec.root`, made square with side `spec.image_size` (32 by default), classes by name.

    Raises:
        DataError: folders missing, classes that differ between the splits, a class without a usable image.
        BadFilesError: files that can't be used, or empty class folders, and `spec.skip_bad` isn't set.
    """
    root = given_folder(spec.name, spec.root)
    tree = read_tree(root)

    def labelled(part: Part) -> Labelled:
        place = "" if part.folder == root else f"{part.folder.name}/"
        labels = [name for name, files in part.classes.items() for _ in files]
        return Labelled(place, [file for files in part.classes.values() for file in files], labels, part.bad)

    def read(file: ImageFile) -> bytes:
        return read_file(root / file.name)

    train, test = labelled(tree.train), None if tree.test is None else labelled(tree.test)
    unread = [*tree.train.unread, *(tree.test.unread if tree.test else [])]
    notes = (*tree.notes, *not_read(unread))
    return load_catalogue(
        Catalogue(root, train, test, tuple(tree.train.classes), read, notes, FOLDER_SIZE), spec, progress
    )


def load_catalogue(catalogue: Catalogue, spec: "DatasetSpec", progress: Progress | None) -> Source:
    """Return the images of a source that are listed, decoded.

    Raises:
        DataError: classes that can't be told apart or differ between the splits, a class without a usable image.
        BadFilesError: files that can't be used, and `spec.skip_bad` isn't set.
    """
    parts, classes = catalogue.parts, catalogue.classes
    bad = [file for part in parts for file in part.bad]
    files = [file for part in parts for file in part.files]
    if problem := class_problem(catalogue):
        if bad and not spec.skip_bad:  # unread files may be the cause
            raise BadFilesError(tuple(bad), len(files) + len(bad))
        raise DataError("\n".join([problem, *listed(bad), *catalogue.notes]))
    numbers = {name: label for label, name in enumerate(classes)}
    labels = np.asarray([numbers[name] for part in parts for name in part.labels], dtype=np.int64)
    split, good, skipped = decode_split(
        files,
        labels,
        catalogue.read,
        spec,
        default_size=catalogue.side,
        bad=bad,
        progress=progress,
        channels=catalogue.channels,
    )
    boundary = int((good < len(catalogue.train.files)).sum())
    train, test = (split.take(rows) for rows in torch.arange(len(split)).tensor_split([boundary]))
    for part, taken in zip(parts, (train, test), strict=False):
        check_classes(classes, taken, catalogue.root / part.name, skipped)
    return Source(train, test if catalogue.test else None, classes, skipped, catalogue.notes)


def load_dogs_vs_cats(spec: "DatasetSpec", progress: Progress | None = None) -> Source:
    """Return the labelled photographs, made square with side `spec.image_size` (64 by default), cats first, by number.

    Raises:
        DataError: no train.zip or train/, a damaged archive, or a class without a usable image.
        BadFilesError: files that can't be used or have a wrong name, and `spec.skip_bad` isn't set.
    """
    place, listing = open_training(given_folder(spec.name, spec.root))
    matches = [(file, DOGS_NAME.fullmatch(file.name.rpartition("/")[2])) for file in listing.files]
    # By label, number and name: the order of the images, the same for folder and archive.
    labelled = sorted((DOGS_CLASSES.index(match[1]), int(match[2]), file) for file, match in matches if match)
    labels = np.asarray([label for label, _, _ in labelled], dtype=np.int64)
    files = [file for _, _, file in labelled]
    wrong = sorted(file.name for file, match in matches if not match)
    bad = [*listing.bad, *(BadFile(name, "isn't called cat.N.jpg or dog.N.jpg") for name in wrong)]
    missing = [name for label, name in enumerate(DOGS_CLASSES) if label not in labels]
    if missing:
        raise DataError("\n".join([f"no {missing[0]} in {place}: they are {missing[0]}.N.jpg", *listed(bad)]))
    everything, _, skipped = decode_split(
        files, labels, listing.read, spec, default_size=DOGS_SIZE, bad=bad, progress=progress
    )
    check_classes(DOGS_CLASSES, everything, place, skipped)
    return Source(everything, None, DOGS_CLASSES, skipped, not_read(listing.unread))


def open_training(root: Path) -> tuple[Path, Listing]:
    """List the labelled photographs below `root`, from the folder if it has any, else from the archive.

    Raises:
        DataError: there is neither, or the archive is damaged.
    """
    for folder in (root / "train", root / "train" / "train"):  # some programs unpack train.zip into a folder `train`
        if folder.is_dir() and any(path.suffix == ".jpg" for path in folder.iterdir()):
            return folder, open_folder(folder, folder)
    archive = root / "train.zip"
    if archive.is_file():
        return archive, open_archive(archive)
    for bundle in sorted(root.glob(DOGS_BUNDLES)):
        raise DataError(f"{bundle} holds Kaggle's archives: unzip it there, once (not those within)")
    raise DataError(f"{root} has neither train.zip nor a folder train: put Kaggle's train.zip there as it comes")


def decode_split(
    files: Sequence[ImageFile],
    labels: NDArray[np.int64],
    read: Read,
    spec: "DatasetSpec",
    *,
    default_size: int,
    bad: Sequence[BadFile] = (),
    progress: Progress | None = None,
    channels: Literal[1, 3] = 3,
) -> tuple[Split, NDArray[np.int64], tuple[BadFile, ...]]:
    """Decode `files` (M) with `labels` (M,); return the usable images, their positions (N,), and the skipped files.

    `default_size` is the side of the square images in pixels if `spec` has none; `bad` are files that are known to be
    unusable already; of `channels` 1, one channel is kept of images that are all grey.

    Raises:
        BadFilesError: files can't be used, and `spec.skip_bad` isn't set.
        DataError: the decoded images can't be kept.
    """
    decoded = decoded_images(files, read, spec.image_size or default_size, spec.resize, progress, channels)
    skipped = (*bad, *(BadFile(files[row].name, why) for row, why in sorted(decoded.bad.items())))
    if skipped and not spec.skip_bad:
        raise BadFilesError(skipped, len(files) + len(bad))
    if not decoded.bad:
        return Split(decoded.pixels, torch.from_numpy(labels), None, decoded.files), np.arange(len(files)), skipped
    good = np.setdiff1d(np.arange(len(files)), np.fromiter(decoded.bad, dtype=np.int64))
    rows = torch.from_numpy(good)
    return Split(decoded.pixels, torch.from_numpy(labels[good]), rows, decoded.files), good, skipped


def check_classes(classes: Sequence[str], split: Split, place: Path, skipped: Sequence[BadFile]) -> None:
    """Check that a split has an image of every class.

    Raises:
        DataError: a class is missing from `split`, the usable images of `place`.
    """
    present = set(split.labels.tolist())
    missing = [name for label, name in enumerate(classes) if label not in present]
    if missing:
        raise DataError("\n".join([f"no image of {first_names(missing)} in {place} can be used", *listed(skipped)]))
