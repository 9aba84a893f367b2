"""Dogs vs Cats, as Kaggle ships it: `train.zip` as it comes, read in place, or the `train/` folder it unpacks to.

Kaggle's test1.zip has no labels and is for prediction only, so the test is taken from the labelled images.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from study.data.dataset import BadFile
from study.data.files import ImageFile, Listing, listed, not_read, open_archive, open_folder
from study.data.image_files import decoded_split, need_all
from study.data.source import Progress, Source, given_folder
from study.errors import DataError

if TYPE_CHECKING:
    from study.config import DatasetSpec

CLASSES = ("cat", "dog")
NAME = re.compile(r"(cat|dog)\.(\d{1,9})\.jpg")
DEFAULT_SIZE = 64
BUNDLES = "dogs-vs-cats*.zip"
"""What Kaggle's buttons download, of either edition: an archive of the archives."""


def load(spec: "DatasetSpec", progress: Progress | None = None) -> Source:
    """Return the labelled photographs, square with side `spec.image_size` (64 by default), cats first, by number.

    Raises:
        DataError: no train.zip or train/, a damaged archive, or a class without a usable image.
        BadFilesError: files that can't be used or have a wrong name, and `spec.skip_bad` isn't set.
    """
    place, listing = open_training(given_folder(spec.name, spec.root))
    files = [file for file in listing.files if NAME.fullmatch(_base(file.name))]
    wrong = sorted(file.name for file in listing.files if not NAME.fullmatch(_base(file.name)))
    bad = [*listing.bad, *(BadFile(name, "isn't called cat.N.jpg or dog.N.jpg") for name in wrong)]
    files.sort(key=_order)
    labels = np.asarray([_order(file)[0] for file in files], dtype=np.int64)
    missing = [name for label, name in enumerate(CLASSES) if label not in labels]
    if missing:
        raise DataError("\n".join([f"no {missing[0]} in {place}: they are {missing[0]}.N.jpg", *listed(bad)]))
    everything, _, skipped = decoded_split(
        files, labels, listing.read, spec, default_size=DEFAULT_SIZE, bad=bad, progress=progress
    )
    need_all(CLASSES, everything, place, skipped)
    return Source(everything, None, CLASSES, skipped, not_read(listing.unread))


def open_training(root: Path) -> tuple[Path, Listing]:
    """List the labelled photographs below `root`: the folder if it has any, else the archive.

    Raises:
        DataError: there is neither, or the archive is damaged.
    """
    for folder in (root / "train", root / "train" / "train"):  # some programs unpack train.zip into a folder `train`
        if folder.is_dir() and any(path.suffix == ".jpg" for path in folder.iterdir()):
            return folder, open_folder(folder, folder)
    archive = root / "train.zip"
    if archive.is_file():
        return archive, open_archive(archive)
    for bundle in sorted(root.glob(BUNDLES)):
        raise DataError(f"{bundle} holds Kaggle's archives: unzip it there, once (not those within)")
    raise DataError(f"{root} has neither train.zip nor a folder train: put Kaggle's train.zip there as it comes")


def _order(file: ImageFile) -> tuple[int, int, str]:
    """Return label, number and name: the order of the images, the same for folder and archive."""
    match = NAME.fullmatch(_base(file.name))
    assert match is not None  # noqa: S101 (files of other names were taken out)
    return CLASSES.index(match[1]), int(match[2]), file.name


def _base(name: str) -> str:
    return name.rpartition("/")[2]
