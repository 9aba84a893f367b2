"""CIFAR-10, CIFAR-100 and Fashion-MNIST: torchvision's files, addresses and checksums, read by our own code.

Files may lie in the given folder or in our cache, as they come or unpacked; what is missing is downloaded. CIFAR-10 may
also be a tree of image files.
"""

import gzip
import tarfile
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from study.data import image_folder
from study.data.cifar_batches import read_batch, read_names
from study.data.dataset import Split
from study.data.download import Remote, fetch, has_md5
from study.data.idx import read_idx
from study.data.source import Progress, Source, data_folder, given_folder
from study.errors import DataError, printable

if TYPE_CHECKING:
    from study.config import DatasetSpec

CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
CIFAR10_IMAGES = (50_000, 10_000)
"""Of its two splits, an equal share of each class."""
MAX_UNPACKED = 2**30
"""Bytes that an archive of CIFAR may come to: they come to 2**28."""

ReadMember = Callable[[str, str], bytes]
"""Gives the bytes of a batch file of CIFAR, of a name and with a checksum."""


def load_cifar(spec: "DatasetSpec", progress: Progress | None = None) -> Source:
    """Return CIFAR-10 or CIFAR-100 (fine labels), from `cifar-10-batches-py` or `cifar-10-python.tar.gz`, or the like.

    CIFAR-10 is also taken from image files in `train/<class>/` and `test/<class>/`.

    Raises:
        DataError: the files are missing and can't be downloaded, they are damaged, or a tree isn't all of CIFAR-10.
    """
    from torchvision import datasets  # takes a second to import

    if spec.name == "cifar10" and spec.root is not None and (given_folder(spec.name, spec.root) / "train").is_dir():
        return _cifar10_tree(spec, progress)
    known = datasets.CIFAR10 if spec.name == "cifar10" else datasets.CIFAR100
    read = _cifar_reader(spec, known, progress)
    meta = known.meta
    names = read_names(read(meta["filename"], meta["md5"]), meta["key"], meta["filename"])
    train, test = (
        _cifar_split([read_batch(read(name, md5), len(names), name) for name, md5 in members])
        for members in (known.train_list, known.test_list)
    )
    return Source(train, test, names)


