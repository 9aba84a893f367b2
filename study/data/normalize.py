"""Normalisation of uint8 images to float32, with statistics of the training images.

Legend: N images, C channels, H height, W width.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from study.data.dataset import Split
from study.data.measure import channel_statistics, sum_images
from study.errors import DataError

LEAST_STD = 1 / 255
"""Smallest deviation that is divided by: one grey level."""


@dataclass(frozen=True, eq=False)
class Normalizer:
    """(x / 255 - mean) / std; `mean` and `std` are on the scale 0..1 and broadcast against (N, C, H, W)."""

    mean: Tensor
    std: Tensor

    @classmethod
    def fit(cls, split: Split, kind: str, *, augment: str = "none") -> "Normalizer":
        """Measure the training images.

        Args:
            split: the training images.
            kind: `pixel-mean` subtracts each pixel's mean (C, H, W) and doesn't divide (section 4.2 of the paper);
                `channel` subtracts each channel's mean (C, 1, 1) and divides by its deviation, measured on the original
                images if the split's were resized (see `measure`); `none` only scales.
            augment: the augmentation that follows. For `imagenet`, `pixel-mean` subtracts the channel's mean
                instead: in crops that move and change in size, a pixel has no fixed place.

        Raises:
            DataError: an unknown kind, or no images.
        """
        if len(split) == 0:
            raise DataError("no images to take a mean of")
        device = split.pixels.device
        unit = torch.ones(1, 1, 1, device=device)
        if kind == "none":
            return cls(torch.zeros_like(unit), unit)
        if kind == "pixel-mean" and augment != "imagenet":
            return cls((sum_images(split.chunks()) / (255 * len(split))).float(), unit)  # (C, H, W)
        if kind in ("pixel-mean", "channel"):
            measured = channel_statistics(split.measures())
            mean, std = (torch.tensor(x, device=device)[:, None, None] for x in (measured.mean, measured.std))
            return cls(mean, std.clamp_min(LEAST_STD) if kind == "channel" else unit)
        raise DataError(f"no normalisation is called '{kind}': there are pixel-mean, channel and none")

    def as_images(self, shape: tuple[int, int, int]) -> tuple[Tensor, Tensor]:
        """Return mean and deviation as images (1, C, H, W) in channels_last.

        An operation on a batch in channels_last is many times faster with an image in the same layout than with a
        number per channel, where its innermost loop would have only C steps.
        """
        mean, std = (x.expand(1, *shape).contiguous(memory_format=torch.channels_last) for x in (self.mean, self.std))
        return mean, std

    def scaled(self, x: Tensor) -> Tensor:
        """Normalise float images (N, C, H, W) that are on the scale 0..1 already, in place."""
        return x.sub_(self.mean).div_(self.std)

    def __call__(self, images: Tensor) -> Tensor:
        """Return uint8 images (N, C, H, W) as normalised float32 in channels_last."""
        _, channels, height, width = images.shape
        mean, std = self.as_images((channels, height, width))
        x = images.contiguous(memory_format=torch.channels_last).float()
        return x.div_(255).sub_(mean).div_(std)

    def to(self, device: torch.device | str) -> "Normalizer":
        return Normalizer(self.mean.to(device), self.std.to(device))
