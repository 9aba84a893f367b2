"""Fashion-MNIST: torchvision's addresses and checksums, and a small reader of IDX files that checks every bound.

The files may be in the given folder or in our cache, packed or not; missing ones are downloaded.
"""

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray

from study.data.dataset import Split
from study.data.download import Remote, fetch
from study.data.source import Progress, Source, files_folder
from study.errors import DataError

if TYPE_CHECKING:
    from study.config import DatasetSpec

UBYTE = 8
MAX_BYTES = 2**30
BLOCK = 2**20

Stream = BinaryIO | gzip.GzipFile


def load(spec: "DatasetSpec", progress: Progress | None = None) -> Source:
    """Return Fashion-MNIST from its four IDX files, packed or not, in the folder or in `FashionMNIST/raw` below it.

    Raises:
        DataError: the files are missing and can't be downloaded, or they are damaged.
    """
    from torchvision import datasets

    published = datasets.FashionMNIST
    folder = files_folder(spec)
    remotes = [Remote(name, published.mirrors[0] + name, md5) for name, md5 in published.resources]
    missing = [remote for remote in remotes if _find_idx(folder, remote.name) is None]
    if missing:
        fetch(spec.name, missing, folder, progress)
    splits = [_split(folder, part, len(published.classes)) for part in ("train", "t10k")]
    return Source(splits[0], splits[1], tuple(published.classes))


def _find_idx(folder: Path, name: str) -> Path | None:
    """Return the path of an IDX file, packed or not, in the folder itself or in torchvision's subfolder."""
    for place in (folder, folder / "raw", folder / "FashionMNIST" / "raw"):
        for candidate in (place / name, place / name.removesuffix(".gz")):
            if candidate.is_file():
                return candidate
    return None


def _split(folder: Path, part: str, classes: int) -> Split:
    paths = [_find_idx(folder, f"{part}-{kind}-ubyte.gz") for kind in ("images-idx3", "labels-idx1")]
    images, labels = (read_idx(path) for path in paths if path is not None)
    if images.ndim != 3 or images.shape[1:] != (28, 28) or labels.shape != images.shape[:1]:
        raise DataError(f"{paths[0]} must hold N images of 28x28, and {paths[1]} N labels")
    if labels.size and labels.max() >= classes:
        raise DataError(f"labels in {paths[1]} must be from 0 to {classes - 1}")
    return Split(torch.from_numpy(images[:, None]), torch.from_numpy(labels.astype(np.int64)))


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Return the array of unsigned bytes in an IDX file, packed (.gz) or not.

    Raises:
        DataError: the file isn't of that format, or its length isn't what its header says.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            shape = _shape(file, path)
            data = _content(file, math.prod(shape))
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} can't be read: {error}") from None
    if math.prod(shape) != len(data):
        sizes = " x ".join(map(str, shape))
        length = f"{len(data):,}" if len(data) < math.prod(shape) else "more"
        raise DataError(f"{path} has {length} bytes of data where its header says {sizes}")
    return np.frombuffer(data, dtype=np.uint8).reshape(shape)


def _content(file: Stream, size: int) -> bytearray:
    """Read the header's `size` bytes and one more: a packed file may unpack to any length."""
    data = bytearray()
    while len(data) <= size and (block := file.read(min(BLOCK, size + 1 - len(data)))):
        data += block
    return data


def _shape(file: Stream, path: Path) -> tuple[int, ...]:
    start = file.read(4)
    if len(start) < 4 or start[:2] != b"\0\0" or start[2] != UBYTE or not 1 <= start[3] <= 4:
        raise DataError(f"{path} isn't an IDX file of unsigned bytes")
    sizes = file.read(4 * start[3])
    if len(sizes) < 4 * start[3]:
        raise DataError(f"{path} ends within its header")
    shape = struct.unpack(f">{start[3]}I", sizes)
    if math.prod(max(1, size) for size in shape) > MAX_BYTES:  # NumPy limits the size of empty arrays too
        raise DataError(f"{path} has {' x '.join(map(str, shape))} bytes: more than {MAX_BYTES // 2**20} MiB")
    return shape
