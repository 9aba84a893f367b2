"""Augmentations: random draws for each image, applied to a batch, vectorised on the batch's device.

Draws are made ahead, on the CPU, from a generator that the caller seeds, and passed to `apply` on the device: CPU and
GPU see the same crops, and any batch can be repeated. Legend: N images, C channels, H height, W width.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from study.data.normalize import Normalizer
from study.errors import DataError, nearest

Draws = tuple[Tensor, ...]
"""Random numbers of an augmentation, each with a row per image."""


class Augmentation:
    """A random change of training images, and the matching clean view for evaluation; `none`: unchanged images."""

    def side(self, size: int) -> int:
        """Return the side of a net's input for images held at `size`."""
        return size

    def draw(self, count: int, shape: tuple[int, int, int], generator: torch.Generator) -> Draws:
        """Draw for `count` images of `shape` (C, H, W), on the CPU."""
        return ()

    def apply(self, images: Tensor, draws: Draws, normalizer: Normalizer) -> Tensor:
        """Return uint8 images (N, C, H, W) augmented and normalised, float32 in channels_last."""
        return self.clean(images, normalizer)

    def clean(self, images: Tensor, normalizer: Normalizer) -> Tensor:
        """Return uint8 images as in evaluation: normalised, of the size that `apply` returns."""
        return normalizer(images)


class CropFlip(Augmentation):
    """`crop-flip` (section 4.2): pad 4 pixels a side, crop the original size at random, mirror half of the images.

    The padding is 0 after normalisation: the mean, as in the paper.
    """

    pad = 4

    def draw(self, count: int, shape: tuple[int, int, int], generator: torch.Generator) -> Draws:
        top, left = torch.randint(0, 2 * self.pad + 1, (2, count), generator=generator)  # 0..8, both ends included
        return top, left, torch.randint(0, 2, (count,), generator=generator)

    def apply(self, images: Tensor, draws: Draws, normalizer: Normalizer) -> Tensor:
        n, c, h, w = images.shape
        top, left, flip = draws
        left = torch.where(flip == 1, 2 * self.pad - left, left)  # the same window in the mirror image
        mean, std = normalizer.as_images((c, h, w))
        # Images are cropped as bytes, and the mean image alike: where both are padding, the result is 0 / 255 - 0.
        image = flip * n + torch.arange(n, device=images.device)
        crops = _windows(self._padded_with_mirror(images), image, top, left, (h, w))
        negative_means = _windows(self._padded_with_mirror(-mean), flip, top, left, (h, w))
        levels = mean.new_full((), 255)
        return negative_means.addcdiv_(crops.float(), levels).div_(std)  # (x / 255 - mean) / std with one pass fewer

    def _padded_with_mirror(self, images: Tensor) -> Tensor:
        """Return images (N, C, H, W), padded with 0, and then their mirror images: (2 N, H + 8, W + 8, C)."""
        n, c, h, w = images.shape
        pad = self.pad
        padded = images.new_zeros(2, n, h + 2 * pad, w + 2 * pad, c)
        for half, way in zip(padded, (images, images.flip(-1)), strict=True):
            half[:, pad : pad + h, pad : pad + w] = way.permute(0, 2, 3, 1)
        return padded.flatten(0, 1)


def _windows(images: Tensor, which: Tensor, top: Tensor, left: Tensor, size: tuple[int, int]) -> Tensor:
    """Cut windows (N, C, h, w) of `size` (h, w), in channels_last, out of contiguous images (K, H, W, C).

    `which` is the index of each window's image (N,), `top` its first row (N,) and `left` its first column (N,).
    """
    count, high, wide, c = images.shape
    h, w = size
    # A row of a window is w * c adjacent values, so it's selected whole, as a row of a matrix whose rows overlap: each
    # begins a pixel after the one before it.
    strips = images.as_strided((count * high * wide - w + 1, w * c), (c, 1))
    row = (which * high + top)[:, None] + torch.arange(h, device=images.device)  # (N, h)
    start = row * wide + left[:, None]
    return strips.index_select(0, start.view(-1)).view(-1, h, w, c).permute(0, 3, 1, 2)


class ImageNetCrop(Augmentation):
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
        maps = self._transforms(size, window, corner, flip)
        if channels != 3:
            return maps, torch.zeros(count, channels)
        weights = torch.randn(count, 3, generator=generator) * self.noise * torch.tensor(self.eigenvalues)
        return maps, weights @ torch.tensor(self.eigenvectors).T

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
        x = F.grid_sample(
            images.float().div_(255),
            self._grid(maps, self.side(images.shape[-1])),
            mode="bilinear",
            padding_mode="border",
            align_corners=False,
        )
        x = normalizer.scaled(x.add_(colour[:, :, None, None]))
        return x.contiguous(memory_format=torch.channels_last)

    @staticmethod
    def _grid(maps: Tensor, side: int) -> Tensor:
        """Return where each pixel of the crops is sampled (N, side, side, 2).

        Does what `F.affine_grid` does, without its matrix product, which takes most of the time on a CPU: the maps only
        scale and shift, so a column has one x and a row one y.
        """
        centres = (2 * torch.arange(side, device=maps.device) + 1) / side - 1  # of pixels, with edges at -1 and 1
        x = maps[:, 0, 0, None] * centres + maps[:, 0, 2, None]  # (N, side)
        y = maps[:, 1, 1, None] * centres + maps[:, 1, 2, None]
        return torch.stack([x[:, None, :].expand(-1, side, -1), y[:, :, None].expand(-1, -1, side)], dim=-1)

    def clean(self, images: Tensor, normalizer: Normalizer) -> Tensor:
        side = self.side(images.shape[-1])
        start = (images.shape[-1] - side) // 2
        return normalizer(images[:, :, start : start + side, start : start + side])


AUGMENTATIONS: dict[str, Augmentation] = {"none": Augmentation(), "crop-flip": CropFlip(), "imagenet": ImageNetCrop()}


def augmentation(name: str) -> Augmentation:
    """Return the augmentation of a name.

    Raises:
        DataError: there is none of that name.
    """
    if name not in AUGMENTATIONS:
        hint = nearest(name, list(AUGMENTATIONS))
        raise DataError(f"no augmentation is called '{name}'{hint}: there are {', '.join(AUGMENTATIONS)}")
    return AUGMENTATIONS[name]
