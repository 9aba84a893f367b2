"""Decode all files of a data set on all cores into arrays on disk, so that a stop loses nothing that is done.

Each image gets a row in `pixels` and a record: its state, size, sums and a digest. After a stop or a crash, rows whose
digest holds are kept and the others are decoded. Legend: M files, S side of the square images, C channels.
"""

import hashlib
import os
import warnings
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from study.data.decode import Pixels, Resize, decode, mean_colour, reason, square, sums
from study.data.files import MAX_FILE_BYTES, ImageFile, Read, TooLargeError
from study.data.source import Progress

CHUNK = 32
"""Images a task of the pool decodes."""
MOST_THREADS = 32
"""More threads would wait for Python's lock: they work about ten times as long outside it as inside."""
SMALL_BYTES = 8192
"""Mean size of files below which decoding mostly holds Python's lock, so that threads would wait for each other."""
PENDING, GOOD = 0, 1
"""States of a record; a bad file's stays pending."""
DIGEST_BYTES = 16


Records = NDArray[Any]
Failures = dict[int, str]


def record_type(channels: int) -> np.dtype[Any]:
    """Return the type of the record of an image with so many channels."""
    return np.dtype(
        [
            ("height", "<i8"),
            ("width", "<i8"),
            ("total", "<i8", (channels,)),
            ("squares", "<i8", (channels,)),
            ("digest", "u1", DIGEST_BYTES),
            ("state", "u1"),
        ]
    )


@dataclass(frozen=True, eq=False)
class Target:
    """The output of decoding: pixels (M, S, S, C), and records (M,) of `record_type`.

    Of one channel, it takes images that are all grey.
    """

    pixels: Pixels
    records: Records
    resize: Resize


def decode_all(files: Sequence[ImageFile], read: Read, target: Target, progress: Progress | None) -> Failures:
    """Decode `files` into `target` but for the good rows of an earlier attempt; return the bad rows with reasons."""
    forget_damaged(target.pixels, target.records)
    todo = np.flatnonzero(target.records["state"] != GOOD)
    done = len(files) - len(todo)
    failures: Failures = {}
    with closing(_in_chunks(partial(_decode_some, files, read, target), todo, threads(files))) as chunks:
        for rows, failed in chunks:
            failures |= failed
            done += len(rows)
            if progress is not None:
                progress("decoding images", done / len(files))
    return failures


def forget_damaged(pixels: Pixels, records: Records) -> int:
    """Mark good images (M, S, S, C) that changed since they were written as pending, in `records` (M,); count them."""

    def check(rows: NDArray[np.int64]) -> Failures:
        return {row: "changed" for row in rows.tolist() if not holds(pixels[row], records[row])}

    checked = _in_chunks(check, np.flatnonzero(records["state"] == GOOD), available_cores())
    damaged = [row for _, changed in checked for row in changed]
    records["state"][damaged] = PENDING
    return len(damaged)


def available_cores() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1  # macOS, Windows


def threads(files: Sequence[ImageFile]) -> int:
    """Return how many threads decode: the processors this process may use, within reason, and one for small files."""
    if sum(file.size_bytes for file in files) < SMALL_BYTES * len(files):
        return 1
    return min(available_cores(), MOST_THREADS)


def holds(pixels: Pixels, record: Any) -> bool:
    """Whether an image's pixels (S, S, C) and record are unchanged since they were written."""
    return bytes(record["digest"]) == _digest(pixels, record)


def _in_chunks(
    work: Callable[[NDArray[np.int64]], Failures], rows: NDArray[np.int64], workers: int
) -> Generator[tuple[NDArray[np.int64], Failures]]:
    """Call `work` on chunks of `rows` in threads; yield each with its outcome when done; a stop drops the rest."""
    # One core per thread: PyTorch would start more threads in each, which would wait for one another.
    pool = ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's on odd metadata; too many pixels are an error in `decode`
        try:
            tasks: dict[Future[Failures], NDArray[np.int64]] = {}
            for start in range(0, len(rows), CHUNK):
                chunk = rows[start : start + CHUNK]
                tasks[pool.submit(work, chunk)] = chunk
            for task in as_completed(tasks):
                yield tasks[task], task.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _decode_some(files: Sequence[ImageFile], read: Read, target: Target, rows: NDArray[np.int64]) -> Failures:
    failures: Failures = {}
    _, size, _, channels = target.pixels.shape
    for row in rows.tolist():
        record = target.records[row]
        try:
            if files[row].size_bytes > MAX_FILE_BYTES:
                raise TooLargeError
            image = np.ascontiguousarray(decode(read(files[row]))[:, :, :channels])  # grey: three equal channels
            record["height"], record["width"], _ = image.shape
            record["total"], record["squares"] = sums(image)
            target.pixels[row] = square(image, size, target.resize, mean_colour(record["total"], image))
            record["digest"] = np.frombuffer(_digest(target.pixels[row], record), dtype=np.uint8)
            record["state"] = GOOD
        except Exception as error:  # decoders and zipfile may raise any error for a damaged file
            failures[row] = reason(error)
            target.pixels[row] = 0
    return failures


def _digest(pixels: Pixels, record: Any) -> bytes:
    digest = hashlib.blake2b(np.ascontiguousarray(pixels).data, digest_size=DIGEST_BYTES)
    digest.update(b"".join(record[name].tobytes() for name in ("height", "width", "total", "squares")))
    return digest.digest()
