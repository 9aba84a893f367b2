"""The data set as every other part sees it: uint8 images, int64 labels, splits and a fingerprint.

Legend: N images, C channels, H height, W width.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from study.errors import DataError

CHUNK = 4096
"""Images hashed at a time: bounds the copy made of a split that isn't contiguous."""


@dataclass(frozen=True, eq=False)
class Split:
    """Images (N, C, H, W) uint8 with their labels (N,) int64."""

    images: Tensor
    labels: Tensor

    def __post_init__(self) -> None:
        if self.images.ndim != 4 or self.images.dtype != torch.uint8:
            raise DataError(f"images must be uint8 (N, C, H, W), not {self.images.dtype} {tuple(self.images.shape)}")
        if self.labels.shape != self.images.shape[:1] or self.labels.dtype != torch.int64:
            raise DataError(
                f"labels must be int64 ({len(self.images)},), not {self.labels.dtype} {tuple(self.labels.shape)}"
            )

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device | str) -> "Split":
        """Return the split on `device`; itself if it's there already."""
        return Split(self.images.to(device), self.labels.to(device))

    def take(self, index: Tensor) -> "Split":
        """Return the images at `index` (int64, increasing), without a copy when these are all of them."""
        if len(index) == len(self):
            return self
        return Split(self.images[index], self.labels[index])


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set ready to train on. `train` is what is trained on: the validation images are taken out of it."""

    name: str
    train: Split
    validation: Split | None
    test: Split
    classes: tuple[str, ...]
    """Class names; the label is the position here."""
    fingerprint: str
    """20 hex digits of the content: see `fingerprint`."""

    @property
    def num_classes(self) -> int:
        return len(self.classes)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        _, channels, height, width = self.train.images.shape
        return channels, height, width

    def to(self, device: torch.device | str) -> "Dataset":
        """Return the data set with every split on `device`."""
        validation = self.validation.to(device) if self.validation is not None else None
        return replace(self, train=self.train.to(device), validation=validation, test=self.test.to(device))


def fingerprint(train: Split, validation: Split | None, test: Split, classes: tuple[str, ...]) -> str:
    """Return 20 hex digits of a sha256 over the class names and each split's shape, labels and pixels, in order.

    It depends on content alone, so two machines that hold the same images in the same order agree.
    """
    digest = hashlib.sha256()
    digest.update(repr(classes).encode())
    for name, split in (("train", train), ("validation", validation), ("test", test)):
        digest.update(f"{name}:{tuple(split.images.shape) if split is not None else None}".encode())
        if split is not None:
            for chunk in _bytes(split):
                digest.update(chunk)
    return digest.hexdigest()[:20]


def _bytes(split: Split) -> Iterator[memoryview]:
    yield split.labels.cpu().numpy().astype("<i8").data
    for start in range(0, len(split), CHUNK):
        yield split.images[start : start + CHUNK].contiguous().cpu().numpy().data
