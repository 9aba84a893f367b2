"""Batches on the device: training in a random order, evaluation and augmented passes in the split's own.

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
from study.errors import DataError


class TrainBatches:
    """The training batches of a run: `batch(step)` depends on the arguments here and on `step`, on nothing else.

    Lives on the split's device. For `augment` `imagenet` the normaliser must be fitted with it.
    """

    iterations_per_epoch: int
    """Full batches in a pass over the images; the rest of a pass is dropped."""
    batch_size: int
    """Images a batch: the whole split where it has fewer than asked for."""

    def __init__(self, split: Split, normalizer: Normalizer, *, batch_size: int, augment: str, seed: int) -> None:
        if len(split) == 0 or batch_size < 1:
            raise DataError(f"no batch of {batch_size} can be made of {len(split)} images")
        self.batch_size = min(batch_size, len(split))
        self.iterations_per_epoch = len(split) // self.batch_size
        self._split = split
        self._augmentation = augmentation(augment)
        self._normalizer = normalizer.to(split.pixels.device)
        self._seed = seed
        self._epoch: int | None = None
        self._order = torch.empty(0, dtype=torch.int64)
        self._draws: Draws = ()

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Return the images (B, C, H, W), float32 in channels_last, and labels (B,) of iteration `step`, from 0.

        Waits for the device only where a new epoch begins.
        """
        epoch, position = divmod(step, self.iterations_per_epoch)
        if epoch != self._epoch:
            self._shuffle(epoch)
        here = slice(position * self.batch_size, (position + 1) * self.batch_size)
        index = self._order[here]
        images = self._split.gather(index)
        draws = tuple(draw[here] for draw in self._draws)
        return self._augmentation.apply(images, draws, self._normalizer), self._split.labels[index]

    def _shuffle(self, epoch: int) -> None:
        """Draw the order and the augmentation of an epoch, and forget those of the last."""
        n = len(self._split)
        used = self.iterations_per_epoch * self.batch_size
        device = self._split.pixels.device
        order = torch.randperm(n, generator=_generator(self._seed, "order", epoch))
        self._order = order[:used].to(device)  # sync point, once an epoch
        self._draws = _draws(self._split, self._augmentation, used, _generator(self._seed, "augment", epoch))
        self._epoch = epoch


def evaluation_batches(
    split: Split, normalizer: Normalizer, *, augment: str, batch_size: int = 1000
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield every image of `split` once, clean and in order, with its label; for `imagenet` its centre crop.

    Images are (B, C, H, W) float32 in channels_last, on the split's device; the last batch may be smaller.
    """
    changes = augmentation(augment)
    normalizer = normalizer.to(split.pixels.device)
    for here in _slices(len(split), batch_size):
        yield changes.clean(split.part(here), normalizer), split.labels[here]


def augmented_batches(
    split: Split, normalizer: Normalizer, *, augment: str, seed: int, batch_size: int = 1000
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield every image of `split` once, in order, augmented as in training, by draws that no epoch of it uses.

    Images are (B, C, H, W) float32 in channels_last, on the split's device; the last batch may be smaller.
    """
    changes = augmentation(augment)
    normalizer = normalizer.to(split.pixels.device)
    draws = _draws(split, changes, len(split), _generator(seed, "augmented pass"))
    for here in _slices(len(split), batch_size):
        images = changes.apply(split.part(here), tuple(draw[here] for draw in draws), normalizer)
        yield images, split.labels[here]


def _generator(seed: int, *words: str | int) -> torch.Generator:
    return torch.Generator().manual_seed(derived_seed(seed, *words))


def _draws(split: Split, changes: Augmentation, count: int, generator: torch.Generator) -> Draws:
    """Draw for `count` images on the CPU and move the draws to the split's device."""
    drawn = changes.draw(count, split.image_shape, generator)
    return tuple(draw.to(split.pixels.device) for draw in drawn)


def _slices(count: int, size: int) -> Iterator[slice]:
    for start in range(0, count, size):
        yield slice(start, start + size)
