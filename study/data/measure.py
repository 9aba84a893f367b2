"""Sizes and exact pixel sums of images, and the mean and variance of each channel over a set of them.

Sums are whole numbers below 2**53, exact in float64, so neither the number of workers nor the order of the images
changes a bit. Legend: N images, C channels.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import reduce

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

CHUNK = 256
"""Images summed at a time: larger copies in float64 leave a processor's cache."""
CHANNELS = {1: ("grey",), 3: ("red", "green", "blue")}
"""Names of the channels, in their order here: never OpenCV's blue, green, red."""


@dataclass(frozen=True, eq=False)
class Measures:
    """Sizes of images and sums over their pixels (0..255), one image per row."""

    height: NDArray[np.int64]
    """In pixels (N,)."""
    width: NDArray[np.int64]
    """In pixels (N,)."""
    total: NDArray[np.int64]
    """Sum of each channel's values (N, C)."""
    squares: NDArray[np.int64]
    """Sum of each channel's squared values (N, C)."""

    def __len__(self) -> int:
        return len(self.height)

    def take(self, rows: ArrayLike) -> "Measures":
        """Return the rows at `rows`."""
        index = np.asarray(rows, dtype=np.int64)
        return Measures(*(column[index] for column in vars(self).values()))

    def join(self, other: "Measures") -> "Measures":
        """Return the rows of both, one after the other."""
        return Measures(*map(np.concatenate, zip(vars(self).values(), vars(other).values(), strict=True)))


@dataclass(frozen=True)
class ChannelStatistics:
    """Statistics of each channel over a set of images, on the scale 0..1."""

    images: int
    channels: tuple[str, ...]
    mean: tuple[float, ...]
    """Mean over images of each image's own mean."""
    variance: tuple[float, ...]
    """Mean over images of the mean squared distance from `mean`."""
    std: tuple[float, ...]
    """Square root of `variance`."""


def channel_statistics(measures: Measures) -> ChannelStatistics:
    """Return each channel's mean and variance: every image has the same weight, of any size.

    With m_i the mean of image i and q_i the mean of its squares, mean = sum m_i / N, variance = sum q_i / N - mean^2:
    the mean over images of the mean squared distance from `mean`. Needs one pass over the pixels.
    """
    pixels = (measures.height * measures.width).astype(np.float64)[:, None]  # (N, 1)
    means = measures.total / pixels / 255  # (N, C)
    squares = measures.squares / pixels / 255**2  # (N, C)
    count, channels = means.shape
    mean, second = (tuple(math.fsum(values[:, c]) / count for c in range(channels)) for values in (means, squares))
    variance = tuple(max(0.0, square - m**2) for square, m in zip(second, mean, strict=True))
    names = CHANNELS.get(channels) or tuple(f"channel {c}" for c in range(channels))
    return ChannelStatistics(count, names, mean, variance, tuple(map(math.sqrt, variance)))


def measure_images(chunks: Iterable[Tensor], shape: tuple[int, int, int]) -> Measures:
    """Measure images of one size, given in chunks (B, C, H, W) uint8 of that `shape` (C, H, W)."""
    channels, height, width = shape
    total: list[NDArray[np.int64]] = [np.zeros((0, channels), dtype=np.int64)]
    squares = list(total)
    for x in _in_doubles(chunks):
        total.append(x.sum((2, 3)).long().cpu().numpy())
        squares.append(x.square().sum((2, 3)).long().cpu().numpy())
    sums = np.concatenate(total)
    heights, widths = (np.full(len(sums), side, dtype=np.int64) for side in (height, width))
    return Measures(heights, widths, sums, np.concatenate(squares))


def sum_images(chunks: Iterable[Tensor]) -> Tensor:
    """Return the sum of each pixel over images, given in chunks (B, C, H, W) uint8: (C, H, W), exact in float64."""
    return reduce(torch.add, (x.sum(0) for x in _in_doubles(chunks)))


def _in_doubles(chunks: Iterable[Tensor]) -> Iterator[Tensor]:
    for chunk in chunks:
        for images in torch.split(chunk, CHUNK):
            yield images.double()
