"""Kaggle's Dogs vs Cats: its original `train.zip`, read in place, or the unpacked `train/` folder.

Its test1.zip has no labels and is for prediction only, so the test is taken from the labelled images.
"""

import re
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
