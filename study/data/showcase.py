"""Training images with and without augmentation, as pictures to look at.

Legend: N images, V augmented views of each, C channels, H height, W width.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from study.data.batches import augmented_batches, evaluation_batches
from study.data.dataset import Dataset
from study.data.normalize import Normalizer
from study.data.seeds import derived_seed

Pixels = NDArray[np.uint8]


def augmented_views(
    dataset: Dataset, augment: str, *, images: int, views: int, seed: int
) -> tuple[Pixels, Pixels, list[str]]:
    """Return clean views (N, H, W, C), augmented ones (N, V, H, W, C), and the class of each image.

    They go through the batches that training uses, normalised, and back to grey levels for the eye.
    """
    generator = torch.Generator().manual_seed(derived_seed(seed, "showcase"))
    chosen = torch.randperm(len(dataset.train), generator=generator)[:images]
    split = dataset.train.take(chosen)
    normalizer = Normalizer.fit(dataset.train, "channel", augment=augment)
    ((clean, _),) = evaluation_batches(split, normalizer, augment=augment)
    changed = []
    for view in range(views):
        ((batch, _),) = augmented_batches(split, normalizer, augment=augment, seed=derived_seed(seed, "view", view))
        changed.append(_pixels(batch, normalizer))
    names = [dataset.classes[label] for label in split.labels.tolist()]
    return _pixels(clean, normalizer), np.stack(changed, axis=1), names


def _pixels(images: Tensor, normalizer: Normalizer) -> Pixels:
    """Undo the normalisation of images (N, C, H, W): grey levels (N, H, W, C)."""
    levels = (images * normalizer.std + normalizer.mean).mul(255).round().clamp(0, 255).to(torch.uint8)
    return levels.permute(0, 2, 3, 1).numpy()
