"""A study of the user's own nets as a user runs it: checked before anything is stored, stopped, taken up, used."""

import csv
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from study.track.frames import load_runs
from tests.conftest import run_here, run_study
from tests.faults.whole import check_whole
from tests.forks import start
from tests.launch.hold import Hold
from tests.launch.processes import uri
from tests.nets.own_nets import GOOD

GRID = """
name: g
dataset: {name: digits, train_limit: 300, test_limit: 100}
recipe: {family: nets.py:build, epochs: 8, batch_size: 16, lr: tune, precision: fp32}
tune: {trials: 2, sampler: none, low: 0.01, high: 0.1, confirm: 0}
grid: {net: [plain-2, resnet-2], seed: [0, 1]}
"""
DROPOUT = GOOD.replace(
    ".relu()\n            x =", ".relu()\n            y = nn.functional.dropout(y, 0.1, self.training)\n            x ="
)
"""A function draws random numbers in training, of which no module tells."""
RUN = ("run", "--grid", "g.yaml")


def prepare(folder: Path, source: str = DROPOUT) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "g.yaml").write_text(GRID)
    (folder / "nets.py").write_text(source)
    return folder


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = prepare(tmp_path_factory.mktemp("undisturbed"))
    done = run_study(folder, *RUN, "--workers", "1")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
def test_stopped_edited_and_taken_up_it_gives_the_same_bits(
    tmp_path: Path, undisturbed: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = prepare(tmp_path / "g")
    with Hold(tmp_path_factory.mktemp("hold"), monkeypatch) as hold:
        process = start(
            (*RUN, "--workers", "2", "--checkpoint-every", "0.1"),
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        hold.until_held(2)
        (folder / "nets.py").write_text("raise SystemExit")  # those at work have what they began with
        process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=200)
    assert process.returncode == 130, err
    refused = run_study(folder, *RUN)
    assert refused.returncode == 2
    assert f"{folder}/nets.py:1: SystemExit (in loading nets.py)" in " ".join(refused.stderr.split())
    (folder / "nets.py").write_text(DROPOUT)
    done = run_study(folder, *RUN, "--workers", "2")
    assert done.returncode == 0, done.stderr
    assert hold.resumed
    check_whole(folder, undisturbed)


def test_its_runs_tell_how_they_were_built(undisturbed: Path) -> None:
    runs = load_runs("g", uri(undisturbed))
    assert set(runs["family"].str.partition("@")[0]) == {"nets.py:build"}
    assert set(zip(runs["net"], runs["shortcut"], strict=True)) == {("plain-2", "none"), ("resnet-2", "own")}
    assert set(runs["multiply_adds"]) == {64 * 16 + 2 * 16 * 16 + 16 * 10}
    assert set(runs["parameters"]) == {65 * 16 + 2 * 17 * 16 + 17 * 10}
    sources = list((undisturbed / "mlruns").rglob("artifacts/nets.py"))
    assert [path.read_text() for path in sources] == [DROPOUT] * 4


@pytest.mark.slow
def test_its_report_calls_them_by_their_function(undisturbed: Path, tmp_path: Path) -> None:
    done = run_here(undisturbed, "report", "--out", str(tmp_path / "page"))
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "page" / "index.html").read_text()
    assert "nets.py:build@" in page
    assert "resnet-2" in page


def test_a_run_predicts_with_its_own_source_alone(undisturbed: Path, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 255, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    words = ("predict", "--run", "resnet-2 seed 1", "--images", str(folder), "--out", str(tmp_path / "out.csv"))
    done = run_study(undisturbed, *words)
    assert done.returncode == 0, done.stderr
    with (tmp_path / "out.csv").open() as file:
        assert [row["id"] for row in csv.DictReader(file)] == ["0", "1", "2"]
    many = run_study(undisturbed, *words, "--views", "multi-scale")
    assert (many.returncode, "those of your own take images of one size" in many.stderr) == (2, True)
    source = undisturbed / "nets.py"
    try:
        source.write_text(GOOD)
        refused = run_study(undisturbed, *words)
    finally:
        source.write_text(DROPOUT)
    assert refused.returncode == 2
    assert "nets.py was changed after the run" in " ".join(refused.stderr.split())
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("import torch\n", "import torch, absent_package\n", "nets.py:2: ModuleNotFoundError: No module named"),
        ("depth > 9", "depth > 1", "nets.py:22: depth 2 is above 9 (in building plain-2)"),
        (", generator=generator", "", "first.weight of plain-2 isn't the same for the same seed"),
        ("x + y if", "y if", "plain-2 and resnet-2 compute the same"),
    ],
)
def test_nets_that_cant_be_compared_are_refused_before_anything_is_stored(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    folder = prepare(tmp_path / "g", GOOD.replace(old, new))
    done = run_study(folder, *RUN)
    assert done.returncode == 2
    assert said in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert {path.name for path in folder.iterdir()} == {"g.yaml", "nets.py"}


def test_what_the_check_of_two_images_misses_is_told_once_for_all_runs_with_its_line(tmp_path: Path) -> None:
    folder = prepare(tmp_path / "g", GOOD.replace("x = self.first", "assert len(x) < 3, 'boom'; x = self.first"))
    done = run_study(folder, *RUN, "--workers", "1", "--set", "recipe.lr=0.05")
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("failed: ")]
    assert line == f"failed: plain-2 seed 0 and 3 more: {folder}/nets.py:14: AssertionError: boom"


@pytest.mark.slow
def test_the_ranks_of_a_run_build_it_too(tmp_path: Path) -> None:
    folder = prepare(tmp_path / "g", GOOD)
    changes = ("recipe.gpus_per_run=2", "recipe.lr=0.05", "recipe.epochs=1", "grid.seed=0", "grid.net=plain-2")
    done = run_study(folder, *RUN, *(word for change in changes for word in ("--set", change)))
    assert done.returncode == 0, done.stderr
    assert (load_runs("g", uri(folder))["outcome"] == "finished").all()
