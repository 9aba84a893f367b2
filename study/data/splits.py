"""Seeded, stratified choices of images: first limits, then a validation split from the remaining images.

Every choice keeps the proportions of the classes, with counts exact by largest remainder, and is the same on every
machine: the keys it sorts by are raw draws of PCG64, whose stream NumPy guarantees.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from study.data.dataset import Split
from study.data.files import first_names
from study.data.seeds import derived_seed
from study.errors import DataError

Index = NDArray[np.int64]


def class_shares(counts: Index, total: int) -> Index:
    """Share `total` among classes in proportion to `counts` (K,), exactly, by largest remainder.

    Ties go to the class that comes first. No class gets more than it has, for `total` up to `counts.sum()`.
    """
    have = int(counts.sum())
    exact = counts * total  # integers: rounding of a float quotient could differ between machines
    shares: Index = exact // have
    left = total - int(shares.sum())
    largest = np.argsort(-(exact % have), kind="stable")
    shares[largest[:left]] += 1
    return shares


def stratified_choice(labels: Index, count: int, seed: int) -> Index:
    """Return the increasing positions of `count` of the images with `labels` (N,), stratified, chosen by `seed`.

    Except for rounding, a smaller count with the same seed chooses a subset of a larger one's.
    """
    return _choice(labels, class_shares(np.bincount(labels), count), seed)


def _choice(labels: Index, shares: Index, seed: int) -> Index:
    """Return the increasing positions of `shares` (K,) of the images of each class."""
    keys = np.random.PCG64(seed).random_raw(len(labels))
    chosen = []
    for label, share in enumerate(shares):
        members = np.flatnonzero(labels == label)
        chosen.append(members[np.argsort(keys[members], kind="stable")[:share]])
    return np.sort(np.concatenate(chosen)).astype(np.int64)


def divide(split: Split, chosen: Index) -> tuple[Split, Split]:
    """Return the images that aren't `chosen`, positions in `split`, and those that are."""
    left = np.setdiff1d(np.arange(len(split)), chosen, assume_unique=True)
    return split.take(torch.from_numpy(left)), split.take(torch.from_numpy(chosen))


def limit(split: Split, count: int | None, *, classes: int, seed: int, field: str) -> Split:
    """Return at most `count` images of `split`, stratified; all of them if it has no more.

    Raises:
        DataError: `count` is below the number of classes, so that a class would be missing.
    """
    if count is None or count >= len(split):
        return split
    if count < classes:
        raise DataError(f"{field}: {count} is fewer than the {classes} classes: give at least one image a class")
    chosen = stratified_choice(_labels(split), count, derived_seed(seed, field))
    return split.take(torch.from_numpy(chosen))


def take_test(everything: Split, amount: float, *, classes: Sequence[str], seed: int) -> tuple[Split, Split]:
    """Divide the images of a source without test images into training and test, both with every class.

    `amount` is a part of them (below 1), or a number of images (1 and above).

    Raises:
        DataError: a class has a single image, or too few images would be tested or trained with.
    """
    labels = _labels(everything)
    counts = np.bincount(labels, minlength=len(classes))
    single = [classes[label] for label in np.flatnonzero(counts < 2).tolist()]
    if single:
        raise DataError(
            f"test: fewer than two images in {first_names(single)}: one to train on and one to test with are needed; "
            "add images, or leave such classes out"
        )
    count = max(round(amount * len(labels)), len(classes)) if amount < 1 else int(amount)
    if not len(classes) <= count <= len(labels) - len(classes):
        raise DataError(
            f"test: {amount:g} of {len(labels)} images leaves {count} to test with and {len(labels) - count} to train "
            f"on: at least one image is needed of each of {len(classes)} classes"
        )
    shares = np.clip(class_shares(counts, count), 1, counts - 1)
    return divide(everything, _choice(labels, shares, derived_seed(seed, "test")))


def hold_out(train: Split, amount: float, *, classes: int, seed: int) -> tuple[Split, Split | None]:
    """Return the remaining training images and the validation split (None for `amount` 0).

    `amount` is a part of `train` (below 1), or a number of images (1 and above).

    Raises:
        DataError: too few images would be left to train on, or none held out.
    """
    if amount == 0:
        return train, None
    count = round(amount * len(train)) if amount < 1 else int(amount)
    if count >= len(train):
        raise DataError(f"validation: {amount:g} of {len(train)} training images leaves nothing to train on")
    if count == 0:
        raise DataError(
            f"validation: {amount:g} of {len(train)} training images is none: add images, or hold out none "
            "('validation: 0' under dataset in a grid)"
        )
    if len(train) - count < classes:
        raise DataError(
            f"validation: {amount:g} of {len(train)} training images leaves {len(train) - count} to train on, "
            f"fewer than the {classes} classes; 'validation: 0' holds out none"
        )
    return divide(train, stratified_choice(_labels(train), count, derived_seed(seed, "validation")))


def _labels(split: Split) -> Index:
    labels: Tensor = split.labels.cpu()
    return labels.numpy()
