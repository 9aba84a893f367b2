"""Views of test images (crops, scales, mirror images) over which a net's predictions are averaged.

He et al. 2015, section 3.4: ten crops for comparisons, several scales for best results. Images are held as squares of
side S, which stands for the paper's short side of 256: a larger scale shows a larger image, but no finer detail.

Legend: N images, C channels, S side they are held at, H and W height and width of a view.
"""

from collections.abc import Iterator
from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor

from study.data.augment import Augmentation, ImageNetCrop, augmentation
from study.data.normalize import Normalizer
from study.errors import DataError, nearest


class Views:
    """The views of an image over which a net's probabilities are averaged; here `center`, the only view there is.

    It is the clean view of an augmentation, which the curves use: `imagenet`'s centre crop, or all of an image. The
    only kind for images that aren't square.
    """

    def __init__(self, augmentation: Augmentation) -> None:
        self._augmentation = augmentation

    def side(self, size: int) -> int:
        """Return the side of the largest view of images held at `size`."""
        return size

    def of(self, images: Tensor, normalizer: Normalizer) -> Iterator[Tensor]:
        """Yield the views of uint8 images (N, C, S, S), each (N, C, H, W): normalised float32 in channels_last."""
        yield self._augmentation.clean(images, normalizer)


class TenCrop(Views):
    """`ten-crop`: crops of four corners and the centre, of 224 where 256 are held, and the mirror image of each.

    Krizhevsky et al. 2012 (AlexNet), section 4.1.
    """

    def side(self, size: int) -> int:
        return self._augmentation.side(size)

    def of(self, images: Tensor, normalizer: Normalizer) -> Iterator[Tensor]:
        size = square_side(images)
        side = self.side(size)
        last = size - side
        for top, left in [*product((0, last), (0, last)), (last // 2, last // 2)]:
            yield from _with_mirror(normalizer(images[:, :, top : top + side, left : left + side]))


class MultiScale(Views):
    """`multi-scale`: whole images at five scales, and the mirror image of each, for nets that pool over any map.

    The paper's short sides of 224 to 640 are S * 224 / 256 to S * 640 / 256 held pixels. Bilinear, antialiased where
    an image shrinks. Global pooling averages the scores of a fully convolutional net over the image.
    """

    scales = (224, 256, 384, 480, 640)

    def side(self, size: int) -> int:
        return max(self._sides(size))

    def of(self, images: Tensor, normalizer: Normalizer) -> Iterator[Tensor]:
        size = square_side(images)
        held = normalizer(images)  # one value per channel: the mean may be subtracted before resizing
        for side in self._sides(size):
            if side == size:
                yield from _with_mirror(held)
                continue
            yield from _with_mirror(F.interpolate(held, size=(side, side), mode="bilinear", antialias=side < size))

    def _sides(self, size: int) -> list[int]:
        return [max(1, round(size * scale / ImageNetCrop.held)) for scale in self.scales]


VIEWS: dict[str, type[Views]] = {"center": Views, "ten-crop": TenCrop, "multi-scale": MultiScale}


def named_views(name: str, augment: str) -> Views:
    """Return the views with a name, for nets trained with an augmentation.

    Raises:
        DataError: no views have that name, or they don't fit the augmentation.
    """
    if name not in VIEWS:
        raise DataError(f"no views are called '{name}'{nearest(name, list(VIEWS))}: there are {', '.join(VIEWS)}")
    chosen = augmentation(augment)
    if name != "center" and not isinstance(chosen, ImageNetCrop):
        raise DataError(f"'{name}' views need augment 'imagenet': with '{augment}', nets are only shown whole images")
    return VIEWS[name](chosen)


def square_side(images: Tensor) -> int:
    """Return the side S of images (N, C, S, S).

    Raises:
        DataError: they aren't square.
    """
    height, width = images.shape[-2:]
    if height != width:
        raise DataError(f"crops and scales need square images, not {height}x{width}")
    return height


def _with_mirror(view: Tensor) -> Iterator[Tensor]:
    """Yield a view (N, C, H, W) and its mirror image, both in channels_last."""
    yield view.contiguous(memory_format=torch.channels_last)
    yield view.flip(-1).contiguous(memory_format=torch.channels_last)
