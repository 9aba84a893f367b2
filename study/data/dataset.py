"""Data sets in memory: uint8 images, int64 labels, splits and a fingerprint.

Legend: N images of a split, M images held (a split may use some of them), C channels, H height, W width.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from study.data.measure import Measures, measure_images
from study.errors import DataError, printable

CHUNK = 4096
"""Images read at a time: bounds the copy made of a split that isn't contiguous."""


@dataclass(frozen=True)
class BadFile:
    """A file that can't be used, and why: for display, with unprintable characters escaped."""

    name: str
    reason: str

    def __post_init__(self) -> None:
        for field in ("name", "reason"):
            object.__setattr__(self, field, printable(getattr(self, field)))


@dataclass(frozen=True, eq=False)
class Files:
    """The files that images were decoded from, one per row, aligned with `Split.pixels` (M)."""

    names: tuple[str, ...]
    """Path below the data set's root, or within its archive, with forward slashes."""
    measures: Measures
    """Sizes and sums of the original images, before they were resized."""
    digests: Tensor
    """Digests of the resized images and their measures, 16 bytes each: (M, 16) uint8."""
    folder: Path
    """Folder of the decoded images."""


@dataclass(frozen=True, eq=False)
class Split:
    """Images with their labels (N,) int64: all of `pixels` (M, C, H, W) uint8, or those at `rows` (N,) int64.

    Splits of one source share `pixels`, which may be a file mapped into memory, so that none of it is copied.
    """

    pixels: Tensor
    labels: Tensor
    rows: Tensor | None = None
    files: Files | None = None

    def __post_init__(self) -> None:
        pixels, count = self.pixels, len(self.pixels) if self.rows is None else len(self.rows)
        if pixels.ndim != 4 or pixels.dtype != torch.uint8:
            raise DataError(f"images must be uint8 (N, C, H, W), not {pixels.dtype} {tuple(pixels.shape)}")
        if self.labels.shape != (count,) or self.labels.dtype != torch.int64:
            raise DataError(f"labels must be int64 ({count},), not {self.labels.dtype} {tuple(self.labels.shape)}")

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def images(self) -> Tensor:
        """The images (N, C, H, W) uint8: `pixels` itself, or a copy of the rows this split uses."""
        return self.pixels if self.rows is None else self.part(slice(None))

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        _, channels, height, width = self.pixels.shape
        return channels, height, width

    @property
    def nbytes(self) -> int:
        """Bytes of this split's images."""
        channels, height, width = self.image_shape
        return len(self) * channels * height * width

    def gather(self, index: Tensor) -> Tensor:
        """Return a copy of the images at `index` (B,) int64, (B, C, H, W), in the memory format of `pixels`."""
        rows = index if self.rows is None else self.rows[index]  # `rows` are on the device of `pixels`
        if self.pixels.is_contiguous(memory_format=torch.channels_last):
            # Whole images are contiguous in both memory formats: select whole images.
            return self.pixels.permute(0, 2, 3, 1).index_select(0, rows).permute(0, 3, 1, 2)
        return self.pixels.index_select(0, rows)

    def part(self, positions: slice) -> Tensor:
        """Return the images of a slice of this split, (B, C, H, W), without a copy where they are adjacent."""
        return (
            self.pixels[positions]
            if self.rows is None
            else self.gather(torch.arange(*positions.indices(len(self)), device=self.rows.device))
        )

    def chunks(self) -> Iterator[Tensor]:
        """Yield all images in order, `CHUNK` at a time, (B, C, H, W)."""
        for start in range(0, len(self), CHUNK):
            yield self.part(slice(start, start + CHUNK))

    def to(self, device: torch.device | str) -> "Split":
        """Return the split on `device` with its own images alone; return itself if it's already there."""
        if self.pixels.device == torch.device(device):
            return self
        return replace(self, pixels=self.images.to(device), labels=self.labels.to(device), rows=None, files=self._own())

    def take(self, index: Tensor) -> "Split":
        """Return the split of the images at `index` (int64): it shares `pixels`."""
        rows = index if self.rows is None else self.rows[index]
        return replace(self, labels=self.labels[index], rows=rows)

    def names(self) -> list[str]:
        """Return each image's path below the root, or its position if images aren't files."""
        return [str(i) if self.files is None else self.files.names[i] for i in self._row_numbers()]

    def measures(self) -> Measures:
        """Return the sizes and sums of this split's original images, one per row."""
        if self.files is not None:
            return self.files.measures.take(self._row_numbers())
        return measure_images(self.chunks(), self.image_shape)

    def _row_numbers(self) -> list[int]:
        return list(range(len(self.pixels))) if self.rows is None else self.rows.tolist()

    def _own(self) -> Files | None:
        """Return the files of this split alone."""
        if self.files is None or self.rows is None:
            return self.files
        return Files(tuple(self.names()), self.measures(), self.files.digests[self.rows], self.files.folder)


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set ready for training. `train` is without the validation images."""

    name: str
    train: Split
    validation: Split | None
    test: Split
    classes: tuple[str, ...]
    """Class names; the label is the position here."""
    fingerprint: str
    """20 hex digits of the content: see `fingerprint`."""
    skipped: tuple[BadFile, ...] = ()
    """Files left out because they can't be used."""
    notes: tuple[str, ...] = ()
    """How the images were split, and which files weren't read, a line each."""

    @property
    def num_classes(self) -> int:
        return len(self.classes)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        return self.train.image_shape

    def splits(self) -> dict[str, Split]:
        """Return the splits there are, by name."""
        splits = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: split for name, split in splits.items() if split is not None}

    def to(self, device: torch.device | str) -> "Dataset":
        """Return the data set with every split on `device`."""
        validation = self.validation.to(device) if self.validation is not None else None
        return replace(self, train=self.train.to(device), validation=validation, test=self.test.to(device))


def fingerprint(train: Split, validation: Split | None, test: Split, classes: tuple[str, ...]) -> str:
    """Return 20 hex digits of a sha256 over the class names and each split's shape, labels and pixels, in order.

    It depends on content alone, so two machines that hold the same images in the same order agree. Of decoded files,
    the digests made when they were decoded stand for the pixels, so that a large set needn't be read again.
    """
    digest = hashlib.sha256(repr(classes).encode())
    for name, split in (("train", train), ("validation", validation), ("test", test)):
        digest.update(f"{name}:{(len(split), *split.image_shape) if split is not None else None}".encode())
        if split is not None:
            for chunk in _bytes(split):
                digest.update(chunk)
    return digest.hexdigest()[:20]


def _bytes(split: Split) -> Iterator[memoryview]:
    yield split.labels.cpu().numpy().astype("<i8").data
    if split.files is not None:
        digests = split.files.digests
        yield (digests if split.rows is None else digests[split.rows]).numpy().data
        return
    for images in split.chunks():
        yield images.contiguous().cpu().numpy().data
