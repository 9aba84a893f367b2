"""Decoded images on disk: decoded once, by one process, then mapped into the memory that all of them share."""

import contextlib
import hashlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import PIL
import torch
from filelock import FileLock
from torch import Tensor

from study.data.decode import ImageFile, Pixels, Read, decode_all
from study.data.source import Progress, image_cache_folder
from study.errors import DataError

LAYOUT = 1
"""Version of what `decode` does and of the files kept here: a new one leaves old caches unused."""


def cache_key(files: Sequence[ImageFile], image_size: int) -> str:
    """Return 20 hex digits that change with the listing (names, sizes, stamps), the size or the version of Pillow."""
    digest = hashlib.sha256(f"{LAYOUT} {image_size} {PIL.__version__}\n".encode())
    for file in files:
        # surrogateescape: file names needn't be valid text
        digest.update(f"{file.name}\0{file.size_bytes}\0{file.stamp}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()[:20]


def decoded_images(files: Sequence[ImageFile], read: Read, image_size: int, progress: Progress | None) -> Tensor:
    """Return the decoded files as a uint8 tensor (N, 3, image_size, image_size), mapped from the cache.

    The first process to ask decodes, the others wait for it. Memory is shared until it's written to, and what is
    written never reaches the file.

    Raises:
        DataError: files that can't be decoded, or a cache folder that can't be written.
    """
    folder = image_cache_folder() / cache_key(files, image_size)
    shape = (len(files), 3, image_size, image_size)
    images = _open(folder, shape)
    if images is not None:
        return images
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_suffix(".lock")):
            images = _open(folder, shape)  # another process may have decoded meanwhile
            if images is None:
                _build(folder, files, read, image_size, progress)
                images = _open(folder, shape)
    except OSError as error:
        gib = np.prod(shape, dtype=float) / 2**30
        raise DataError(
            f"can't keep {gib:.2f} GiB of decoded images in {folder.parent}: {error.strerror or error}\n"
            "set STUDY_CACHE to a folder with room for them"
        ) from None
    if images is None:
        raise DataError(f"the decoded images in {folder} can't be read back: delete that folder and run again")
    return images


def _open(folder: Path, shape: tuple[int, ...]) -> Tensor | None:
    """Map the cached array, or return None if it isn't there or isn't whole."""
    try:
        pixels = np.load(folder / "images.npy", mmap_mode="c", allow_pickle=False)
    except (OSError, ValueError):
        return None
    if pixels.shape != shape or pixels.dtype != np.uint8:
        return None
    return torch.from_numpy(pixels)


def _build(folder: Path, files: Sequence[ImageFile], read: Read, image_size: int, progress: Progress | None) -> None:
    """Decode into a folder beside `folder` and rename it when it's complete; leave nothing behind otherwise."""
    building = folder.with_suffix(".building")
    for stale in (building, folder):  # of a process that was killed, or a damaged one: the lock is ours
        if stale.exists():
            shutil.rmtree(stale)
    building.mkdir()
    try:
        path = building / "images.npy"
        shape = (len(files), 3, image_size, image_size)
        out: Pixels = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
        _reserve(path)
        decode_all(files, read, out, progress)
        del out  # writes what is left
        building.rename(folder)
    except BaseException:
        with contextlib.suppress(OSError):
            shutil.rmtree(building)
        raise


def _reserve(path: Path) -> None:
    """Take the disk space now: a full disk is an OSError here, and a bus error when met through mapped memory."""
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
