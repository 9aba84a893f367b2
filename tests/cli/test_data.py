"""`study data` and `study predict` as a user runs them, on archives like Kaggle's."""

import csv
import json
import os
import shutil
import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow
import pytest
import torch
from PIL import Image
from pyarrow import parquet
from sklearn.datasets import load_digits

from study.track.frames import load_runs
from tests.conftest import run_here, run_study

GRID = """
name: pets
dataset: {name: dogs-vs-cats, root: kaggle, image_size: 16, validation: 6}
recipe: {epochs: 6, batch_size: 16, lr: 0.05, augment: crop-flip}
grid: {net: [resnet-8], seed: [0]}
"""


def photograph(dog: bool, number: int, height: int = 30, width: int = 40) -> bytes:
    """A JPEG: cats are bright above, dogs below, so that a net can tell and a picture turned over cannot."""
    noise = np.random.default_rng([dog, number]).integers(0, 120, (height, width, 3))
    half = np.s_[height // 2 :] if dog else np.s_[: height // 2]
    noise[half] += 130
    out = BytesIO()
    Image.fromarray(noise.astype(np.uint8)).save(out, "JPEG", quality=95)
    return out.getvalue()


def pack(path: Path, members: dict[str, bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def labelled() -> dict[str, bytes]:
    return {
        f"train/{'dog' if dog else 'cat'}.{i}.jpg": photograph(dog, i, height=30 + i % 3)
        for dog in (False, True)
        for i in range(40)
    }


@pytest.fixture(scope="module")
def pets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with Kaggle's archives and a finished study of them; not to be written to."""
    folder = tmp_path_factory.mktemp("pets")
    pack(folder / "kaggle" / "train.zip", labelled())
    # Odd numbers are dogs. Kaggle's numbers don't sort as text.
    pack(folder / "kaggle" / "test1.zip", {f"test1/{i}.jpg": photograph(i % 2 == 1, 1000 + i) for i in range(1, 31)})
    (folder / "pets.yaml").write_text(GRID)
    done = run_study(folder, "run", "--grid", "pets.yaml")
    assert done.returncode == 0, done.stderr
    return folder


def rows(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def predict(folder: Path, *words: str) -> list[list[str]]:
    done = run_here(folder, "predict", *words)
    assert done.returncode == 0, done.stderr
    return rows(folder / words[words.index("--out") + 1])


def test_labels_in_kaggles_format(pets: Path) -> None:
    found = predict(pets, "--run", "resnet-8 seed 0", "--images", "kaggle/test1.zip", "--out", "out/labels.csv")
    assert found[0] == ["id", "label"]
    assert [row[0] for row in found[1:]] == [str(i) for i in range(1, 31)]
    right = sum(int(label) == int(name) % 2 for name, label in found[1:])
    assert right >= 28
    assert sorted(path.name for path in (pets / "out").iterdir() if "labels" in path.name) == ["labels.csv"]


def test_probabilities_agree_with_labels_and_folder_with_archive(pets: Path, tmp_path: Path) -> None:
    run_id = load_runs("pets", f"sqlite:///{pets / 'mlflow.db'}")["run_id"][0]
    labels = predict(pets, "--run", run_id, "--images", "kaggle/test1.zip", "--out", "out/a.csv")
    with zipfile.ZipFile(pets / "kaggle" / "test1.zip") as archive:
        archive.extractall(tmp_path)
    words = ["--run", run_id[:8], "--images", str(tmp_path), "--out", "out/b.csv", "--probabilities"]
    found = predict(pets, *words)
    assert [row[0] for row in found] == [row[0] for row in labels]
    assert all((float(p) > 0.5) == (label == "1") for (_, p), (_, label) in zip(found[1:], labels[1:], strict=True))


def test_bad_images_are_listed_or_skipped(pets: Path, tmp_path: Path) -> None:
    shutil.copy(pets / "kaggle" / "test1.zip", tmp_path / "t.zip")
    with zipfile.ZipFile(tmp_path / "t.zip", "a") as archive:
        archive.writestr("test1/31.jpg", b"no image")
        archive.writestr("../32.jpg", photograph(True, 1))
        archive.writestr("test1/33.heic", b"not read")
    words = [
        "predict",
        "--run",
        "resnet-8 seed 0",
        "--images",
        str(tmp_path / "t.zip"),
        "--out",
        str(tmp_path / "s.csv"),
    ]
    refused = run_study(pets, *words)
    assert refused.returncode == 2
    assert "../32.jpg: would land outside the folder\n  test1/31.jpg: not an image" in refused.stderr
    assert refused.stderr.endswith("\nmend or remove them, or go on without them: --skip-bad\n")
    assert not (tmp_path / "s.csv").exists()
    done = run_study(pets, *words, "--skip-bad")
    assert done.returncode == 0, done.stderr
    assert "30 images" in done.stdout
    assert "2 bad files skipped\nnot read: 1 file (1 .heic): test1/33.heic\n" in done.stdout
    assert len(rows(tmp_path / "s.csv")) == 31


def twins(folder: Path) -> None:
    for name in ("a", "b"):
        (folder / name).mkdir(parents=True)
        (folder / name / "1.jpg").write_bytes(photograph(True, 1))


def text(folder: Path) -> None:
    folder.write_text("hello")


@pytest.mark.parametrize(
    ("run", "make", "message"),
    [
        ("resnet-8 seed 7", twins, "is called 'resnet-8 seed 7' (did you mean 'resnet-8 seed 0'?)"),
        ("resnet-8 seed 0", twins, "a/1.jpg and b/1.jpg have the same id, '1'"),
        ("resnet-8 seed 0", text, "can't be predicted: give a folder of images or shards"),
        ("resnet-8 seed 0", Path.mkdir, "has no images"),
        ("resnet-8 seed 0", lambda folder: None, "doesn't exist"),
        ("0" * 32, twins, "no run has the id"),
    ],
)
def test_what_cannot_be_predicted(pets: Path, tmp_path: Path, run: str, make, message: str) -> None:
    make(tmp_path / "images")
    words = ("predict", "--run", run, "--images", str(tmp_path / "images"), "--out", str(tmp_path / "s.csv"))
    done = run_here(pets, *words)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "s.csv").exists()


def stats(folder: Path, *words: str, **environment: str):
    return run_study(folder, "data", "stats", "--dataset", "dogs-vs-cats", *words, **environment)


def test_statistics_have_the_stated_definition(pets: Path, tmp_path: Path) -> None:
    done = stats(pets, "--root", "kaggle", "--out", str(tmp_path / "s"), STUDY_CACHE=str(tmp_path / "cache"))
    assert done.returncode == 0, done.stderr
    assert "red, green, blue" in done.stdout
    assert "test: 0.2 (16 of 80 images, stratified by class, by split_seed 0)" in done.stdout
    found = json.loads((tmp_path / "s" / "statistics.json").read_text())
    assert (found["images"], found["channels"]) == (80, ["red", "green", "blue"])
    images = [np.asarray(Image.open(BytesIO(content))) / 255 for content in labelled().values()]
    mean = np.mean([image.mean((0, 1)) for image in images], axis=0)
    variance = np.mean([((image - mean) ** 2).mean((0, 1)) for image in images], axis=0)
    np.testing.assert_allclose(found["mean"], mean, atol=1e-9, rtol=0)
    np.testing.assert_allclose(found["variance"], variance, atol=1e-9, rtol=0)
    np.testing.assert_allclose(found["std"], np.sqrt(variance), atol=1e-9, rtol=0)
    table = pd.read_csv(tmp_path / "s" / "images.csv")
    assert table.equals(pd.read_parquet(tmp_path / "s" / "images.parquet").astype(table.dtypes))
    assert {"name", "class", "height", "width", "path"} <= set(table.columns)
    row = table.set_index("name").loc["dog.7.jpg"]
    assert (row["class"], row["height"], row["width"], row["path"]) == ("dog", 31, 40, "train/dog.7.jpg")
    assert sorted(table["class"].value_counts().items()) == [("cat", 40), ("dog", 40)]
    figures = {path.name for path in (tmp_path / "s" / "figures").glob("*.png")}
    assert len(figures) >= 3
    assert not (tmp_path / "s" / "bad_files.csv").exists()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs a system that can bind a process to a core")
def test_the_number_of_workers_changes_nothing(pets: Path, tmp_path: Path) -> None:
    found = []
    before = os.sched_getaffinity(0)
    for cores in ({min(before)}, before):
        os.sched_setaffinity(0, cores)
        try:
            place = tmp_path / str(len(found))
            stats(pets, "--root", "kaggle", "--out", str(place), STUDY_CACHE=str(place / "cache"))
        finally:
            os.sched_setaffinity(0, before)
        found.append((place / "statistics.json").read_bytes())
    assert found[0] == found[1]


def test_damaged_sets_are_refused_listed_and_skipped_when_asked(tmp_path: Path) -> None:
    members = labelled()
    members["train/cat.3.jpg"] = members["train/cat.3.jpg"][:400]
    members["train/dog.4.jpg"] = b"not an image"
    members["train/bird.1.jpg"] = photograph(True, 0)
    members["../../evil.jpg"] = photograph(True, 0)
    members["train/cat.9.heic"] = b"not read"
    pack(tmp_path / "kaggle" / "train.zip", members)
    expected = ["../../evil.jpg", "train/bird.1.jpg", "train/cat.3.jpg", "train/dog.4.jpg"]
    refused = stats(tmp_path, "--root", "kaggle", "--out", "s")
    assert refused.returncode == 2
    assert "4 of 82 image files can't be used" in refused.stderr
    assert all(name in refused.stderr for name in expected)
    assert "go on without them: --skip-bad (in a grid: 'skip_bad: true' under dataset)\n" in refused.stderr
    assert f"all of them stand in {Path('s', 'bad_files.csv')}\n" in refused.stderr
    prepared = run_here(tmp_path, "data", "prepare", "--dataset", "dogs-vs-cats", "--root", "kaggle")
    assert [line.partition(": ")[0] for line in prepared.stdout.splitlines()] == expected
    assert "error: 4 of 82 image files can't be used\nmend or" in prepared.stderr
    assert [row[0] for row in rows(tmp_path / "s" / "bad_files.csv")[1:]] == expected
    assert [path.name for path in (tmp_path / "s").iterdir()] == ["bad_files.csv"]
    (tmp_path / "pets.yaml").write_text(GRID.replace("epochs: 6", "iterations: 2"))
    refused = run_study(tmp_path, "run", "--grid", "pets.yaml")
    assert refused.returncode == 2
    assert "train/cat.3.jpg: " in refused.stderr
    done = run_study(tmp_path, "run", "--grid", "pets.yaml", "--set", "dataset.skip_bad=true")
    assert done.returncode == 0, done.stderr
    assert "4 image files can't be used and are skipped" in done.stderr
    assert (
        "test: 0.2 (16 of 78 images, stratified by class, by split_seed 0)\nnot read: 1 file (1 .heic)" in done.stderr
    )
    assert load_runs("pets", f"sqlite:///{tmp_path / 'mlflow.db'}")["skipped_images"].tolist() == [4]


def test_prepare_says_what_it_keeps_and_mends_what_was_altered(pets: Path, tmp_path: Path) -> None:
    words = ("data", "prepare", "--grid", "pets.yaml", "--image-size", "20")
    first = run_study(pets, *words, STUDY_CACHE=str(tmp_path))
    assert first.returncode == 0, first.stderr
    assert "58 train, 6 validation, 16 test images of 3x20x20 in 2 classes" in first.stdout
    assert "\ntest: 0.2 (16 of 80 images, stratified by class, by split_seed 0)\n" in first.stdout
    assert f"MiB in {tmp_path}" in first.stdout.replace("\n", "")
    (images,) = tmp_path.glob("*/images.npy")
    content = bytearray(images.read_bytes())
    content[-5] ^= 255
    images.write_bytes(content)
    again = run_study(pets, *words, STUDY_CACHE=str(tmp_path))
    assert "decoded again: 1 images" in again.stdout or images.read_bytes() != bytes(content)
    third = run_study(pets, *words, STUDY_CACHE=str(tmp_path))
    assert "decoded again" not in third.stdout


@pytest.mark.parametrize("words", [("--grid", "pets.yaml"), ("--dataset", "digits", "--augment", "none")])
def test_show_writes_a_picture(pets: Path, tmp_path: Path, words: tuple[str, ...]) -> None:
    done = run_here(pets, "data", "show", *words, "--out", str(tmp_path / "a.png"))
    assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / "a.png") as picture:
        assert min(picture.size) > 500


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["data", "stats"], "name a data set with --dataset or --root"),
        (["data", "stats", "--dataset", "digits", "--grid", "x.yaml"], "name a data set with --dataset or --root"),
        (["data", "stats", "--dataset", "digitz"], "did you mean 'digits'?"),
        (["data", "prepare", "--dataset", "dogs-vs-cats"], "needs the folder of its files"),
        (["data", "prepare", "--dataset", "dogs-vs-cats", "--root", "."], "neither train.zip nor a folder train"),
        (["data", "prepare", "--dataset", "digits", "--image-size", "9"], "'image_size' is for image files"),
        (["data", "show", "--dataset", "digits", "--out", "a.gif"], "ends in .png, .pdf or .svg"),
        (["data", "stats", "--dataset", "digits", "--out", "file/x"], "file/x: Not a directory"),
        (["predict", "--run", "x", "--images", "."], "no study at sqlite:///"),
        (["predict", "--run", "x", "--images", ""], "--images is empty: name what is to be predicted"),
        (["predict", "--run", "x", "--images", ".", "--out", "."], "--out .: a folder; name the file to write"),
    ],
)
def test_bad_input_is_a_line_and_exit_code_2(tmp_path: Path, words: list[str], message: str) -> None:
    (tmp_path / "file").write_text("in the way")
    done = run_here(tmp_path, *words)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_checkpoint_predicts_on_its_own(pets: Path) -> None:
    (checkpoint,) = (pets / "mlruns").rglob("checkpoint/*")
    values = torch.load(checkpoint, weights_only=True)
    assert values["classes"] == ["cat", "dog"]
    assert values["image_shape"] == [3, 16, 16]


