"""Images in, batches out: data sets by name, normalisation, and augmented batches on the device."""

from study.data.batches import TrainBatches, augmented_batches, evaluation_batches
from study.data.dataset import Dataset, Split
from study.data.load import load_dataset
from study.data.normalize import Normalizer
from study.data.seeds import derived_seed

__all__ = [
    "Dataset",
    "Normalizer",
    "Split",
    "TrainBatches",
    "augmented_batches",
    "derived_seed",
    "evaluation_batches",
    "load_dataset",
]
