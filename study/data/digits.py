"""Digits: 1,797 real scans of handwritten digits, 8x8, that ship with scikit-learn (no download)."""

from typing import TYPE_CHECKING

import numpy as np
import torch

from study.data.dataset import Split
from study.data.source import Progress, Source
from study.data.splits import take_test
from study.errors import DataError

if TYPE_CHECKING:
    from study.config import DatasetSpec

LEVELS = 16
"""The scans' values are counts from 0 to 16."""


def load(spec: "DatasetSpec", progress: Progress | None = None) -> Source:
    """Return the digits with one channel, scaled to 0..255; a stratified fifth, chosen by the split seed, is the test.

    Raises:
        DataError: a root was given, which digits doesn't have.
    """
    if spec.root is not None:
        raise DataError("digits ships with scikit-learn and has no folder: leave 'root' out")
    from sklearn.datasets import load_digits  # takes half a second to import

    scans, labels = load_digits(return_X_y=True)
    pixels = np.round(scans * 255 / LEVELS).astype(np.uint8).reshape(-1, 1, 8, 8)
    everything = Split(torch.from_numpy(pixels), torch.from_numpy(labels.astype(np.int64)))
    train, test = take_test(everything, spec.split_seed)
    return Source(train, test, tuple(map(str, range(10))))
