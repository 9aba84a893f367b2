"""The real program on real digits: stopped, killed, broken, and started again."""

import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from study.errors import StudyError
from study.launch import run_grid as module
from study.track.frames import load_curves, load_runs, load_trials
from tests.conftest import run_study
from tests.faults.whole import check_whole
from tests.forks import start as start_study
from tests.launch.hold import Hold
from tests.launch.processes import uri, workers

GRID = """
name: g
dataset: {name: digits, train_limit: 400, test_limit: 100}
recipe: {epochs: 4, batch_size: 32, lr: tune, augment: crop-flip, precision: fp32}
tune: {trials: 2, sampler: none, low: 0.01, high: 0.1, confirm: 0}
grid:
  architecture: [plain, residual]
  depth: [8]
  seed: [0, 1]
"""
CURVE = ["architecture", "depth", "seed", "step", "train_error", "train_loss", "test_error", "test_loss", "lr"]


def curves(folder: Path) -> pd.DataFrame:
    return load_curves("g", uri(folder))[CURVE]


def start(folder: Path, *words: str) -> subprocess.Popen[str]:
    return start_study(
        ("run", "--grid", "g.yaml", *words),
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "g.yaml").write_text(GRID)
    return tmp_path


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same grid, left alone, with one worker: results must not depend on their number."""
    folder = tmp_path_factory.mktemp("undisturbed")
    (folder / "g.yaml").write_text(GRID)
    done = run_study(folder, "run", "--grid", "g.yaml", "--workers", "1")
    assert done.returncode == 0, done.stderr
    return folder


def test_a_second_time_does_nothing(undisturbed: Path) -> None:
    before = curves(undisturbed)
    done = run_study(undisturbed, "run", "--grid", "g.yaml")
    assert done.returncode == 0
    assert "0 runs and 0 trials done, 4 runs were done before" in done.stderr
    pd.testing.assert_frame_equal(curves(undisturbed), before)


def test_two_workers_give_the_bits_of_one(folder: Path, undisturbed: Path) -> None:
    """The same seeds in other processes, beside each other and not in turn."""
    done = run_study(folder, "run", "--grid", "g.yaml", "--workers", "2")
    assert done.returncode == 0, done.stderr
    assert "workers: 2 (cpu)" in done.stderr
    check_whole(folder, undisturbed)


def test_a_worker_killed_is_told_and_its_run_goes_on(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Hold(tmp_path_factory.mktemp("hold"), monkeypatch) as hold:
        process = start(folder, "--workers", "1", "--checkpoint-every", "0.1", "--set", "recipe.lr=0.05")
        hold.until_held(1)
        workers(process)[0].kill()
    _, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    assert hold.resumed
    assert "its worker was killed by SIGKILL (out of memory?); it goes on from its last checkpoint" in err
    assert (load_runs("g", uri(folder))["status"] == "FINISHED").all()


def test_divergence_is_a_result_and_not_repeated(folder: Path) -> None:
    words = ("run", "--grid", "g.yaml", "--set", "recipe.lr=1e30", "--set", "recipe.epochs=1")
    done = run_study(folder, *words)
    assert done.returncode == 0, done.stderr
    runs = load_runs("g", uri(folder))
    assert (runs["outcome"] == "diverged").all()
    assert (runs["final_train_error"] == 90.0).all()
    assert "0 runs and 0 trials done, 4 runs were done before" in run_study(folder, *words).stderr


def test_the_error_over_more_views_reaches_mlflow(folder: Path) -> None:
    """Beside the centre's, of a run that finishes and of one that diverges; a mistake in it is told at once."""
    (folder / "g.yaml").write_text(
        "name: g\ndataset: {name: digits, train_limit: 400, test_limit: 100}\n"
        "recipe: {epochs: 6, batch_size: 32, augment: imagenet, test_views: ten-crop}\n"
        "grid: {net: resnet-8, lr: [0.05, 1.0e+30]}\n"
    )
    done = run_study(folder, "run", "--grid", "g.yaml")
    assert done.returncode == 0, done.stderr
    runs = load_runs("g", uri(folder)).set_index("outcome")
    assert set(runs["test_views"]) == {"ten-crop"}
    assert runs.loc["diverged", "final_test_error_views"] == 90.0
    one, ten = runs.loc["finished", ["final_test_error", "final_test_error_views"]]
    assert 0 < ten < 90
    centre = run_study(folder, "run", "--grid", "g.yaml", "--set", "recipe.test_views=center")
    assert centre.returncode == 0, centre.stderr
    runs = load_runs("g", uri(folder)).set_index("test_views")
    assert runs.loc["center", "final_test_error_views"].isna().all()
    assert one in set(runs.loc["center", "final_test_error"])  # the same training, the same centre
    refused = run_study(folder, "run", "--grid", "g.yaml", "--set", "recipe.augment=none")
    assert refused.returncode == 2
    assert "'test_views: ten-crop' needs 'augment: imagenet'" in refused.stderr


def test_a_search_goes_beyond_its_bounds_says_so_and_goes_on_later(folder: Path) -> None:
    """All of its rates are far too small: it stops where it must, and once more is allowed, does more."""
    (folder / "g.yaml").write_text(
        "name: g\ndataset: {name: digits, train_limit: 200, test_limit: 100}\n"
        "recipe: {epochs: 2, batch_size: 32, lr: tune}\n"
        "tune: {trials: 3, sampler: none, low: 1.0e-5, high: 1.0e-4, widen: 1, confirm: 0}\n"
        "grid: {net: plain-8}\n"
    )
    done = run_study(folder, "run", "--grid", "g.yaml")
    assert done.returncode == 0, done.stderr
    assert "after 4 trials, 1 beyond the bounds; still the highest rate tried: widen tune.low and tune.high" in (
        done.stderr
    )
    trials = load_trials("g", uri(folder))
    last = trials.iloc[3]
    assert (last["chosen"], last["edge"], last["low"], last["high"]) == (True, "highest", 1e-5, 1e-4)
    assert last["lr"] == pytest.approx(max(trials["lr"][:3]) * 10**0.5, rel=0.05)
    assert load_runs("g", uri(folder))["lr"].item() == last["lr"]

    done = run_study(folder, "run", "--grid", "g.yaml", "--set", "tune.widen=2")
    assert "1 runs and 1 trials done" in done.stderr
    more = load_trials("g", uri(folder))
    assert list(more["lr"][:4]) == list(trials["lr"])
    assert more["lr"][4] == pytest.approx(last["lr"] * 10**0.5, rel=0.05)
    assert list(more["chosen"]) == [False] * 4 + [True]


@pytest.mark.parametrize("fits", [True, False])
def test_workers_that_share_a_gpu_measure_what_runs_hold(fits: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A net that can't be measured keeps no other from its work."""
    warned: list[str] = []

    def time(*_: Any, progress: object = None) -> list[str]:
        if progress and not fits:
            raise StudyError("the speed of a net can't be measured: out of memory")
        return ["measured" if progress else "as known"]

    monkeypatch.setattr(module, "time_cells", lambda *given: time(progress=given[4] if len(given) > 4 else None))
    monkeypatch.setattr(module, "SpeedCache", lambda *_: None)
    display = SimpleNamespace(warn=warned.append, loading=print)
    plan = SimpleNamespace(cells=[], facts=None)
    for measure, expected in ((True, "measured" if fits else "as known"), (False, "as known")):
        assert module._timed_cells(None, plan, None, display, measure=measure) == [expected]  # type: ignore[arg-type, comparison-overlap]
    assert len(warned) == (not fits)
