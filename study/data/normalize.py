"""Normalisation of uint8 images to float32, with statistics of the training images, summed exactly in integers.

Legend: N images, C channels, H height, W width.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from study.errors import DataError

CHUNK = 256
"""Images summed at a time: 256 squares of 255 stay below 2**24, so sums in float32, the fastest, are exact."""
LEAST_STD = 1 / 255
"""Least deviation divided by: one grey level."""


@dataclass(frozen=True, eq=False)
class Normalizer:
    """(x / 255 - mean) / std; `mean` and `std` are on the scale 0..1 and broadcast against (N, C, H, W)."""

    mean: Tensor
    std: Tensor

    @classmethod
    def fit(cls, images: Tensor, kind: str, *, augment: str = "none") -> "Normalizer":
        """Measure images (N, C, H, W) uint8: give it the training split, nothing else.

        Args:
            images: the training images.
            kind: `pixel-mean` subtracts each pixel's mean (C, H, W) and doesn't divide (section 4.2 of the paper);
                `channel` subtracts each channel's mean (C, 1, 1) and divides by its deviation; `none` only scales.
            augment: the augmentation that follows. For `imagenet`, `pixel-mean` subtracts the channel's mean
                instead: crops that move and change in size leave a pixel no place for a mean of its own.

        Raises:
            DataError: an unknown kind, or no images.
        """
        if len(images) == 0:
            raise DataError("no images to take a mean of")
        one = torch.ones(1, 1, 1, device=images.device)
        if kind == "none":
            return cls(torch.zeros_like(one), one)
        if kind == "pixel-mean":
            total = sum_of(images, power=1)  # (C, H, W)
            mean = total.double() / (255 * len(images))
            if augment == "imagenet":
                mean = mean.mean(dim=(1, 2), keepdim=True)  # (C, 1, 1)
            return cls(mean.float(), one)
        if kind == "channel":
            return cls(*_channel_statistics(images))
        raise DataError(f"no normalisation is called '{kind}': there are pixel-mean, channel and none")

    def scaled(self, x: Tensor) -> Tensor:
        """Normalise float images that are on the scale 0..1 already, in place."""
        return x.sub_(self.mean).div_(self.std)

    def __call__(self, images: Tensor) -> Tensor:
        """Return uint8 images (N, C, H, W) as normalised float32."""
        return self.scaled(images.float().div_(255))

    def to(self, device: torch.device | str) -> "Normalizer":
        return Normalizer(self.mean.to(device), self.std.to(device))


def sum_of(images: Tensor, power: int) -> Tensor:
    """Return the sum over images of each pixel, or of its square (`power` 2): (C, H, W) int64, exact."""
    total = torch.zeros(images.shape[1:], dtype=torch.int64, device=images.device)
    for start in range(0, len(images), CHUNK):
        x = images[start : start + CHUNK].float()
        total += (x * x if power == 2 else x).sum(dim=0).long()
    return total


def _channel_statistics(images: Tensor) -> tuple[Tensor, Tensor]:
    """Return each channel's mean and deviation over all pixels of all images, (C, 1, 1) each."""
    count = images[:, 0].numel()
    first = sum_of(images, power=1).sum(dim=(1, 2), keepdim=True).double() / count
    second = sum_of(images, power=2).sum(dim=(1, 2), keepdim=True).double() / count
    std = (second - first.square()).clamp_min(0).sqrt() / 255
    return (first / 255).float(), std.clamp_min(LEAST_STD).float()
