"""From images to batches: data sets by name, normalisation, and augmented batches on the device."""

from study.data.augment import augmentation
from study.data.batches import WHOLE, Shard, TrainBatches, evaluation_batches
from study.data.dataset import BadFile, Dataset, Split
from study.data.describe import Description, describe
from study.data.files import BadFilesError
from study.data.load import load_dataset, load_splits
from study.data.normalize import Normalizer
from study.data.seeds import derived_seed
from study.data.stream import place
from study.data.views import Views, named_views

__all__ = [
    "WHOLE",
    "BadFile",
    "BadFilesError",
    "Dataset",
    "Description",
    "Normalizer",
    "Shard",
    "Split",
    "TrainBatches",
    "Views",
    "augmentation",
    "derived_seed",
    "describe",
    "evaluation_batches",
    "load_dataset",
    "load_splits",
    "named_views",
    "place",
]
