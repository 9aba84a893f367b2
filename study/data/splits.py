"""Seeded, stratified choices of images: limits first, then a validation split out of what is left.

Every choice keeps the proportions of the classes, with counts exact by largest remainder, and is the same on every
machine: the keys it sorts by are raw draws of PCG64, whose stream NumPy guarantees.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from study.data.dataset import Split
from study.data.seeds import derived_seed
from study.errors import DataError

Index = NDArray[np.int64]


TEST_PART = 0.2


def class_shares(counts: Index, total: int) -> Index:
    """Share `total` among classes in proportion to `counts` (K,), exactly, by largest remainder.

    Ties go to the class that comes first. No class gets more than it has, for `total` up to `counts.sum()`.
    """
    have = int(counts.sum())
    exact = counts * total  # integers: what a float quotient would round is decided the same everywhere
    shares: Index = exact // have
    left = total - int(shares.sum())
    largest = np.argsort(-(exact % have), kind="stable")
    shares[largest[:left]] += 1
    return shares


def stratified_choice(labels: Index, count: int, seed: int) -> Index:
    """Return the increasing positions of `count` of the images with `labels` (N,), stratified, chosen by `seed`.

    A smaller count with the same seed chooses, but for rounding, a subset of a larger one's.
    """
    keys = np.random.PCG64(seed).random_raw(len(labels))
    classes, counts = np.unique(labels, return_counts=True)
    chosen = []
    for label, share in zip(classes, class_shares(counts.astype(np.int64), count), strict=True):
        members = np.flatnonzero(labels == label)
        chosen.append(members[np.argsort(keys[members], kind="stable")[:share]])
    return np.sort(np.concatenate(chosen)).astype(np.int64)


def split_off(split: Split, count: int, seed: int) -> tuple[Split, Split]:
    """Return `split` without `count` stratified images, and those images."""
    chosen = stratified_choice(_labels(split), count, seed)
    kept = np.setdiff1d(np.arange(len(split)), chosen, assume_unique=True)
    return split.take(torch.from_numpy(kept)), split.take(torch.from_numpy(chosen))


def limit(split: Split, count: int | None, *, classes: int, seed: int, field: str) -> Split:
    """Return at most `count` images of `split`, stratified; all of them where it has no more.

    Raises:
        DataError: `count` is below the number of classes, so that a class would be missing.
    """
    if count is None or count >= len(split):
        return split
    if count < classes:
        raise DataError(f"{field}: {count} is fewer than the {classes} classes: give at least one image a class")
    chosen = stratified_choice(_labels(split), count, derived_seed(seed, field))
    return split.take(torch.from_numpy(chosen))


def take_test(everything: Split, seed: int) -> tuple[Split, Split]:
    """Return the training and test images of a source that comes in one piece: a stratified fifth is the test."""
    return split_off(everything, round(TEST_PART * len(everything)), derived_seed(seed, "test"))


def hold_out(train: Split, amount: float, *, classes: int, seed: int) -> tuple[Split, Split | None]:
    """Return what is left to train on, and the validation split (None for `amount` 0).

    Args:
        train: the images to choose from, limits applied.
        amount: a part of them (below 1), or a number of images (1 and above).
        classes: how many classes there are: at least as many images must be left to train on.
        seed: the split seed.

    Raises:
        DataError: too few images would be left to train on, or none held out.
    """
    if amount == 0:
        return train, None
    count = round(amount * len(train)) if amount < 1 else int(amount)
    if count >= len(train):
        raise DataError(f"validation: {amount:g} of {len(train)} training images leaves nothing to train on")
    if count == 0:
        raise DataError(f"validation: {amount:g} of {len(train)} training images is none; for none, say 0")
    if len(train) - count < classes:
        raise DataError(
            f"validation: {amount:g} of {len(train)} training images leaves {len(train) - count} to train on, "
            f"fewer than the {classes} classes; 'validation: 0' holds out none"
        )
    return split_off(train, count, derived_seed(seed, "validation"))


def _labels(split: Split) -> Index:
    labels: Tensor = split.labels.cpu()
    return labels.numpy()
