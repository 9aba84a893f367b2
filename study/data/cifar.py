"""CIFAR-10 and CIFAR-100: torchvision's addresses and checksums, read by our own code.

The files may be in the given folder or in our cache, packed or unpacked; a missing archive is downloaded. CIFAR-10 may
also be a tree of image files.
"""

import gzip
import tarfile
import zlib
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from study.data.cifar_batches import read_batch, read_names
from study.data.dataset import Split
from study.data.download import Remote, fetch, has_md5
from study.data.image_tree import read_tree
from study.data.labelled import load_catalogue
from study.data.source import Progress, Source, files_folder, given_folder
from study.errors import DataError, printable

if TYPE_CHECKING:
    from study.config import DatasetSpec

CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
CIFAR10_IMAGES = (50_000, 10_000)
"""Images of the two splits, an equal share of each class."""
MAX_UNPACKED = 2**30
"""Maximal bytes in an unpacked archive; CIFAR's have 2**28."""

ReadMember = Callable[[str, str], bytes]
"""Returns the bytes of a batch file of CIFAR, given its name and checksum."""


def load(spec: "DatasetSpec", progress: Progress | None = None) -> Source:
    """Return CIFAR-10 or CIFAR-100 (fine labels), from `cifar-10-batches-py` or `cifar-10-python.tar.gz`, or the like.

    CIFAR-10 is also taken from image files in `train/<class>/` and `test/<class>/`.

    Raises:
        DataError: the files are missing and can't be downloaded, they are damaged, or a tree isn't all of CIFAR-10.
    """
    from torchvision import datasets  # takes a second to import

    if spec.name == "cifar10" and spec.root is not None and (given_folder(spec.name, spec.root) / "train").is_dir():
        return _cifar10_tree(spec, progress)
    published = datasets.CIFAR10 if spec.name == "cifar10" else datasets.CIFAR100
    read = _reader(spec, published, progress)
    meta = published.meta
    names = read_names(read(meta["filename"], meta["md5"]), meta["key"], meta["filename"])
    train, test = (
        _split([read_batch(read(name, md5), len(names), name) for name, md5 in members])
        for members in (published.train_list, published.test_list)
    )
    return Source(train, test, names)


def _cifar10_tree(spec: "DatasetSpec", progress: Progress | None) -> Source:
    source = load_catalogue(read_tree(given_folder(spec.name, spec.root)), spec, progress)
    counts = [split.labels.bincount(minlength=len(source.classes)) for split in (source.train, source.test) if split]
    expected = [torch.full((len(CIFAR10),), images // len(CIFAR10)) for images in CIFAR10_IMAGES]
    if source.classes != CIFAR10 or len(counts) != 2 or not all(map(torch.equal, counts, expected)):
        raise DataError(
            f"{spec.root} isn't CIFAR-10, which has {CIFAR10_IMAGES[0]:,} images in train/ and {CIFAR10_IMAGES[1]:,} "
            f"in test/ in ten equal classes, {CIFAR10[0]}/ to {CIFAR10[-1]}/: another tree is an 'image-folder'"
        )
    note = "CIFAR-10 as image files: if these were compressed with loss, their pixels are not quite the paper's"
    return replace(source, notes=(note, *source.notes))


def _reader(spec: "DatasetSpec", published: Any, progress: Progress | None) -> ReadMember:
    """Return a reader of the unpacked folder if there is one, else of the archive, downloaded if missing."""
    folder = files_folder(spec)
    for unpacked in (folder / published.base_folder, folder):
        if (unpacked / published.meta["filename"]).is_file():
            return lambda name, md5: _checked(unpacked / name, md5)
    archive = folder / published.filename
    if not archive.is_file():
        fetch(spec.name, [Remote(published.filename, published.url, published.tgz_md5)], folder, progress)
    if not has_md5(archive, published.tgz_md5):
        raise DataError(f"{archive} is damaged (its checksum is wrong): delete it and run again")
    members = _untar(archive)

    def read(name: str, md5: str) -> bytes:
        if f"{published.base_folder}/{name}" not in members:
            raise DataError(f"{archive} has no {published.base_folder}/{name}: delete it and run again")
        return members[f"{published.base_folder}/{name}"]

    return read


def _checked(path: Path, md5: str) -> bytes:
    if not has_md5(path, md5):
        problem = "is damaged (its checksum is wrong)" if path.is_file() else "is missing"
        raise DataError(f"{path} {problem}: unpack the archive again")
    return path.read_bytes()


def _untar(archive: Path) -> dict[str, bytes]:
    """Read the members of an archive into memory: faster than unpacking it to disk, and nothing to clean up."""
    try:
        with gzip.open(archive) as packed:
            unpacked = packed.read(MAX_UNPACKED + 1)
        if len(unpacked) > MAX_UNPACKED:
            raise OSError(f"more than {MAX_UNPACKED // 2**20} MiB when unpacked")
        with tarfile.open(fileobj=BytesIO(unpacked), mode="r:") as tar:
            contents = ((member.name, tar.extractfile(member)) for member in tar if member.isreg())
            return {name: content.read() for name, content in contents if content is not None}
    except (OSError, EOFError, ValueError, zlib.error, tarfile.TarError) as error:
        raise DataError(f"{archive} can't be read: {printable(str(error))}: delete it and run again") from None


def _split(batches: list[tuple[NDArray[np.uint8], NDArray[np.int64]]]) -> Split:
    pixels, labels = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    # Pixel by pixel, as batches are made of them: reordered here once, not in every batch.
    images = torch.from_numpy(pixels).contiguous(memory_format=torch.channels_last)
    return Split(images, torch.from_numpy(labels))
