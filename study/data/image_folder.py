"""Image folders: trees of classes as people have them, ImageNet's included. `image_tree` says which."""

from typing import TYPE_CHECKING

import numpy as np
import torch

from study.data.files import BadFilesError, listed, not_read, read_file
from study.data.image_files import decoded_split, need_all
from study.data.image_tree import differences, read_tree
from study.data.source import Progress, Source, given_folder
from study.errors import DataError

if TYPE_CHECKING:
    from study.config import DatasetSpec

DEFAULT_SIZE = 32


def load(spec: "DatasetSpec", progress: Progress | None = None) -> Source:
    """Return the images of `spec.root`, made square with side `spec.image_size` (32 by default), classes by name.

    Raises:
        DataError: folders missing, classes that differ between the splits, a class without a usable image.
        BadFilesError: files that can't be used, or empty class folders, and `spec.skip_bad` isn't set.
    """
    root = given_folder(spec.name, spec.root)
    tree = read_tree(root)
    parts = [part for part in (tree.train, tree.test) if part is not None]
    bad = [bad for part in parts for bad in part.bad]
    files = [file for part in parts for members in part.classes.values() for file in members]
    notes = (*tree.notes, *not_read([name for part in parts for name in part.unread]))
    if problem := differences(tree.train, tree.test, root):
        if bad and not spec.skip_bad:  # what is wrong with them may be why
            raise BadFilesError(tuple(bad), len(files) + len(bad))
        raise DataError("\n".join([problem, *listed(bad), *notes]))
    classes = tuple(tree.train.classes)
    counts = [len(part.classes[name]) for part in parts for name in classes]
    labels = np.tile(np.arange(len(classes)), len(parts)).repeat(counts)
    split, good, skipped = decoded_split(
        files,
        labels,
        lambda file: read_file(root / file.name),
        spec,
        default_size=DEFAULT_SIZE,
        bad=bad,
        progress=progress,
    )
    boundary = int((good < sum(counts[: len(classes)])).sum())
    train, test = (split.take(rows) for rows in torch.arange(len(split)).tensor_split([boundary]))
    for part, taken in zip(parts, (train, test), strict=False):
        need_all(classes, taken, part.folder, skipped)
    return Source(train, test if tree.test else None, classes, skipped, notes)
