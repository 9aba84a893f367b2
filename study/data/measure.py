"""Sizes and exact pixel sums of images, and the mean and variance of each channel over a set of them.

Sums are whole numbers and their combination is exact, so neither the number of workers nor the order of the images
changes a bit. Legend: N images, C channels.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

CHUNK = 256
"""Images summed at a time: 256 squares of 255 stay below 2**24, so sums in float32, the fastest, are exact."""
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
    first, second = ([math.fsum(values[:, c]) / count for c in range(channels)] for values in (means, squares))
    return _from_moments(count, first, second)


def _from_moments(images: int, mean: list[float], squares: list[float]) -> ChannelStatistics:
    """Return statistics from each channel's mean over images of the values, and of their squares."""
    variance = tuple(max(0.0, square - m**2) for square, m in zip(squares, mean, strict=True))
    names = CHANNELS.get(len(mean)) or tuple(f"channel {c}" for c in range(len(mean)))
    return ChannelStatistics(images, names, tuple(mean), variance, tuple(map(math.sqrt, variance)))


def measure_images(chunks: Iterable[Tensor], shape: tuple[int, int, int]) -> Measures:
    """Measure images of one size, given in chunks (B, C, H, W) uint8 of that `shape` (C, H, W)."""
    channels, height, width = shape
    total: list[NDArray[np.int64]] = [np.zeros((0, channels), dtype=np.int64)]
    squares = list(total)
    for chunk in chunks:
        x = chunk.to(torch.int64).flatten(2)  # (B, C, H W)
        total.append(x.sum(2).cpu().numpy())
        squares.append(x.square().sum(2).cpu().numpy())
    sums = np.concatenate(total)
    heights, widths = (np.full(len(sums), side, dtype=np.int64) for side in (height, width))
    return Measures(heights, widths, sums, np.concatenate(squares))


def pooled_statistics(chunks: Iterable[Tensor], shape: tuple[int, int, int]) -> ChannelStatistics:
    """Return the `channel_statistics` of images of one size, in chunks (B, C, H, W); faster, from two sums."""
    channels, height, width = shape
    first, second = torch.zeros(channels, dtype=torch.int64), torch.zeros(channels, dtype=torch.int64)
    images = 0
    for chunk in chunks:
        first += sum_of(chunk, power=1).sum((1, 2)).cpu()
        second += sum_of(chunk, power=2).sum((1, 2)).cpu()
        images += len(chunk)
    pixels = images * height * width
    mean = [total / pixels / 255 for total in first.tolist()]
    squares = [total / pixels / 255**2 for total in second.tolist()]
    return _from_moments(images, mean, squares)


def sum_of(images: Tensor, power: int) -> Tensor:
    """Return the sum over images (N, C, H, W) uint8 of each pixel, or of its square (`power` 2): (C, H, W) int64."""
    total = torch.zeros(images.shape[1:], dtype=torch.int64, device=images.device)
    for start in range(0, len(images), CHUNK):
        x = images[start : start + CHUNK].float()
        total += (x * x if power == 2 else x).sum(dim=0).long()
    return total