def _cifar10_tree(spec: "DatasetSpec", progress: Progress | None) -> Source:
    source = image_folder.load(spec, progress)
    counts = [split.labels.bincount(minlength=len(source.classes)) for split in (source.train, source.test) if split]
    expected = [torch.full((len(CIFAR10),), images // len(CIFAR10)) for images in CIFAR10_IMAGES]
    if source.classes != CIFAR10 or len(counts) != 2 or not all(map(torch.equal, counts, expected)):
        raise DataError(
            f"{spec.root} isn't CIFAR-10, which has {CIFAR10_IMAGES[0]:,} images in train/ and {CIFAR10_IMAGES[1]:,} "
            f"in test/ in ten equal classes, {CIFAR10[0]}/ to {CIFAR10[-1]}/: another tree is an 'image-folder'"
        )
    note = "CIFAR-10 as image files: if these were compressed with loss, their pixels are not quite the paper's"
    return replace(source, notes=(note, *source.notes))


def load_fashion(spec: "DatasetSpec", progress: Progress | None = None) -> Source:
    """Return Fashion-MNIST from its four IDX files, packed or not, in the folder or in `FashionMNIST/raw` below it.

    Raises:
        DataError: the files are missing and can't be downloaded, or they are damaged.
    """
    from torchvision import datasets

    known = datasets.FashionMNIST
    folder = _folder(spec)
    remotes = [Remote(name, known.mirrors[0] + name, md5) for name, md5 in known.resources]
    missing = [remote for remote in remotes if _find_idx(folder, remote.name) is None]
    if missing:
        fetch(spec.name, missing, folder, progress)
    splits = [_fashion_split(folder, part, len(known.classes)) for part in ("train", "t10k")]
    return Source(splits[0], splits[1], tuple(known.classes))


def _folder(spec: "DatasetSpec") -> Path:
    return data_folder(spec.name) if spec.root is None else given_folder(spec.name, spec.root)


def _cifar_reader(spec: "DatasetSpec", known: Any, progress: Progress | None) -> ReadMember:
    """Return a reader of the unpacked folder where there is one, else of the archive, downloaded if need be."""
    folder = _folder(spec)
    for unpacked in (folder / known.base_folder, folder):
        if (unpacked / known.meta["filename"]).is_file():
            return lambda name, md5: _checked(unpacked / name, md5)
    archive = folder / known.filename
    if not archive.is_file():
        fetch(spec.name, [Remote(known.filename, known.url, known.tgz_md5)], folder, progress)
    if not has_md5(archive, known.tgz_md5):
        raise DataError(f"{archive} is damaged (its checksum is wrong): delete it and run again")
    members = _untar(archive)

    def read(name: str, md5: str) -> bytes:
        if f"{known.base_folder}/{name}" not in members:
            raise DataError(f"{archive} has no {known.base_folder}/{name}: delete it and run again")
        return members[f"{known.base_folder}/{name}"]

    return read


def _checked(path: Path, md5: str) -> bytes:
    if not has_md5(path, md5):
        problem = "is damaged (its checksum is wrong)" if path.is_file() else "is missing"
        raise DataError(f"{path} {problem}: unpack the archive again")
    return path.read_bytes()


class _Bounded:
    """A stream that ends in an error before it fills the memory."""

    def __init__(self, stream: gzip.GzipFile) -> None:
        self._stream = stream
        self._left = MAX_UNPACKED

    def read(self, size: int) -> bytes:
        data = self._stream.read(min(size, self._left + 1))
        self._left -= len(data)
        if self._left < 0:
            raise OSError(f"more than {MAX_UNPACKED // 2**20} MiB when unpacked")
        return data


def _untar(archive: Path) -> dict[str, bytes]:
    """Read the members of an archive into memory: faster than unpacking it to disk, and nothing to clean up."""
    files: dict[str, bytes] = {}
    try:
        with gzip.open(archive) as unpacked, _tar(_Bounded(unpacked)) as tar:
            for member in tar:
                content: IO[bytes] | None = tar.extractfile(member) if member.isreg() else None
                if content is not None:
                    files[member.name] = content.read()
    except (OSError, EOFError, ValueError, zlib.error, tarfile.TarError) as error:
        raise DataError(f"{archive} can't be read: {printable(str(error))}: delete it and run again") from None
    return files


def _tar(stream: _Bounded) -> tarfile.TarFile:
    return tarfile.open(fileobj=stream, mode="r|")  # type: ignore[call-overload, no-any-return]  # all it does is read


def _cifar_split(batches: list[tuple[NDArray[np.uint8], NDArray[np.int64]]]) -> Split:
    pixels, labels = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    # Pixel by pixel, as batches are made of them: turned round here once, not in every batch.
    images = torch.from_numpy(pixels).contiguous(memory_format=torch.channels_last)
    return Split(images, torch.from_numpy(labels))


def _find_idx(folder: Path, name: str) -> Path | None:
    """Return where an IDX file lies, packed or not: in the folder itself, or where torchvision puts it."""
    for place in (folder, folder / "raw", folder / "FashionMNIST" / "raw"):
        for candidate in (place / name, place / name.removesuffix(".gz")):
            if candidate.is_file():
                return candidate
    return None


def _fashion_split(folder: Path, part: str, classes: int) -> Split:
    paths = [_find_idx(folder, f"{part}-{kind}-ubyte.gz") for kind in ("images-idx3", "labels-idx1")]
    images, labels = (read_idx(path) for path in paths if path is not None)
    if images.ndim != 3 or images.shape[1:] != (28, 28) or labels.shape != images.shape[:1]:
        raise DataError(f"{paths[0]} must hold N images of 28x28, and {paths[1]} N labels")
    if labels.size and labels.max() >= classes:
        raise DataError(f"labels in {paths[1]} must be from 0 to {classes - 1}")
    return Split(torch.from_numpy(images[:, None]), torch.from_numpy(labels.astype(np.int64)))
