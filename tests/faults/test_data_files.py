"""The decoded images, which all runs map into memory, are cut short under a run."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from study.track.frames import load_runs
from tests.launch.processes import Launcher, uri, wait_for

GRID = """
name: g
dataset: {name: image-folder, root: data}
recipe: {epochs: 12, batch_size: 32, lr: 0.05, precision: fp32}
grid: {net: plain-8, seed: 0}
"""

pytestmark = pytest.mark.slow


def test_images_cut_short_under_a_run(tmp_path: Path) -> None:
    """The worker is killed by the system; the next finds the damage, decodes the images again, and the run goes on."""
    random = np.random.default_rng(0)
    for split, count in (("train", 100), ("test", 20)):
        for name in ("a", "b"):
            folder = tmp_path / "data" / split / name
            folder.mkdir(parents=True)
            for i in range(count):
                pixels = random.integers(0, 255, (16, 16, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{i}.png")
    (tmp_path / "g.yaml").write_text(GRID)
    launcher = Launcher(tmp_path, "launcher", "--checkpoint-every", "0")
    wait_for(lambda: any((tmp_path / "mlruns" / ".checkpoints" / "g").glob("*/checkpoint.pt")))
    images = next((tmp_path / "cache").rglob("images.npy"))
    os.truncate(images, 5000)
    said = launcher.end()
    assert "its worker was killed by SIGBUS (a data file was cut short" in said
    assert images.stat().st_size > 5000
    assert list(load_runs("g", uri(tmp_path))["status"]) == ["FINISHED"]
