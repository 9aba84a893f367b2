"""From labelled image files to a split of those that can be used; the others are refused, or skipped when asked to."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from study.data.cache import decoded_images
from study.data.dataset import BadFile, Split
from study.data.files import BadFilesError, ImageFile, Read
from study.data.source import Progress

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
