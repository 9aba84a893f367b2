"""Data sets made up for reports: what `load_datasets` gives, without MLflow."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Record:
    """As `study.track.datasets.DatasetRecord`, which needs MLflow."""

    name: str
    fingerprint: str
    table: pd.DataFrame
    statistics: dict[str, Any]
    samples: np.ndarray
    sample_labels: np.ndarray
    mean_image: np.ndarray


def make_table(height, width, classes=("cat", "dog"), splits=("train", "test")) -> pd.DataFrame:
    """Return a row an image, the classes taking turns; the last of every five is in the last split."""
    count = len(height)
    return pd.DataFrame(
        {
            "name": [f"{i}.jpg" for i in range(count)],
            "class": [classes[i % len(classes)] for i in range(count)],
            "height": np.asarray(height, dtype=np.int64),
            "width": np.asarray(width, dtype=np.int64),
            "path": [f"photos/{i}.jpg" for i in range(count)],
            "split": [splits[-1] if i % 5 == 4 else splits[0] for i in range(count)],
        }
    )


def make_record(table=None, classes=("cat", "dog"), skipped=(), channels=3, fingerprint="f" * 20) -> Record:
    random = np.random.default_rng(0)
    if table is None:
        table = make_table(random.integers(200, 400, 60), random.integers(200, 400, 60), classes)
    names = ["red", "green", "blue"] if channels == 3 else ["grey"]
    numbers = {"mean": [0.5] * channels, "variance": [0.04] * channels, "std": [0.2] * channels}
    sizes = {
        side: {
            "least": int(table[side].min()),
            "median": float(table[side].median()),
            "greatest": int(table[side].max()),
        }
        for side in ("height", "width")
    }
    statistics = {
        "dataset": "photos",
        "fingerprint": fingerprint,
        "images": len(table),
        "channels": names,
        **numbers,
        "definition": "on values 0..1",
        "classes": {name: int((table["class"] == name).sum()) for name in classes},
        "splits": {name: int((table["split"] == name).sum()) for name in ("train", "test")},
        **sizes,
        "training": {"images": int((table["split"] == "train").sum()), **numbers},
        "skipped": [{"name": name, "reason": reason} for name, reason in skipped],
        "notes": ["test: 0.2 of the images", "not read: 1 file <b>"],
    }
    count = min(40, 3 * len(classes))
    return Record(
        "photos",
        fingerprint,
        table,
        statistics,
        random.integers(0, 256, (count, 8, 8, channels), dtype=np.uint8),
        np.arange(count) % len(classes),
        random.integers(0, 256, (8, 8, channels), dtype=np.uint8),
    )
