"""Decoded images on disk: one process decodes them once, then all processes map them into shared memory."""

import contextlib
import hashlib
import json
import math
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import PIL
import simplejpeg
import torch
from filelock import FileLock, Timeout
from torch import Tensor

from study.data.dataset import Files
from study.data.decode import Resize
from study.data.decode_all import GOOD, Failures, Target, decode_all, forget_damaged, holds, record_type
from study.data.files import ImageFile, Read
from study.data.measure import Measures
from study.data.source import Progress, image_cache_folder
from study.errors import DataError

LAYOUT = 3
"""Version of the decoding and of the cache files: after an increase, old caches aren't used."""
CHECKED = 64
"""Images whose digest is checked when a cache is opened, spread evenly, including the last."""

WAIT_SECONDS = 1.0
"""Seconds between two calls of `progress` while another process decodes."""
Mapped = np.memmap[Any, np.dtype[Any]]
Shape = tuple[int, int, int, int]
"""(M, S, S, C): files, sides of the square images, channels."""


@dataclass(frozen=True, eq=False)
class Decoded:
    """The decoded files, one per row. Legend: M files, C channels, S side."""

    pixels: Tensor
    """uint8 (M, C, S, S), in channels_last, mapped from the cache; black where a file is bad."""
    files: Files
    bad: Failures
    """Rows of files that can't be decoded, with the reasons."""


def cache_key(files: Sequence[ImageFile], image_size: int, resize: Resize) -> str:
    """Return 20 hex digits that change with the listing (names, sizes, stamps), the size or the decoders."""
    versions = f"Pillow {PIL.__version__}, simplejpeg {simplejpeg.__version__}"
    digest = hashlib.sha256(f"{LAYOUT} {image_size} {resize} {versions}\n".encode())
    for file in files:
        # surrogateescape: file names needn't be valid text
        digest.update(f"{file.name}\0{file.size_bytes}\0{file.stamp}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()[:20]


def decoded_images(
    files: Sequence[ImageFile],
    read: Read,
    image_size: int,
    resize: Resize,
    progress: Progress | None,
    channels: Literal[1, 3] = 3,
) -> Decoded:
    """Return the decoded files, mapped from the cache; of `channels` 1, one is kept of images that are all grey.

    The first process decodes, the others wait for it. Memory is shared until it's written to; writes never reach the
    file.

    Raises:
        DataError: the cache folder can't be written or read back.
    """
    folder = image_cache_folder() / cache_key(files, image_size, resize)
    shape = (len(files), image_size, image_size, channels)
    decoded = _open(folder, files, shape)
    if decoded is not None:
        return decoded
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _locked(folder.with_suffix(".lock"), progress):
            decoded = _open(folder, files, shape)  # another process may have decoded meanwhile
            if decoded is None:
                _build(folder, files, read, shape, resize, progress)
                decoded = _open(folder, files, shape)
    except OSError as error:
        gib = math.prod(shape) / 2**30
        raise DataError(
            f"can't keep {gib:.2f} GiB of decoded images in {folder.parent}: {error.strerror or error}\n"
            "set STUDY_CACHE to a folder with room for them"
        ) from None
    if decoded is None:
        raise DataError(f"the decoded images in {folder} can't be read back: delete that folder and run again")
    return decoded


@contextlib.contextmanager
def _locked(path: Path, progress: Progress | None) -> Iterator[None]:
    """Hold a lock; while another process holds it, perhaps for hours, call `progress` regularly."""
    lock = FileLock(path)
    while not lock.is_locked:
        with contextlib.suppress(Timeout):
            lock.acquire(timeout=WAIT_SECONDS)
        if not lock.is_locked and progress is not None:
            progress("waiting for another process to decode the images", 0.0)
    try:
        yield
    finally:
        lock.release()


def verify(folder: Path) -> int:
    """Compare every decoded image in `folder` with its digest; return how many differ.

    Mark these, so that the next process that opens the cache decodes them again.
    """
    pixels = _mapped(folder / "images.npy", "c")
    records = _mapped(folder / "records.npy", "r+")
    damaged = forget_damaged(pixels, records)
    records.flush()
    return damaged


def _open(folder: Path, files: Sequence[ImageFile], shape: Shape) -> Decoded | None:
    """Map the cached arrays; None if they are missing, incomplete, or a sample has changed since it was written."""
    try:
        pixels = _mapped(folder / "images.npy", "c")
        records = np.array(_mapped(folder / "records.npy", "c"))
        bad = {int(row): str(why) for row, why in json.loads((folder / "bad.json").read_text()).items()}
    except Exception:  # after a crash, the readers of the three files may raise any error
        return None
    if (
        pixels.shape != shape
        or pixels.dtype != np.uint8
        or records.shape != shape[:1]
        or records.dtype != record_type(shape[3])
    ):
        return None
    good = np.flatnonzero(records["state"] == GOOD)
    if sorted(bad) != np.flatnonzero(records["state"] != GOOD).tolist():
        return None
    sample = good[np.linspace(0, len(good) - 1, min(CHECKED, len(good))).astype(np.int64)]
    if not all(holds(pixels[row], records[row]) for row in sample):
        return None
    names = tuple(file.name for file in files)
    measures = Measures(*(records[field] for field in ("height", "width", "total", "squares")))
    digests = torch.from_numpy(np.ascontiguousarray(records["digest"]))
    return Decoded(torch.from_numpy(pixels).permute(0, 3, 1, 2), Files(names, measures, digests, folder), bad)


def _build(
    folder: Path,
    files: Sequence[ImageFile],
    read: Read,
    shape: Shape,
    resize: Resize,
    progress: Progress | None,
) -> None:
    """Decode into a folder beside `folder` and rename it when complete. After a stop, the next call continues it."""
    building = folder.with_suffix(".building")
    if folder.exists() and not building.exists():  # damaged: keep its good images; this process holds the lock
        folder.rename(building)
    elif folder.exists():
        shutil.rmtree(folder)
    building.mkdir(exist_ok=True)
    try:
        pixels = _array(building / "images.npy", shape, np.dtype(np.uint8))
        records = _array(building / "records.npy", (len(files),), record_type(shape[3]))
    except BaseException:
        with contextlib.suppress(OSError):
            shutil.rmtree(building)
        raise
    bad = decode_all(files, read, Target(pixels, records, resize), progress)
    for array in (pixels, records):
        array.flush()
    del pixels, records
    (building / "bad.json").write_text(json.dumps(bad))
    building.rename(folder)


def _array(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Mapped:
    """Map the array of an earlier attempt, or a new one of zeros with its disk space taken."""
    with contextlib.suppress(OSError, ValueError):
        earlier = _mapped(path, "r+")
        if earlier.shape == shape and earlier.dtype == dtype:
            return earlier
    array: Mapped = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
    _reserve(path)
    return array


def _mapped(path: Path, mode: Literal["c", "r+"]) -> Mapped:
    """Map an array; `np.load` would also open archives and pickles with that name."""
    array: Mapped = np.lib.format.open_memmap(path, mode=mode)
    return array


def _reserve(path: Path) -> None:
    """Reserve the disk space now: a full disk is an OSError here, but a bus error in mapped memory."""
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