ARRAYS = """
name: arrays
dataset: {name: npz, root: digits.npz}
recipe: {epochs: 4, batch_size: 64, lr: 0.05}
grid: {net: [resnet-8], seed: [0]}
"""


def test_an_archive_of_arrays_from_its_statistics_to_predictions(tmp_path: Path) -> None:
    """Digits as an archive: described, trained on, and predicted as they are, as files, and as shards and a table."""
    scans, labels = load_digits(return_X_y=True)
    images = (scans * 255 / 16).round().astype(np.uint8).reshape(-1, 8, 8)
    np.savez(
        tmp_path / "digits.npz",
        x_train=images[:1500],
        y_train=labels[:1500],
        x_test=images[1500:],
        y_test=labels[1500:],
    )
    done = run_study(tmp_path, "data", "stats", "--root", "digits.npz", "--out", "s")
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "s" / "statistics.json").read_text())
    assert (found["images"], found["channels"], found["splits"]["test"]) == (1797, ["grey"], 297)
    assert found["mean"] == pytest.approx([images.mean() / 255], abs=1e-12)
    shown = run_here(tmp_path, "data", "show", "--root", "digits.npz", "--out", str(tmp_path / "a.png"))
    assert shown.returncode == 0, shown.stderr
    (tmp_path / "arrays.yaml").write_text(ARRAYS)
    done = run_study(tmp_path, "run", "--grid", "arrays.yaml")
    assert done.returncode == 0, done.stderr
    assert "test: the images of x_test" in done.stderr
    (run,) = load_runs("arrays", f"sqlite:///{tmp_path / 'mlflow.db'}").itertuples()
    assert (run.status, run.classes, run.test_images) == ("FINISHED", 10, 297)
    (tmp_path / "files").mkdir()
    for row, image in enumerate(images[1500:]):
        Image.fromarray(image).save(tmp_path / "files" / f"{row}.png")
    files = [f"{row}.png" for row in range(297)]
    (tmp_path / "files" / "t.csv").write_text("\n".join(["path", *files]))
    content = [{"bytes": (tmp_path / "files" / name).read_bytes(), "path": name} for name in files]
    parquet.write_table(pyarrow.table({"image": content}), tmp_path / "test.parquet")
    by_place = {
        place: predict(tmp_path, "--run", "resnet-8 seed 0", "--images", place, "--out", "p.csv")
        for place in ("files", "digits.npz", "test.parquet", "files/t.csv")
    }
    predicted = by_place["files"]
    assert np.mean([int(label) == labels[1500 + int(name)] for name, label in predicted[1:]]) > 0.7
    assert by_place["digits.npz"] == by_place["test.parquet"] == predicted
    assert by_place["files/t.csv"][1:] == [[f"{name}.png", label] for name, label in predicted[1:]]
