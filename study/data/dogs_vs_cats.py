"""Kaggle's Dogs vs Cats: its original `train.zip`, read in place, or the unpacked `train/` folder.

Its test1.zip has no labels and is for prediction only, so the test is taken from the labelled images.
"""

import re
import zipfile
from pathlib import Path

from study.data.dataset import BadFile
from study.data.files import Listing, listed, open_archive, open_folder
from study.data.labelled import Catalogue, Labelled
from study.errors import DataError

DOGS_SIZE = 64
"""Default side in pixels of the square images of Dogs vs Cats."""
DOGS_CLASSES = ("cat", "dog")
DOGS_NAME = re.compile(r"(cat|dog)\.(\d{1,9})\.jpg")
DOGS_BUNDLES = "dogs-vs-cats*.zip"
"""Names of the archive of archives that Kaggle's download buttons give, in both editions."""


def read_photographs(root: Path) -> Catalogue:
    """List the labelled photographs of Dogs vs Cats, cats first, by number; none of them is decoded.

    Raises:
        DataError: no train.zip or train/, a damaged archive, or one without cats or dogs.
    """
    place, listing = open_training(root)
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
    return Catalogue(place, train, None, DOGS_CLASSES, listing.read, side=DOGS_SIZE)


def open_training(root: Path) -> tuple[Path, Listing]:
    """List the labelled photographs below `root`, from the folder if it has any, else from the archive.

    `root` may be the archive itself.

    Raises:
        DataError: there is neither, or the archive is damaged.
    """
    for folder in _unpacked(root):
        if any(path.suffix == ".jpg" for path in folder.iterdir()):
            return folder, open_folder(folder, folder)
    archive = root if root.is_file() else root / "train.zip"
    if archive.is_file() and not archive.match(DOGS_BUNDLES):
        return archive, open_archive(archive)
    for bundle in _bundles(root):
        raise DataError(f"{bundle} holds Kaggle's archives: unzip it there, once (not those within)")
    raise DataError(f"{root} has neither train.zip nor a folder train: put Kaggle's train.zip there as it comes")


def has_photographs(root: Path) -> bool:
    """Whether the photographs, or one of Kaggle's archives of them, are in a folder, or are the file itself."""
    try:
        if any(DOGS_NAME.fullmatch(path.name) for folder in _unpacked(root) for path in folder.iterdir()):
            return True
        if not _unpacked(root) and _bundles(root):
            return True
        archive = root if root.is_file() else root / "train.zip"
        with zipfile.ZipFile(archive) as opened:
            names = [name.rpartition("/")[2] for name in opened.namelist()]
    except zipfile.BadZipFile:  # the reader says so, if the name is Kaggle's
        return archive.name == "train.zip"
    except OSError:
        return False
    return not names or any(map(DOGS_NAME.fullmatch, names))


def _unpacked(root: Path) -> list[Path]:
    """Return the folders that train.zip may have been unpacked into: some programs make one for it."""
    return [folder for folder in (root / "train", root / "train" / "train") if folder.is_dir()]


def _bundles(root: Path) -> list[Path]:
    return sorted(root.glob(DOGS_BUNDLES)) if root.is_dir() else [root] if root.match(DOGS_BUNDLES) else []
