"""The grid that is proposed for a folder of images, and the commands that write and run it."""

import re
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pyarrow import parquet as pq

from study.config import RunSpec, load_grid
from study.errors import StudyError
from study.launch.estimate import SpeedCache
from study.launch.proposal import ITERATIONS, SCALES, Scale, _study_name, fit
from study.train import Speed
from tests.conftest import run_here, run_study


def trainings(scale: Scale) -> int:
    return len(scale.depths) * (scale.seeds + scale.trials)


@given(st.floats(1, 1e6), st.floats(1e-4, 10), st.integers(160, 2000))
def test_what_fits_takes_no_longer(seconds: float, step: float, least: int) -> None:
    def cost(scale: Scale, iterations: int) -> float:
        return 5 + trainings(scale) * iterations * step

    fitting = fit(cost, least, seconds)
    if fitting is None:
        assert min(cost(scale, least) for scale in SCALES) > seconds
        return
    scale, iterations = fitting
    assert cost(scale, iterations) <= seconds
    assert least <= iterations <= ITERATIONS[-1]
    larger = SCALES[: SCALES.index(scale)]
    assert all(cost(other, least) > seconds for other in larger)


@given(st.floats(10, 1e5), st.floats(1, 10))
def test_more_time_gives_no_smaller_study(seconds: float, factor: float) -> None:
    def cost(scale: Scale, iterations: int) -> float:
        return trainings(scale) * iterations * 0.01

    less, more = fit(cost, 160, seconds), fit(cost, 160, factor * seconds)
    assert less is None or (more is not None and SCALES.index(more[0]) <= SCALES.index(less[0]))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with 40 pictures of two classes in `my pets`, on a machine of a known speed."""
    speed = Speed(step=0.01, joined=0.01, image=0.0001, exact=0.0002, start=0.1, memory=400.0)

    def measure(_: SpeedCache, specs: Mapping[str, RunSpec], __: object) -> dict[str, Speed]:
        return dict.fromkeys(specs, speed)

    monkeypatch.setattr(SpeedCache, "measure", measure)
    random = np.random.default_rng(0)
    for label in ("cat", "dog"):
        (tmp_path / "my pets" / label).mkdir(parents=True)
        for i in range(20):
            pixels = random.integers(0, 256, (20, 24, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "my pets" / label / f"{i}.png")
    return tmp_path


def test_init_writes_a_grid_that_can_be_changed_and_run(folder: Path) -> None:
    done = run_here(folder, "init", "my pets", "--minutes", "20")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "my-pets: 2 classes (cat, dog), 29 images to train on, 8 to test with"
    assert lines[1] == "images of 20x20 pixels, in batches of 29"
    assert "few images: of 29 to train on, one is 3.4 points of training error" in done.stderr
    assert lines[-1] == "to begin: study run --grid 'my pets.yaml'"
    grid = load_grid(str(folder / "my pets.yaml"))
    assert (grid.name, grid.points[0].dataset.root, grid.points[0].dataset.image_size) == ("my-pets", "my pets", 20)
    assert max(spec.depth for spec in grid.points) == 56
    again = run_here(folder, "init", "my pets")
    assert (again.returncode, "`study run --grid 'my pets.yaml'`" in again.stderr) == (2, True)


@pytest.mark.parametrize(
    ("source", "path", "side"), [("npz", "pets.npz", 20), ("parquet", "hub", 20), ("csv", "pets.csv", 20)]
)
def test_files_of_images_are_taken_as_folders_are(folder: Path, source: str, path: str, side: int) -> None:
    images = [(name, sorted((folder / "my pets" / name).iterdir())) for name in ("cat", "dog")]
    pixels = [np.asarray(Image.open(file))[:, :20] for _, files in images for file in files]
    names = [name for name, files in images for _ in files]
    np.savez(folder / "pets.npz", x_train=pixels, y_train=[name == "dog" for name in names] * np.ones(40, int))
    rows = [f"{file.relative_to(folder)},{name}" for name, files in images for file in files]
    (folder / "pets.csv").write_text("\n".join(["path,label", *rows]))
    shard = {"image": [{"bytes": file.read_bytes()} for _, files in images for file in files], "label": names}
    (folder / "hub" / "data").mkdir(parents=True)
    pq.write_table(pa.table(shard), folder / "hub" / "data" / "train-00000-of-00001.parquet")
    done = run_here(folder, "init", path, "--minutes", "20")
    assert done.returncode == 0, done.stderr
    grid = load_grid(str(folder / f"{Path(path).stem}.yaml"))
    dataset = grid.points[0].dataset
    assert (grid.name, dataset.name, dataset.root, dataset.image_size) == (Path(path).stem, source, path, side)
    assert "29 images to train on, 8 to test with" in done.stdout.splitlines()[0]


def test_a_dry_run_writes_no_grid(folder: Path) -> None:
    done = run_here(folder, "run", "--data", "my pets", "--minutes", "20", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "nothing was written or started"
    assert sorted(path.name for path in folder.iterdir()) == ["my pets"]


@pytest.mark.parametrize("minutes", ["nan", "inf", "0", "-3", "soon"])
def test_minutes_are_a_number(folder: Path, minutes: str) -> None:
    done = run_here(folder, "init", "my pets", "--minutes", minutes)
    assert (done.returncode, "minutes" in done.stderr, "Traceback" in done.stderr) == (2, True, False)


@pytest.mark.parametrize("name", ["a\nb: [", "a\u2028b", "a'\"b#", "\N{CAT FACE} \u00e9", "a\udcffb", "{x}"])
def test_odd_names_of_folders_stand_in_the_grid(folder: Path, name: str) -> None:
    (folder / "my pets").rename(folder / name)
    done = run_here(folder, "init", name, "--minutes", "20")
    assert done.returncode == 0, done.stderr
    assert load_grid(str(folder / f"{name}.yaml")).points[0].dataset.root == name


@pytest.mark.parametrize(
    ("folder", "study"),
    [
        ("Größe und Art", "Grosse-und-Art"),
        ("my pets (2)", "my-pets-2"),
        ("?!", "images"),
        ("x" * 300, "x" * 90),
        ("猫 photos", "photos-"),
        ("猫", "images-"),
    ],
)
def test_names_of_studies(folder: str, study: str) -> None:
    name = _study_name(folder)
    assert name.startswith(study)
    assert (name == study) is not study.endswith("-")
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name)
    assert name != _study_name(folder.replace("猫", "犬")) or "猫" not in folder


def test_a_folder_that_cannot_be_written_to_is_refused_first(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(place: Path) -> None:
        raise StudyError(f"can't write in {place}")

    monkeypatch.setattr("study.cli.init.check_writable", refuse)
    for words in (("init", "my pets"), ("run", "--data", "my pets")):
        done = run_here(folder, *words)
        assert (done.returncode, done.stdout, done.stderr) == (2, "", f"error: can't write in {folder}\n")


def test_no_name_is_not_the_working_folder(folder: Path) -> None:
    done = run_here(folder, "init", "")
    assert (done.returncode, "the name of the images is empty" in done.stderr) == (2, True)


def test_files_that_cant_be_used_are_skipped_on_demand(folder: Path) -> None:
    (folder / "my pets" / "cat" / "broken.png").write_bytes(b"no image")
    refused = run_here(folder, "init", "my pets", "--minutes", "20")
    assert (refused.returncode, "or go on without them: --skip-bad\n" in refused.stderr) == (2, True)
    done = run_here(folder, "init", "my pets", "--minutes", "20", "--skip-bad")
    assert done.returncode == 0, done.stderr
    assert load_grid(str(folder / "my pets.yaml")).points[0].dataset.skip_bad


def test_a_grid_of_other_images_is_not_taken(folder: Path) -> None:
    (folder / "elsewhere").mkdir()
    shutil.copytree(folder / "my pets", folder / "elsewhere" / "my pets")
    assert run_here(folder, "init", "my pets", "--minutes", "20").returncode == 0
    done = run_here(folder, "run", "--data", "elsewhere/my pets", "--dry-run")
    assert (done.returncode, "my pets.yaml is there already, for images in my pets" in done.stderr) == (2, True)
    (folder / "my pets.yaml").write_text(
        "name: x\ndataset: {name: digits}\nrecipe: {epochs: 1}\ngrid: {net: plain-8}\n"
    )
    done = run_here(folder, "run", "--data", "my pets", "--dry-run")
    assert (done.returncode, "my pets.yaml is there already, for other images" in done.stderr) == (2, True)


def test_images_and_a_grid_are_not_both_named(folder: Path) -> None:
    done = run_here(folder, "run", "--data", "my pets", "--grid", "digits")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].endswith("give either --data or --grid")


def test_too_few_minutes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("study.launch.proposal.ITERATIONS", (10_000, 20_000, 64_000))
    done = run_here(folder, "init", "my pets", "--minutes", "2")
    assert done.returncode == 2
    assert "2 minutes are too few here: the smallest study takes about" in done.stderr.splitlines()[-1]
    assert not list(folder.glob("*.yaml"))


@pytest.mark.parametrize("name", ["nothing", "empty"])
def test_a_folder_without_images(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    done = run_here(tmp_path, "init", name)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: ")
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


@pytest.mark.slow
def test_a_proposed_grid_is_run_and_gone_on_with(folder: Path) -> None:
    assert run_here(folder, "init", "my pets", "--minutes", "20").returncode == 0
    words = ("--set", "grid.depth=8,14", "--set", "grid.seed=0", "--set", "recipe.iterations=2")
    words += ("--set", "recipe.lr=0.05", "--set", "budgets=1", "--workers", "1")
    done = run_study(folder, "run", "--data", "my pets", *words)
    assert done.returncode == 0, done.stderr
    assert "my pets.yaml: made before" in done.stderr
    assert "4 runs and 0 trials done" in done.stderr
    again = run_study(folder, "run", "--data", "my pets", *words)
    assert again.returncode == 0, again.stderr
    assert "4 runs were done before" in again.stderr
