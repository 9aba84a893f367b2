"""Predict the classes of unlabelled images with a finished run, in Kaggle's format.

Legend: N images, C channels, S side of the square images a net was trained on, K classes.
"""

import csv
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from study.config import OwnNetsError, RunSpec
from study.data import BadFile, BadFilesError, Normalizer
from study.data.decode import reason
from study.data.decode_all import Target, decode_all, record_type
from study.data.files import ImageFile, Read, not_read
from study.data.unlabelled import open_images
from study.errors import DataError, StudyError, printable
from study.train import build_spec_net, predict_probabilities
from study.train.checkpoint import load_checkpoint

BATCH = 256
"""Images decoded and held in memory at a time."""
LUMINANCE = np.array([0.299, 0.587, 0.114])
"""Weights of red, green and blue (ITU-R BT.601) that turn coloured images grey for nets trained on grey ones."""

Progress = Callable[[str, float], None]


@dataclass(frozen=True, eq=False)
class Predictor:
    """A trained net with the preparation of its images."""

    net: nn.Module
    normalizer: Normalizer
    spec: RunSpec
    classes: tuple[str, ...]
    image_shape: tuple[int, int, int]
    """(C, S, S)."""
    device: torch.device

    def probabilities(self, images: Tensor, views: str = "center") -> Tensor:
        """Return the probabilities (N, K) of uint8 images (N, C, S, S), on the CPU; `views` as `test_views`."""
        recipe = self.spec.recipe
        return predict_probabilities(
            self.net,
            images,
            self.normalizer,
            augment=recipe.augment,
            device=self.device,
            views=views,
            precision=recipe.precision,
        ).cpu()


@dataclass(frozen=True, eq=False)
class Predictions:
    """Probabilities (N, K) of images, in the order of their ids, and the files that could not be read."""

    ids: list[str]
    probabilities: Tensor
    skipped: tuple[BadFile, ...]
    notes: tuple[str, ...] = ()
    """Lines on which images of the place these are, and which files aren't read."""


def load_predictor(spec: RunSpec, checkpoint: Path, device: torch.device) -> Predictor:
    """Rebuild a run's net from its specification and checkpoint.

    Raises:
        StudyError: the checkpoint is damaged, or isn't one of this run's net.
    """
    try:
        values = load_checkpoint(checkpoint, device)
        classes, shape = tuple(values["classes"]), tuple(values["image_shape"])
        net = build_spec_net(spec, len(classes), shape[0])
        net.load_state_dict(values["net"])
        normalizer = Normalizer(values["mean"], values["std"])
    except OwnNetsError:
        raise
    except Exception as error:  # for a net of another shape PyTorch may raise any error
        raise StudyError(f"the run's checkpoint can't be used: {printable(reason(error))}") from None
    net = net.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Predictor(net, normalizer, spec, classes, shape, device)


def predict_files(
    predictor: Predictor,
    place: Path,
    *,
    views: str = "center",
    skip_bad: bool = False,
    progress: Progress | None = None,
) -> Predictions:
    """Predict all images that `study.data.unlabelled.open_images` finds in a place, in its order.

    Raises:
        StudyError: views that the net can't be shown.
        DataError: the place can't be read, has no images, or has two with one id.
        BadFilesError: files that can't be used, and `skip_bad` isn't set.
    """
    if views == "multi-scale" and (predictor.spec.architecture == "vgg" or predictor.spec.own):
        raise StudyError("VGG nets and those of your own take images of one size: multi-scale views are for the others")
    try:
        named, listing = open_images(place)
    except OSError as error:  # folders that go away or may not be read
        raise DataError(f"{place} can't be read: {printable(str(error))}") from None
    ids, files = list(named), list(named.values())
    probabilities, used, bad = [], [], list(listing.bad)
    for images, good, failed in _decoded(files, listing.read, predictor):
        if len(good):
            probabilities.append(predictor.probabilities(images, views))
        used += [ids[row] for row in good]
        bad += failed
        if progress is not None:
            progress("predicting", min(1.0, (len(used) + len(bad)) / max(1, len(files))))
    if bad and not skip_bad:
        raise BadFilesError(tuple(bad), len(files) + len(listing.bad), "skip_bad=True")
    if not used:
        raise DataError(f"no image in {place} can be used")
    notes = (*listing.notes, *not_read(listing.unread))
    return Predictions(used, torch.cat(probabilities), tuple(bad), notes)


def submission(predictions: Predictions, predictor: Predictor, *, probabilities: bool) -> Iterator[list[Any]]:
    """Yield the rows of Kaggle's file, its heading first: `id,label`.

    For Dogs vs Cats the label is 1 for a dog and 0 for a cat, as the competition asks; for other data sets it is the
    class's name. Ids and names aren't changed, since other programs match them. With `probabilities`, the label is the
    probability of the second class (the dog's) if there are two, else there is a column for each class.
    """
    classes = predictor.classes
    two = len(classes) == 2
    yield ["id", *(classes if probabilities and not two else ["label"])]
    best_classes = predictions.probabilities.argmax(1).tolist()
    for name, row, best in zip(predictions.ids, predictions.probabilities.tolist(), best_classes, strict=True):
        if probabilities:
            yield [name, *(f"{value:.6f}" for value in (row[1:] if two else row))]
        else:
            yield [name, best if predictor.spec.dataset.name == "dogs-vs-cats" else classes[best]]


def write_csv(path: Path, rows: Iterator[list[Any]]) -> None:
    """Write rows to a file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with partial.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
            csv.writer(file, lineterminator="\n").writerows(rows)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _decoded(
    files: Sequence[ImageFile], read: Read, predictor: Predictor
) -> Iterator[tuple[Tensor, list[int], list[BadFile]]]:
    """Yield decoded images (N, C, S, S), a batch at a time, the rows they are of, and those that can't be decoded."""
    channels, size, _ = predictor.image_shape
    for start in range(0, len(files), BATCH):
        batch = files[start : start + BATCH]
        pixels = np.zeros((len(batch), size, size, 3), np.uint8)
        target = Target(pixels, np.zeros(len(batch), record_type(3)), predictor.spec.dataset.resize)
        failures = decode_all(batch, read, target, None)
        good = [row for row in range(len(batch)) if row not in failures]
        images = pixels[good]
        if channels == 1:
            images = np.rint(images @ LUMINANCE).astype(np.uint8)[..., None]
        bad = [BadFile(batch[row].name, failures[row]) for row in sorted(failures)]
        yield torch.from_numpy(images).permute(0, 3, 1, 2), [start + row for row in good], bad
