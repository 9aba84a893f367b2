from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

WriteImage = Callable[..., Path]


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    """Keep every cache and download inside the test."""
    monkeypatch.setenv("STUDY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("STUDY_DATA", str(tmp_path / "data"))


def pixels(seed: int, height: int, width: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture
def write_image() -> WriteImage:
    def write(path: Path, seed: int = 0, height: int = 12, width: int = 12) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels(seed, height, width)).save(path)
        return path

    return write


@pytest.fixture
def image_tree(tmp_path, write_image) -> Path:
    """Two classes; 6 and 4 images a class to train on, 2 to test on; several formats; files to pass over."""
    root = tmp_path / "tree"
    seed = 0
    for part, counts in (("train", {"ape": 6, "bee": 4}), ("test", {"ape": 2, "bee": 2})):
        for name, count in counts.items():
            for i in range(count):
                suffix = (".png", ".PNG", ".bmp", ".ppm")[i % 4]
                write_image(root / part / name / f"{i:02}{suffix}", seed)
                seed += 1
    (root / "train" / "ape" / "notes.txt").write_text("not an image")
    (root / "train" / "ape" / "._00.png").write_bytes(b"a shadow file")
    (root / "train" / ".hidden").mkdir()
    return root
