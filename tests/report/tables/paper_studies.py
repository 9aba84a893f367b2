"""Frames as `load_runs` returns them of studies that the paper has too, trained as the paper did."""

import pandas as pd

from tests.report.conftest import PAPER
from tests.report.frames import Truth, make_study

CIFAR = {
    "dataset": "cifar10",
    "augment": "crop-flip",
    "normalize": "pixel-mean",
    "family": "cifar",
    "width": "1.0",
    "test_views": "center",
    "milestones": "[32000, 48000]",
    "gamma": "0.1",
    "lr_tuned": False,
    "skipped_images": 0,
}
IMAGENET = {
    "dataset": "image-folder",
    "classes": 1000,
    "augment": "imagenet",
    "normalize": "pixel-mean",
    "family": "imagenet",
    "width": "1.0",
    "image_size": "256",
    "batch_size": "256",
    "milestones": "[0.5, 0.75]",
    "gamma": "0.1",
    "lr_tuned": False,
    "warmup": "0",
    "test_views": "ten-crop",
    "train_images": 1_281_167,
    "test_images": 50_000,
}


def cifar_runs() -> pd.DataFrame:
    """Nine nets of Figure 6, five seeds each."""
    runs = make_study(PAPER).runs.assign(**CIFAR)
    shortcuts = runs["architecture"].map({"plain": "none", "residual": "A"})
    return runs.assign(shortcut=shortcuts, warmup=runs["depth"].map(lambda depth: "400" if depth == 110 else "0"))


def imagenet_runs(options: str = "A") -> pd.DataFrame:
    """18 and 34 layers, plain and with each option of the shortcut: three seeds, and errors of ten crops."""
    truth = Truth(
        {("plain", 18): (33, 0.2), ("plain", 34): (35, 0.3), ("residual", 18): (32, 0.2), ("residual", 34): (30, 0.2)},
        overfit=-3,
        iterations=600_000,
        evaluations=2,
        trials=0,
    )
    runs = make_study(truth).runs.assign(**IMAGENET)
    runs["final_test_error_views"] = runs["final_test_error"] - 2
    plain, residual = (runs[runs["architecture"] == name] for name in ("plain", "residual"))
    parts = [plain.assign(shortcut="none")]
    for option in options:
        variant = f"shortcut={option}" if len(options) > 1 else ""
        parts.append(residual.assign(shortcut=option, variant=variant, run_id=residual["run_id"] + option))
    return pd.concat(parts, ignore_index=True)
