"""Decoding image files into one array: RGB, resized, cropped, with threads (Pillow decodes outside Python's lock)."""

import os
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from study.data.source import Progress
from study.errors import DataError

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".ppm")
FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "PPM")
"""The only decoders let near a file, whatever its name says."""
MAX_FILE_BYTES = 256 * 2**20
CHUNK = 32
"""Images a task of the pool decodes."""
MOST_THREADS = 16
"""Beyond these, threads wait for Python's lock: what they do outside it is a few times what they do inside."""
SMALL_BYTES = 8192
"""Mean size below which most of decoding is done inside Python's lock: threads would only wait for each other."""
SHOWN = 3
"""Files that an error names."""

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, order=True)
class ImageFile:
    """An image file of a folder or an archive."""

    name: str
    """Path below the root, with forward slashes."""
    size_bytes: int
    stamp: int
    """Changes when the content does: the time of change in nanoseconds, or a checksum."""


Read = Callable[[ImageFile], bytes]
"""Gives the bytes of a file; called from several threads."""


def decode(data: bytes, size: int) -> Pixels:
    """Decode a file to (3, size, size): short side resized to `size`, bilinear with antialiasing, then centre-cropped.

    An image that has this size already is left untouched. Orientation marks of cameras (EXIF) aren't followed.

    Raises:
        ValueError: more pixels than Pillow's limit; Pillow raises others for files that it can't read.
    """
    with Image.open(BytesIO(data), formats=FORMATS) as image:
        width, height = image.size
        if Image.MAX_IMAGE_PIXELS is not None and width * height > Image.MAX_IMAGE_PIXELS:
            raise ValueError(f"{width}x{height} is more than {Image.MAX_IMAGE_PIXELS:,} pixels")
        # A JPEG many times too large is decoded at 1/2, 1/4 or 1/8, still at least twice the size that is wanted.
        image.draft("RGB", (2 * size, 2 * size))
        rgb = image.convert("RGB")
    width, height = rgb.size
    if (width, height) != (size, size):
        short = min(width, height)
        left, top = (width - short) / 2, (height - short) / 2
        # Resizing the centre square is the same as cropping the resized image, without making what is cut off.
        box = (left, top, left + short, top + short)
        rgb = rgb.resize((size, size), Image.Resampling.BILINEAR, box=box)
    return np.asarray(rgb).transpose(2, 0, 1)  # (3, size, size)


def decode_all(files: Sequence[ImageFile], read: Read, out: Pixels, progress: Progress | None) -> None:
    """Decode `files` into `out` (N, 3, size, size).

    Raises:
        DataError: some can't be decoded; it names the first few and how many there are.
    """
    failures: dict[int, str] = {}
    done = 0
    pool = ThreadPoolExecutor(max_workers=threads(files))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's on odd metadata; too many pixels are an error in `decode`
        try:
            starts = range(0, len(files), CHUNK)
            tasks = [pool.submit(_decode_some, files, read, out, range(i, min(i + CHUNK, len(files)))) for i in starts]
            for task in as_completed(tasks):
                count, failed = task.result()
                done += count
                failures |= failed
                if progress is not None:
                    progress("decoding images", done / len(files))
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
    if failures:
        raise DataError(_failure_message(files, failures))


def threads(files: Sequence[ImageFile]) -> int:
    """Return how many threads decode: the processors this process may use, within reason, and one for small files."""
    if sum(file.size_bytes for file in files) < SMALL_BYTES * len(files):
        return 1
    try:
        processors = len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        processors = os.cpu_count() or 1
    return min(processors, MOST_THREADS)


def _decode_some(files: Sequence[ImageFile], read: Read, out: Pixels, which: range) -> tuple[int, dict[int, str]]:
    failures = {}
    for i in which:
        try:
            if files[i].size_bytes > MAX_FILE_BYTES:
                raise ValueError(f"larger than {MAX_FILE_BYTES // 2**20} MiB")
            out[i] = decode(read(files[i]), out.shape[-1])
        except Exception as error:  # a damaged file makes Pillow's decoders and zipfile raise nearly anything
            failures[i] = _reason(error)
    return len(which), failures


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "not an image"
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _failure_message(files: Sequence[ImageFile], failures: dict[int, str]) -> str:
    shown = [f"{files[i].name} ({failures[i]})" for i in sorted(failures)[:SHOWN]]
    more = f" and {len(failures) - SHOWN} more" if len(failures) > SHOWN else ""
    return (
        f"{len(failures)} of {len(files)} image files can't be decoded: {', '.join(shown)}{more}\n"
        "remove them (or replace them) and run again"
    )
