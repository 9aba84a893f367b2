"""Other files and places from strangers: checkpoints, roots of data sets, pipes; and what may unpickle at all."""

import os
import pickle
import re
from io import BytesIO
from pathlib import Path

import pytest
import torch

import study
from study.config import DatasetSpec, Recipe, RunSpec
from study.data import load_dataset
from study.data.unlabelled import open_images
from study.errors import DataError, StudyError
from study.inference import load_predictor, predict_files

from .harm import Harm
from .limits import within
from .test_hostile_batches import idx

SOURCES = {path: path.read_text(encoding="utf-8") for path in Path(study.__file__).parent.rglob("*.py")}


def saved(values: object) -> bytes:
    buffer = BytesIO()
    torch.save(values, buffer)
    return buffer.getvalue()


CHECKPOINTS = {
    "nothing": b"",
    "no checkpoint": b"hello",
    "cut": saved({"net": torch.ones(9)})[:300],
    "pickle": pickle.dumps(Harm()),
    "object": saved({"net": Harm()}),
    "list": saved([1]),
    "other": saved({"net": {}, "classes": ["a"], "image_shape": [], "mean": 0, "std": 0}),
    "names": saved({"net": {"\x1b[2J": torch.ones(1)}, "classes": ["a"], "image_shape": [3, 8, 8]}),
}


@pytest.mark.parametrize("content", CHECKPOINTS.values(), ids=CHECKPOINTS)
def test_checkpoints_that_are_none(content, tmp_path, monkeypatch):
    """Tensors and plain values are read and nothing is called; what isn't a net's checkpoint is told in a line."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "checkpoint.pt").write_bytes(content)
    spec = RunSpec(dataset=DatasetSpec(name="digits"), architecture="plain", depth=8, recipe=Recipe(epochs=1), seed=0)
    with pytest.raises(StudyError, match="the run's checkpoint can't be used") as caught:
        load_predictor(spec, tmp_path / "checkpoint.pt", torch.device("cpu"))
    assert str(caught.value).isprintable()
    assert not (tmp_path / "harm").exists()


def test_only_a_reader_of_plain_values_unpickles():
    """Of all that could unpickle or run what a stranger wrote, nothing is called without its safe setting."""
    risky = r"pickle\.loads?\(|read_pickle|joblib|allow_pickle=True|weights_only=False|yaml\.(full_|unsafe_)?load\("
    # Messages between a launcher and its workers, which have shown each other the launcher's key.
    assert [path.name for path, text in SOURCES.items() if re.search(risky, text)] == ["tls.py"]
    loads = [call for text in SOURCES.values() for call in re.findall(r"torch\.load\([^\n]*", text)]
    assert loads
    assert all("weights_only=True" in call for call in loads)
    arrays = [call for text in SOURCES.values() for call in re.findall(r"np\.load\([^\n]*", text)]
    assert all("allow_pickle=False" in call for call in arrays)
    assert [path.name for path, text in SOURCES.items() if "Unpickler(" in text] == ["cifar_batches.py"]


@pytest.mark.parametrize(
    "root", ["~nobody-of-this-name/x", "/nowhere", "a\0b", "\x1b[2J", "x/" * 3000, "/dev/null", ""]
)
def test_roots_that_are_no_folders(root, tmp_path, monkeypatch):
    """A grid's `root` may be any text: where it is no folder of images, that is told."""
    monkeypatch.chdir(tmp_path)
    for name in ("image-folder", "dogs-vs-cats", "cifar10", "fashion-mnist"):
        if name in ("cifar10", "fashion-mnist") and not root:
            continue  # the folder one is in, and files that are missing there would be downloaded
        with within(5), pytest.raises(DataError) as caught:
            load_dataset(DatasetSpec(name=name, root=root))
        assert str(caught.value).isprintable()


def test_data_sets_without_images(tmp_path):
    """Files that are whole and hold nothing are told, before a net is trained on it."""
    for part in ("train", "t10k"):
        (tmp_path / f"{part}-images-idx3-ubyte").write_bytes(idx(torch.zeros(0, 28, 28, dtype=torch.uint8).numpy()))
        (tmp_path / f"{part}-labels-idx1-ubyte").write_bytes(idx(torch.zeros(0, dtype=torch.uint8).numpy()))
    with pytest.raises(DataError, match="fashion-mnist has no images to train on"):
        load_dataset(DatasetSpec(name="fashion-mnist", root=str(tmp_path)))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes")
def test_places_that_are_neither_folder_nor_archive(tmp_path, predictor):
    """`study predict` waits for no pipe, and a path that the system refuses is told."""
    os.mkfifo(tmp_path / "pipe.zip")
    (tmp_path / "a.zip").write_bytes(b"PK\5\6" + bytes(10))
    for name in ("pipe.npz", "pipe.csv", "pipe.parquet"):
        os.mkfifo(tmp_path / name)
    for place in (*tmp_path.iterdir(), Path("/dev/zero")):
        with within(5), pytest.raises(DataError, match="can't be predicted: give a folder"):
            open_images(place)
    with pytest.raises(DataError, match=r"can't be read: .*too long"):
        predict_files(predictor, tmp_path / ("x" * 5000))
