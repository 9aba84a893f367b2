"""From labelled image files to a split of those that can be used; the others are refused, or skipped when asked to."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from study.data.cache import decoded_images
from study.data.dataset import BadFile, Split
from study.data.files import BadFilesError, ImageFile, Read, listed, some
from study.data.source import Progress
from study.errors import DataError

if TYPE_CHECKING:
    from study.config import DatasetSpec


def decoded_split(
    files: Sequence[ImageFile],
    labels: NDArray[np.int64],
    read: Read,
    spec: "DatasetSpec",
    *,
    default_size: int,
    bad: Sequence[BadFile] = (),
    progress: Progress | None = None,
) -> tuple[Split, NDArray[np.int64], tuple[BadFile, ...]]:
    """Decode `files` and return the usable ones, their positions in `files` (N,), and what was skipped.

    Args:
        files: the image files, M of them.
        labels: a class for each (M,).
        read: gives the bytes of a file.
        spec: says the size, how it's reached, and whether bad files may be skipped.
        default_size: side of the square images in pixels where `spec` doesn't say.
        bad: what is known to be bad already.
        progress: told what is done, and how far.

    Raises:
        BadFilesError: files can't be used, and `spec.skip_bad` isn't set.
        DataError: the decoded images can't be kept.
    """
    decoded = decoded_images(files, read, spec.image_size or default_size, spec.resize, progress)
    skipped = (*bad, *(BadFile(files[row].name, why) for row, why in sorted(decoded.bad.items())))
    if skipped and not spec.skip_bad:
        raise BadFilesError(skipped, len(files) + len(bad))
    if not decoded.bad:
        return Split(decoded.pixels, torch.from_numpy(labels), None, decoded.files), np.arange(len(files)), skipped
    good = np.setdiff1d(np.arange(len(files)), np.fromiter(decoded.bad, dtype=np.int64))
    rows = torch.from_numpy(good)
    return Split(decoded.pixels, torch.from_numpy(labels[good]), rows, decoded.files), good, skipped


def need_all(classes: Sequence[str], split: Split, place: Path, skipped: Sequence[BadFile]) -> None:
    """Make sure that a split has an image of every class.

    Raises:
        DataError: a class is missing from `split`, the images of `place` that can be used.
    """
    present = set(split.labels.tolist())
    missing = [name for label, name in enumerate(classes) if label not in present]
    if missing:
        raise DataError("\n".join([f"no image of {some(missing)} in {place} can be used", *listed(skipped)]))
