"""Batches on the device: training in a random order, evaluation and augmented passes in the split's own.

A split that lies on the device is read there; batches of one that lies elsewhere are streamed to it (see `stream`).

Randomness has no state: all draws of an epoch come at once from a CPU generator that is seeded by the run's seed and
the epoch, so that a run can go on from any step, and CPU and GPU see the same order and crops.
Legend: N images of the split, B images of a batch, C channels, H height, W width.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from study.data.augment import Augmentation, Draws, augmentation
from study.data.dataset import Split
from study.data.normalize import Normalizer
from study.data.seeds import derived_seed
from study.data.shard import WHOLE, Shard
from study.data.stream import batch_images
from study.errors import DataError

AT_ONCE = 1000
"""Images that a net is shown at once when it is scored, at most."""
PIXELS_AT_ONCE = AT_ONCE * 64 * 64
"""Pixels of them, at most: a run that is asked to stop ends between two of these."""


class TrainBatches:
    """The training batches of a run: `batch(step)` depends on the arguments here and on `step`, on nothing else.

    Gives batches on `device`, by default the split's. For `augment` `imagenet` the normaliser must be fitted with it.
    Steps asked for in turn are cheapest where the split lies elsewhere: the next ones are read ahead. With a `shard`,
    all draws are those of the whole batches, of which its part alone is read and given.
    """

    iterations_per_epoch: int
    """Full batches in a pass over the images; the rest of a pass is dropped."""
    batch_size: int
    """Images a batch, all parts together: the whole split where it has fewer than asked for, if all parts are equal."""

    def __init__(
        self,
        split: Split,
        normalizer: Normalizer,
        *,
        batch_size: int,
        augment: str,
        seed: int,
        device: torch.device | None = None,
        shard: Shard = WHOLE,
    ) -> None:
        if len(split) < shard.size or batch_size < shard.size:
            of = f" in {shard.size} equal parts" * (shard.size > 1)
            raise DataError(f"no batch of {batch_size}{of} can be made of {len(split)} images")
        self.batch_size = min(batch_size, len(split)) // shard.size * shard.size
        self.iterations_per_epoch = len(split) // self.batch_size
        self._split = split
        self._part = shard.of(slice(0, self.batch_size))
        self._device = device or split.pixels.device
        self._labels = split.labels.to(self._device)
        self._augmentation = augmentation(augment)
        self._normalizer = normalizer.to(self._device)
        self._seed = seed
        self._epoch: int | None = None
        self._order = torch.empty(0, dtype=torch.int64)
        self._order_there = self._order  # where the images lie
        self._draws: Draws = ()
        self._next: int | None = None  # the step that `_images` goes on with
        self._images: Iterator[Tensor] = iter(())

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Return the images (B, C, H, W), float32 in channels_last, and labels (B,) of iteration `step`, from 0.

        B is the shard's part of `batch_size`.
        Waits for the device only where a new epoch begins.
        """
        epoch, position = divmod(step, self.iterations_per_epoch)
        if epoch != self._epoch:
            self._shuffle(epoch)
        if step != self._next:
            rest = torch.split(self._order_there[position * self.batch_size :], self.batch_size)
            self._images = batch_images(self._split, [batch[self._part] for batch in rest], self._device)
        self._next = None  # stays so when reading fails
        images = next(self._images)
        self._next = step + 1
        start = position * self.batch_size
        here = slice(start + self._part.start, start + self._part.stop)
        draws = tuple(draw[here] for draw in self._draws)
        return self._augmentation.apply(images, draws, self._normalizer), self._labels[self._order[here]]

    def _shuffle(self, epoch: int) -> None:
        """Draw the order and the augmentation of an epoch, and forget those of the last."""
        n = len(self._split)
        used = self.iterations_per_epoch * self.batch_size
        order = torch.randperm(n, generator=_generator(self._seed, "order", epoch))
        self._order_there = order[:used].to(self._split.pixels.device)  # sync point, once an epoch
        self._order = self._order_there.to(self._device)
        shape = self._split.image_shape
        self._draws = _draws(self._augmentation, used, shape, _generator(self._seed, "augment", epoch), self._device)
        self._epoch = epoch
        self._next = None


def evaluation_batches(
    split: Split,
    normalizer: Normalizer,
    *,
    augment: str,
    batch_size: int | None = None,
    device: torch.device | None = None,
    shard: Shard = WHOLE,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield every image of `split` once, clean and in order, with its label; for `imagenet` its centre crop.

    Images are (B, C, H, W) float32 in channels_last, on `device` (by default the split's); the last batch may be
    smaller. Shards of one size give as many batches each, of which the last may be empty, and each image once together.
    """
    changes = augmentation(augment)
    device = device or split.pixels.device
    normalizer = normalizer.to(device)
    for _, images, labels in _in_order(split, batch_size, device, shard):
        yield changes.clean(images, normalizer), labels


def augmented_batches(
    split: Split,
    normalizer: Normalizer,
    *,
    augment: str,
    seed: int,
    batch_size: int | None = None,
    device: torch.device | None = None,
    shard: Shard = WHOLE,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield every image of `split` once, in order, augmented as in training, by draws that no epoch of it uses.

    Images are (B, C, H, W) float32 in channels_last, on `device` (by default the split's); the last batch may be
    smaller. Shards of one size give as many batches each, of which the last may be empty, and each image once together.
    """
    changes = augmentation(augment)
    device = device or split.pixels.device
    normalizer = normalizer.to(device)
    draws = _draws(changes, len(split), split.image_shape, _generator(seed, "augmented pass"), device)
    for here, images, labels in _in_order(split, batch_size, device, shard):
        if len(labels):
            yield changes.apply(images, tuple(draw[here] for draw in draws), normalizer), labels
        else:
            yield changes.clean(images, normalizer), labels  # no image to change, and some changes need one


def _generator(seed: int, *words: str | int) -> torch.Generator:
    return torch.Generator().manual_seed(derived_seed(seed, *words))


def _draws(
    changes: Augmentation, count: int, shape: tuple[int, int, int], generator: torch.Generator, device: torch.device
) -> Draws:
    """Draw for `count` images on the CPU and move the draws to `device`."""
    return tuple(draw.to(device) for draw in changes.draw(count, shape, generator))


def _in_order(
    split: Split, size: int | None, device: torch.device, shard: Shard
) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """Yield all images as they are: where they stand, images (B, C, H, W) uint8 and labels (B,).

    `size` at a time in each shard; each batch of all shards together is shared out evenly.
    """
    _, height, width = split.image_shape
    size = size or max(1, min(AT_ONCE, PIXELS_AT_ONCE // (height * width)))
    size *= shard.size
    heres = [shard.of(slice(start, min(start + size, len(split)))) for start in range(0, len(split), size)]
    labels = split.labels.to(device)
    for here, images in zip(heres, batch_images(split, heres, device), strict=True):
        yield here, images, labels[here]
