"""Augmentations: what is drawn for each image, and what it does to a batch, vectorised on the batch's device.

Draws are made ahead, on the CPU, from a generator that the caller seeds, and given to `apply` on the device: so CPU and
GPU see the same crops, and any batch can be made again. Legend: N images, C channels, H height, W width.
"""

from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from study.data.normalize import Normalizer
from study.errors import DataError, nearest

Draws = tuple[Tensor, ...]
"""Random numbers of an augmentation, each with a row an image."""


class Augmentation(Protocol):
    """A change to training images, and the clean view of an image that goes with it."""

    def draw(self, count: int, shape: tuple[int, int, int], generator: torch.Generator) -> Draws:
        """Draw for `count` images of `shape` (C, H, W), on the CPU."""

    def apply(self, images: Tensor, draws: Draws, normalizer: Normalizer) -> Tensor:
        """Return uint8 images (N, C, H, W) changed and normalised, float32 in channels_last."""

    def clean(self, images: Tensor, normalizer: Normalizer) -> Tensor:
        """Return uint8 images as they are shown in evaluation: normalised, of the size `apply` gives."""


class Nothing:
    """`none`: images as they are."""

    def draw(self, count: int, shape: tuple[int, int, int], generator: torch.Generator) -> Draws:
        return ()

    def apply(self, images: Tensor, draws: Draws, normalizer: Normalizer) -> Tensor:
        return self.clean(images, normalizer)

    def clean(self, images: Tensor, normalizer: Normalizer) -> Tensor:
        return normalizer(images).contiguous(memory_format=torch.channels_last)


class CropFlip(Nothing):
    """`crop-flip` (section 4.2): pad 4 pixels a side, crop the original size at random, mirror half of the images.

    The padding is 0 after normalisation: the mean, as in the paper.
    """

    pad = 4

    def draw(self, count: int, shape: tuple[int, int, int], generator: torch.Generator) -> Draws:
        top, left = torch.randint(0, 2 * self.pad + 1, (2, count), generator=generator)  # 0..8, both ends included
        return top, left, torch.randint(0, 2, (count,), generator=generator)

    def apply(self, images: Tensor, draws: Draws, normalizer: Normalizer) -> Tensor:
        n, c, h, w = images.shape
        top, left, flip = (draw[:, None] for draw in draws)  # (N, 1)
        high, wide, pad = h + 2 * self.pad, w + 2 * self.pad, self.pad
        padded = normalizer.mean.new_zeros(n, high, wide, c)  # channels last: a pixel is one short row to copy
        padded[:, pad : pad + h, pad : pad + w] = normalizer(images).permute(0, 2, 3, 1)
        image = torch.arange(n, device=images.device)[:, None]
        row = image * high + top + torch.arange(h, device=images.device)  # (N, H)
        across = torch.arange(w, device=images.device)
        column = left + torch.where(flip == 1, w - 1 - across, across)  # (N, W)
        pixel = row[:, :, None] * wide + column[:, None, :]  # (N, H, W)
        cropped = padded.view(-1, c).index_select(0, pixel.view(-1))
        return cropped.view(n, h, w, c).permute(0, 3, 1, 2)  # (N, C, H, W), channels_last without a copy


class ImageNetCrop:
    """`imagenet` (section 3.4): scale the short side to 256..480, crop 224, mirror, and add AlexNet's colour noise.

    Images are held at S x S, so an image scaled to s and cropped to 224 is a window of S * 224 / s held pixels,
    resized to S * 224 / 256 (224 for S = 256). It's always enlarged or left as it is, so bilinear sampling suffices.
    Colour noise (Krizhevsky et al. 2012, section 4.1) needs three channels and is skipped for other images.
    """

    low, high, crop, held = 256, 480, 224, 256
    noise = 0.1
    # Principal components of ImageNet's colours on the scale 0..1, as AlexNet's reproductions share them.
    eigenvalues = (0.2175, 0.0188, 0.0045)
    eigenvectors = ((-0.5675, 0.7192, 0.4009), (-0.5808, -0.0045, -0.8140), (-0.5836, -0.6948, 0.4203))

    def side(self, size: int) -> int:
        """Return the side of the crops of images held at `size`."""
        return max(1, round(size * self.crop / self.held))

    def draw(self, count: int, shape: tuple[int, int, int], generator: torch.Generator) -> Draws:
        channels, size, width = shape
        if size != width:
            raise DataError(f"augment 'imagenet' needs square images, not {size}x{width}")
        scale = torch.randint(self.low, self.high + 1, (count,), generator=generator)
        window = (size * self.crop / scale.double()).round().clamp_(1, size)  # held pixels
        place = torch.rand(2, count, generator=generator, dtype=torch.float64)
        corner = (place * (size - window + 1)).floor()  # 0 to size - window, both ends included
        flip = torch.randint(0, 2, (count,), generator=generator)
        if channels != 3:
            return self._transforms(size, window, corner, flip), torch.zeros(count, channels)
        weights = torch.randn(count, 3, generator=generator) * self.noise * torch.tensor(self.eigenvalues)
        return self._transforms(size, window, corner, flip), weights @ torch.tensor(self.eigenvectors).T

    @staticmethod
    def _transforms(size: int, window: Tensor, corner: Tensor, flip: Tensor) -> Tensor:
        """Return affine maps (N, 2, 3) from the crop to its window, both with edges at -1 and 1."""
        zoom = window / size
        top, left = (2 * corner + window) / size - 1  # centres
        zero = torch.zeros_like(zoom)
        rows = [zoom * (1 - 2 * flip), zero, left, zero, zoom, top]
        return torch.stack(rows, dim=1).view(-1, 2, 3).float()

    def apply(self, images: Tensor, draws: Draws, normalizer: Normalizer) -> Tensor:
        maps, colour = draws
        n, c, size, _ = images.shape
        side = self.side(size)
        grid = F.affine_grid(maps, [n, c, side, side], align_corners=False)  # (N, side, side, 2)
        x = images.contiguous(memory_format=torch.channels_last).float().div_(255)
        x = F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)
        x = normalizer.scaled(x + colour[:, :, None, None])
        return x.contiguous(memory_format=torch.channels_last)

    def clean(self, images: Tensor, normalizer: Normalizer) -> Tensor:
        side = self.side(images.shape[-1])
        start = (images.shape[-1] - side) // 2
        x = normalizer(images[:, :, start : start + side, start : start + side])
        return x.contiguous(memory_format=torch.channels_last)


AUGMENTATIONS: dict[str, Augmentation] = {"none": Nothing(), "crop-flip": CropFlip(), "imagenet": ImageNetCrop()}


def augmentation(name: str) -> Augmentation:
    """Return the augmentation of a name.

    Raises:
        DataError: there is none of that name.
    """
    if name not in AUGMENTATIONS:
        hint = nearest(name, list(AUGMENTATIONS))
        raise DataError(f"no augmentation is called '{name}'{hint}: there are {', '.join(AUGMENTATIONS)}")
    return AUGMENTATIONS[name]
