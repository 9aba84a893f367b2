"""IDX files, the format of MNIST and its kin: a small reader that checks every bound."""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from study.errors import DataError

UBYTE = 8
MAX_BYTES = 2**30


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Return the array of unsigned bytes in an IDX file, packed (.gz) or not.

    Raises:
        DataError: the file isn't of that format, or its length isn't what its header says.
    """
    data = _content(path)
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] != UBYTE or not 1 <= data[3] <= 4:
        raise DataError(f"{path} isn't an IDX file of unsigned bytes")
    start = 4 + 4 * data[3]
    if len(data) < start:
        raise DataError(f"{path} ends within its header")
    shape = struct.unpack(f">{data[3]}I", data[4:start])
    if math.prod(shape) != len(data) - start:
        sizes = " x ".join(map(str, shape))
        raise DataError(f"{path} has {len(data) - start:,} bytes of data where its header says {sizes}")
    return np.frombuffer(bytearray(data[start:]), dtype=np.uint8).reshape(shape)


def _content(path: Path) -> bytes:
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} can't be read: {error}") from None
    if len(data) > MAX_BYTES:
        raise DataError(f"{path} is larger than {MAX_BYTES // 2**20} MiB")
    return data
