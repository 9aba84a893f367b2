"""Dogs vs Cats, in Kaggle's layout: `train.zip` as it comes, or the `train/` folder it unpacks to.

Kaggle's test1.zip has no labels, so a stratified fifth of the labelled images, chosen by the split seed, is the test.
"""

import re
import threading
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from study.data.cache import decoded_images
from study.data.dataset import Split
from study.data.decode import ImageFile, Read
from study.data.source import Progress, Source, given_folder
from study.data.splits import take_test
from study.errors import DataError

if TYPE_CHECKING:
    from study.config import DatasetSpec

CLASSES = ("cat", "dog")
NAME = re.compile(r"(cat|dog)\.(\d{1,9})\.jpg")
DEFAULT_SIZE = 64


def load(spec: "DatasetSpec", progress: Progress | None = None) -> Source:
    """Return the labelled photographs, resized to `spec.image_size` (64 by default), cats before dogs, by number.

    Raises:
        DataError: no train.zip or train/, a damaged archive, a class without images, or undecodable images.
    """
    root = given_folder(spec.name, spec.root)
    folder, archive = root / "train", root / "train.zip"
    if not folder.is_dir() and not archive.is_file():
        raise DataError(f"{root} has neither train.zip nor a folder train: put Kaggle's train.zip there as it comes")
    files, read = _list_folder(folder) if folder.is_dir() else _list_archive(archive)
    files.sort(key=_place)
    labels = torch.tensor([_place(file)[0] for file in files], dtype=torch.int64)
    for label, name in enumerate(CLASSES):
        if not (labels == label).any():
            raise DataError(f"no image of a {name} in {folder if folder.is_dir() else archive}: they are {name}.N.jpg")
    everything = Split(decoded_images(files, read, spec.image_size or DEFAULT_SIZE, progress), labels)
    train, test = take_test(everything, spec.split_seed)
    return Source(train, test, CLASSES)


def _place(file: ImageFile) -> tuple[int, int, str]:
    """Return label, number and name: the order of the images, the same for folder and archive."""
    match = NAME.fullmatch(Path(file.name).name)
    if match is None:
        raise DataError(f"{file.name} isn't called cat.N.jpg or dog.N.jpg")
    return CLASSES.index(match[1]), int(match[2]), file.name


def _list_folder(folder: Path) -> tuple[list[ImageFile], Read]:
    files = []
    for path in folder.iterdir():
        if NAME.fullmatch(path.name):
            status = path.stat()
            files.append(ImageFile(path.name, status.st_size, status.st_mtime_ns))
    return files, lambda file: (folder / file.name).read_bytes()


def _list_archive(archive: Path) -> tuple[list[ImageFile], Read]:
    """List the archive and return a reader that reads it in place, with a handle a thread."""
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = opened.infolist()
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError(f"{archive} can't be read: {error}\ndownload it again") from None
    files = [
        ImageFile(entry.filename, entry.file_size, entry.CRC)
        for entry in entries
        if NAME.fullmatch(Path(entry.filename).name) and not entry.filename.startswith("__MACOSX/")
    ]
    local = threading.local()

    def read(file: ImageFile) -> bytes:
        if not hasattr(local, "opened"):
            local.opened = zipfile.ZipFile(archive)
        opened: zipfile.ZipFile = local.opened
        return opened.read(file.name)

    return files, read
