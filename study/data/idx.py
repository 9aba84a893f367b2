"""IDX files, the format of MNIST and its kin: a small reader that checks every bound."""

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from study.errors import DataError

UBYTE = 8
MAX_BYTES = 2**30
BLOCK = 2**20

Stream = BinaryIO | gzip.GzipFile


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
        found = f"{len(data):,}" if len(data) < math.prod(shape) else "more"
        raise DataError(f"{path} has {found} bytes of data where its header says {sizes}")
    return np.frombuffer(data, dtype=np.uint8).reshape(shape)


def _content(file: Stream, wanted: int) -> bytearray:
    """Read what the header says and a byte: what is packed may unpack to anything, and a header say anything."""
    data = bytearray()
    while len(data) <= wanted and (block := file.read(min(BLOCK, wanted + 1 - len(data)))):
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
    if math.prod(max(1, size) for size in shape) > MAX_BYTES:  # NumPy has a limit for what is empty too
        raise DataError(f"{path} has {' x '.join(map(str, shape))} bytes: more than {MAX_BYTES // 2**20} MiB")
    return shape
