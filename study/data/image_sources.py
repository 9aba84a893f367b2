"""Data sets of image files: Dogs vs Cats and folders of classes, ImageNet's included (see `image_tree`).

Kaggle's Dogs vs Cats is its original `train.zip`, read in place, or the unpacked `train/` folder. Its test1.zip has no
labels and is for prediction only, so the test is taken from the labelled images.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from study.data.cache import decoded_images
from study.data.dataset import BadFile, Split
from study.data.files import BadFilesError, Listing, first_names, listed, not_read, open_archive, open_folder
from study.data.image_tree import read_tree
from study.data.labelled import Catalogue, Labelled, class_problem
from study.data.source import Progress, Source, given_folder
from study.errors import DataError

if TYPE_CHECKING:
    from study.config import DatasetSpec

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
    return load_catalogue(read_tree(given_folder(spec.name, spec.root)), spec, progress)


def load_catalogue(catalogue: Catalogue, spec: "DatasetSpec", progress: Progress | None) -> Source:
    """Return the images of a source that are listed, decoded.

    Raises:
        DataError: classes that can't be told apart or differ between the splits, a class without a usable image, or the
            decoded images can't be kept.
        BadFilesError: files that can't be used, and `spec.skip_bad` isn't set.
    """
    parts, classes = catalogue.parts, catalogue.classes
    bad = [file for part in parts for file in part.bad]
    files = [file for part in parts for file in part.files]
    notes = (*catalogue.notes, *not_read([name for part in parts for name in part.unread]))
    if problem := class_problem(catalogue):
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


def load_dogs_vs_cats(spec: "DatasetSpec", progress: Progress | None = None) -> Source:
    """Return the labelled photographs, made square with side `spec.image_size` (64 by default), cats first, by number.

    Raises:
        DataError: no train.zip or train/, a damaged archive, or a class without a usable image.
        BadFilesError: files that can't be used or have a wrong name, and `spec.skip_bad` isn't set.
    """
    place, listing = open_training(given_folder(spec.name, spec.root))
    matches = [(file, DOGS_NAME.fullmatch(file.name.rpartition("/")[2])) for file in listing.files]
    # By label, number and name: the order of the images, the same for folder and archive.
    labelled = sorted((match[1], int(match[2]), file) for file, match in matches if match)
    labels = [label for label, _, _ in labelled]
    wrong = sorted(file.name for file, match in matches if not match)
    bad = [*listing.bad, *(BadFile(name, "isn't called cat.N.jpg or dog.N.jpg") for name in wrong)]
    for name in DOGS_CLASSES:
        if name not in labels:
            raise DataError("\n".join([f"no {name} in {place}: they are {name}.N.jpg", *listed(bad)]))
    train = Labelled("", [file for _, _, file in labelled], labels, bad, listing.unread)
    return load_catalogue(Catalogue(place, train, None, DOGS_CLASSES, listing.read, side=DOGS_SIZE), spec, progress)


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
