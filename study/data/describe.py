"""A data set in words, numbers and pictures: a table of its images, their statistics, samples and the mean image.

Legend: K samples, N images, V augmented views of each, C channels, H height, W width.
"""

from collections import Counter
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from study.data.batches import evaluation_batches
from study.data.dataset import Dataset
from study.data.measure import ChannelStatistics, Measures, channel_statistics, sum_images
from study.data.normalize import Normalizer
from study.data.seeds import derived_seed

Pixels = NDArray[np.uint8]

SAMPLES = 40
LEAST_EFFECT = 0.5
"""Rise of training error, in points, that a study looks for unless its grid says otherwise."""
DEFINITION = (
    "on values 0..1 of the original pixels (8 bits, upright, transparent parts on white): "
    "mean is the mean over images of each image's own mean; "
    "variance the mean over images of the mean squared distance from that mean; std its square root"
)


@dataclass(frozen=True, eq=False)
class Description:
    """The description of a data set that `study data stats` writes and a report shows."""

    table: dict[str, list[Any]]
    """Columns of equal length, a row per image: name, class, height, width (original, in pixels), path, split."""
    statistics: dict[str, Any]
    """Plain values: see `describe`."""
    samples: Pixels
    """(K, H, W, C), as resized for training, the classes taking turns."""
    sample_labels: NDArray[np.int64]
    mean_image: Pixels
    """(H, W, C): the mean of every pixel over all images."""


def describe(dataset: Dataset) -> Description:
    """Describe all labelled images of a data set: training, validation and test, in this order.

    `statistics` holds dataset, fingerprint, images, channels (their names in order), mean, variance, std (a value a
    channel), definition, classes (images of each), splits (images of each), height and width (least, median, greatest),
    training (images, mean, variance, std of the training split: what `normalize: channel` uses), skipped (a name
    and a reason for each file left out), and notes (how the images were split, which files weren't read).
    """
    splits = dataset.splits()
    parts = [split.measures() for split in splits.values()]
    measures = reduce(Measures.join, parts)
    table = _table(dataset, measures)
    whole, training = channel_statistics(measures), channel_statistics(parts[0])
    counts = Counter(table["class"])
    statistics = {
        "dataset": dataset.name,
        "fingerprint": dataset.fingerprint,
        "images": whole.images,
        "channels": list(whole.channels),
        **_moments(whole),
        "definition": DEFINITION,
        "classes": {name: counts[name] for name in dataset.classes},
        "splits": {name: len(split) for name, split in splits.items()},
        "height": _range(measures.height),
        "width": _range(measures.width),
        "training": {"images": training.images, **_moments(training)},
        "skipped": [{"name": bad.name, "reason": bad.reason} for bad in dataset.skipped],
        "notes": list(dataset.notes),
    }
    samples, labels = _samples(dataset)
    return Description(table, statistics, samples, labels, _mean_image(dataset))


def _moments(measured: ChannelStatistics) -> dict[str, list[float]]:
    """Return mean, variance and standard deviation, a value a channel."""
    return {name: list(getattr(measured, name)) for name in ("mean", "variance", "std")}


def _table(dataset: Dataset, measures: Measures) -> dict[str, list[Any]]:
    names, labels, parts = [], [], []
    for part, split in dataset.splits().items():
        split_names = split.names()
        names += split_names if split.files is not None else [f"{part}/{name}" for name in split_names]
        labels += split.labels.tolist()
        parts += [part] * len(split)
    return {
        "name": [name.rpartition("/")[2] for name in names],
        "class": [dataset.classes[label] for label in labels],
        "height": measures.height.tolist(),
        "width": measures.width.tolist(),
        "path": names,
        "split": parts,
    }


def _range(values: NDArray[np.int64]) -> dict[str, float]:
    return {"least": int(values.min()), "median": float(np.median(values)), "greatest": int(values.max())}


def _samples(dataset: Dataset) -> tuple[Pixels, NDArray[np.int64]]:
    """Choose training images by a fixed seed, the classes taking turns."""
    labels = dataset.train.labels.cpu()
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(derived_seed(0, "samples")))
    members = [order[labels[order] == label][:SAMPLES] for label in range(min(dataset.num_classes, SAMPLES))]
    turns = [group[turn] for turn in range(SAMPLES) for group in members if turn < len(group)][:SAMPLES]
    chosen = torch.stack(turns)
    images = dataset.train.gather(chosen.to(dataset.train.labels.device)).cpu()
    return np.ascontiguousarray(images.permute(0, 2, 3, 1).numpy()), labels[chosen].numpy()


def _mean_image(dataset: Dataset) -> Pixels:
    splits = dataset.splits().values()
    total = sum_images(chunk for split in splits for chunk in split.chunks()).cpu()
    return (total / sum(map(len, splits))).round().to(torch.uint8).permute(1, 2, 0).numpy()


def augmented_views(
    dataset: Dataset, augment: str, *, images: int, views: int, seed: int
) -> tuple[Pixels, Pixels, list[str]]:
    """Return clean views (N, H, W, C), augmented ones (N, V, H, W, C), and the class of each image.

    They are made by the batches that training uses, and converted back to grey levels.
    """
    generator = torch.Generator().manual_seed(derived_seed(seed, "showcase"))
    chosen = torch.randperm(len(dataset.train), generator=generator)[:images]
    split = dataset.train.take(chosen)
    normalizer = Normalizer.fit(dataset.train, "channel", augment=augment)
    ((clean, _),) = evaluation_batches(split, normalizer, augment=augment)
    changed = []
    for view in range(views):
        ((batch, _),) = evaluation_batches(split, normalizer, augment=augment, seed=derived_seed(seed, "view", view))
        changed.append(_pixels(batch, normalizer))
    names = [dataset.classes[label] for label in split.labels.tolist()]
    return _pixels(clean, normalizer), np.stack(changed, axis=1), names


def _pixels(images: Tensor, normalizer: Normalizer) -> Pixels:
    """Undo the normalisation of images (N, C, H, W): grey levels (N, H, W, C)."""
    levels = (images * normalizer.std + normalizer.mean).mul(255).round().clamp(0, 255).to(torch.uint8)
    return levels.permute(0, 2, 3, 1).numpy()


def few_images(dataset: Dataset) -> tuple[str, ...]:
    """Return a line on what so few training images can't show; none where one is worth no more than `LEAST_EFFECT`."""
    images = len(dataset.train)
    if 100 <= LEAST_EFFECT * images:
        return ()
    return (
        f"few images: of {images:,} to train on, one is {100 / images:.2g} points of training error, and nets may know "
        f"all of them by heart at any depth; {100 / LEAST_EFFECT:,.0f} are the least for a rise of {LEAST_EFFECT:g} "
        "points to be seen, and some hundreds a class are better",
    )
