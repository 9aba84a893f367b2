"""Batches on the device: training in a random order, evaluation and augmented passes in the split's order.

A split on the device is read there; batches of any other are streamed to it (see `stream`).

Randomness has no state: all draws of an epoch come at once from a CPU generator that is seeded by the run's seed and
the epoch, so that a run can continue from any step, and CPU and GPU see the same order and crops.
Legend: N images of the split, B images of a batch, C channels, H height, W width.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from study.data import stream
from study.data.augment import augmentation
from study.data.dataset import Split
from study.data.normalize import Normalizer
from study.data.seeds import derived_seed
from study.errors import DataError

AT_ONCE = 1000
"""Maximal images in a batch when a net is scored."""
PIXELS_AT_ONCE = AT_ONCE * 64 * 64
"""Maximal pixels in such a batch: a run that is asked to stop ends between two batches."""


class Shard(NamedTuple):
    """One process's part of every batch: by default, with one process, the whole."""

    rank: int = 0
    """Number of the process, from 0."""
    size: int = 1
    """Number of processes."""

    def of(self, batch: slice) -> slice:
        """Return this process's part of a batch, both as slices of the split.

        The parts follow each other in the order of the ranks, without overlap or gap; their lengths differ by one at
        most, so that some are empty if there are fewer images than processes.
        """
        count = batch.stop - batch.start
        first, last = (batch.start + count * rank // self.size for rank in (self.rank, self.rank + 1))
        return slice(first, last)


WHOLE = Shard()


class TrainBatches:
    """The training batches of a run: `batch(step)` depends only on the arguments here and on `step`.

    Batches are on `device`, by default the split's. For `augment` `imagenet` the normaliser must be fitted with it. If
    the split is elsewhere, steps in sequence are cheapest: the next ones are read ahead. With a `shard`, draws
    are made for whole batches, and only the shard's part is read and returned.
    """

    iterations_per_epoch: int
    """Full batches in a pass over the images; the remaining images are dropped."""
    batch_size: int
    """Images per batch, over all shards: at most the whole split, rounded down so that all shards are equal."""
    resident: bool
    """Whether the images are on `device`. Then `fetch` runs on the device alone, and a CUDA graph can capture it."""

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
        self.resident = stream.on_device(split, self._device)
        self._labels = split.labels.to(self._device)
        self._augmentation = augmentation(augment)
        self._normalizer = normalizer.to(self._device)
        self._seed = seed
        self._epoch: int | None = None
        self._order = torch.empty(0, dtype=torch.int64)  # of the epoch, on the device of streamed images
        # Read by `fetch`, and overwritten in place: the order and draws of an epoch, and the start of the batch.
        self._tables: tuple[Tensor, ...] = ()
        self._start = torch.zeros((), dtype=torch.int64, device=self._device)
        self._offsets = torch.arange(self._part.start, self._part.stop, device=self._device)
        self._next_step = 0
        self._next: int | None = None  # the step that `_images` continues with
        self._images: Iterator[Tensor] = iter(())

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Return the images (B, C, H, W), float32 in channels_last, and labels (B,) of iteration `step`, from 0.

        B is the shard's part of `batch_size`. Never waits for the device.
        """
        self.seek(step)
        return self.fetch()

    def seek(self, step: int) -> None:
        """Make `fetch` return the batch of iteration `step`, from 0; at the start of an epoch, make its draws."""
        epoch, position = divmod(step, self.iterations_per_epoch)
        if epoch != self._epoch:
            self._draw_epoch(epoch)
        self._start.fill_(position * self.batch_size)
        self._next_step = step

    def fetch(self) -> tuple[Tensor, Tensor]:
        """Return the batch of the iteration set by `seek`, as `batch` does."""
        where = self._offsets + self._start  # (B,)
        order, *draws = (table.index_select(0, where) for table in self._tables)
        images = self._split.gather(order) if self.resident else self._streamed()
        return self._augmentation.apply(images, tuple(draws), self._normalizer), self._labels.index_select(0, order)

    def _streamed(self) -> Tensor:
        """Return the images (B, C, H, W) uint8 of the iteration set by `seek`, which are read ahead."""
        step = self._next_step
        if step != self._next:
            start = step % self.iterations_per_epoch * self.batch_size
            batches = torch.split(self._order[start:], self.batch_size)
            self._images = stream.batch_images(self._split, [batch[self._part] for batch in batches], self._device)
        self._next = None  # stays so when reading fails
        images = next(self._images)
        self._next = step + 1
        return images

    def _draw_epoch(self, epoch: int) -> None:
        """Draw the order and the augmentation of an epoch, overwriting those of the last one."""
        used = self.iterations_per_epoch * self.batch_size
        order = torch.randperm(len(self._split), generator=_generator(self._seed, "order", epoch))[:used]
        draws = self._augmentation.draw(used, self._split.image_shape, _generator(self._seed, "augment", epoch))
        self._order = order if self.resident else order.to(self._split.pixels.device)
        if not self._tables:
            self._tables = tuple(torch.empty_like(values, device=self._device) for values in (order, *draws))
        for table, values in zip(self._tables, (order, *draws), strict=True):
            table.copy_(_pinned(values, self._device), non_blocking=True)
        self._epoch = epoch
        self._next = None


def evaluation_batches(
    split: Split,
    normalizer: Normalizer,
    *,
    augment: str,
    seed: int | None = None,
    batch_size: int | None = None,
    device: torch.device | None = None,
    shard: Shard = WHOLE,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield every image of `split` once, in order, with its label: clean, which for `imagenet` is its centre crop.

    With a `seed`, images are augmented as in training, with draws that no epoch of training uses. Images are
    (B, C, H, W) float32 in channels_last, on `device` (by default the split's); the last batch may be smaller. Shards
    of one size give as many batches each, of `batch_size` at most, of which the last may be empty, and each image once
    together.
    """
    changes = augmentation(augment)
    device = device or split.pixels.device
    normalizer = normalizer.to(device)
    draws: tuple[Tensor, ...] = ()
    if seed is not None:
        drawn = changes.draw(len(split), split.image_shape, _generator(seed, "augmented pass"))
        draws = tuple(_pinned(values, device).to(device, non_blocking=True) for values in drawn)
    _, height, width = split.image_shape
    size = shard.size * (batch_size or max(1, min(AT_ONCE, PIXELS_AT_ONCE // (height * width))))
    parts = [shard.of(slice(start, min(start + size, len(split)))) for start in range(0, len(split), size)]
    labels = split.labels.to(device)
    for part, images in zip(parts, stream.batch_images(split, parts, device), strict=True):
        if seed is None or not len(images):  # some augmentations need an image
            yield changes.clean(images, normalizer), labels[part]
        else:
            yield changes.apply(images, tuple(draw[part] for draw in draws), normalizer), labels[part]


def _generator(seed: int, *words: str | int) -> torch.Generator:
    return torch.Generator().manual_seed(derived_seed(seed, *words))


def _pinned(values: Tensor, device: torch.device) -> Tensor:
    """Return CPU values in memory from which they are copied to `device` without a wait."""
    return values.pin_memory() if device.type == "cuda" else values
