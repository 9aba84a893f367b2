"""Digits: 1,797 real scans of handwritten digits, 8x8, that ship with scikit-learn (no download)."""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from study.data.dataset import Split
from study.data.source import Progress, Source
from study.errors import DataError

if TYPE_CHECKING:
    from study.config import DatasetSpec

LEVELS = 16
"""The scans' values are counts from 0 to 16."""


def load(spec: "DatasetSpec", progress: Progress | None = None) -> Source:
    """Return the digits with one channel, scaled to 0..255; the source has no separate test images.

    Raises:
        DataError: a root was given, which digits doesn't have, or scikit-learn is missing.
    """
    if spec.root is not None:
        raise DataError("digits ships with scikit-learn and has no folder: leave 'root' out")
    table = np.loadtxt(_file(), delimiter=",")  # (N, 64 + 1), the label last
    pixels = np.round(table[:, :-1] * 255 / LEVELS).astype(np.uint8).reshape(-1, 1, 8, 8)
    everything = Split(torch.from_numpy(pixels), torch.from_numpy(table[:, -1].astype(np.int64)))
    return Source(everything, None, tuple(map(str, range(10))))


def _file() -> Path:
    """Return the file that scikit-learn's `load_digits` reads; its import would take each worker half a second."""
    package = find_spec("sklearn")
    file = Path(package.origin or "").parent / "datasets" / "data" / "digits.csv.gz" if package else None
    if file is None or not file.is_file():
        raise DataError("digits ships with scikit-learn, which isn't installed: pip install scikit-learn")
    return file
