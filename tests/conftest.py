"""What several tests share: small real data, a place of one's own for MLflow, and one finished study."""

import os
import shutil
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import nullcontext, redirect_stderr, redirect_stdout
from importlib import import_module
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock
from hypothesis import settings

from study.cli.app import main
from tests import databases
from tests.forks import start
from tests.train.pair import Pair

settings.register_profile("untimed", deadline=None)  # how long an example takes is the machine's business
settings.load_profile("untimed")

if TYPE_CHECKING:
    from selenium.webdriver import Chrome as WebDriver

SMALL_STUDY = """
name: small
dataset: {name: digits, train_limit: 400, test_limit: 100}
recipe: {epochs: 3, batch_size: 64, lr: tune}
tune: {trials: 4, shared: 3, confirm: 2, low: 0.01, high: 0.3}
grid:
  architecture: [plain, residual]
  depth: [8, 14]
  seed: [0, 1]
"""

BROWSER_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Compute on one thread, as a worker does on a CPU: sums are taken in one order, and nets this small run faster."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session", autouse=True)
def _settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the user's own MLflow, caches and terminal out of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.setenv("STUDY_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("NO_COLOR", "1")
        patch.setenv("COLUMNS", "160")
        yield


def run_study(folder: Path, *words: str, hook: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the program in a folder, as a user does; `hook` is for `tests.forks.start`."""
    process = start(
        words,
        hook=hook,
        cwd=folder,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            out, err = process.communicate(timeout=300)
        finally:
            process.kill()
    return subprocess.CompletedProcess(words, process.returncode, out, err)


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a temporary folder that all processes of the tests have in common."""
    folder = tmp_path_factory.getbasetemp()
    return folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder


Made = Callable[[str, str, tuple[str, ...]], Path]


@pytest.fixture(scope="session")
def _made(shared_folder: Path) -> Made:
    """Return what runs a grid, under a file's name and with more words: once for all tests, whatever their process."""

    def made(grid: str, name: str, words: tuple[str, ...]) -> Path:
        folder = shared_folder / f"made-{zlib.crc32(repr((grid, words)).encode()):08x}"
        with FileLock(f"{folder}.lock"):
            if not (folder / "done").exists():
                folder.mkdir(exist_ok=True)
                (folder / name).write_text(grid)
                done = run_study(folder, "run", "--grid", name, *words)
                assert done.returncode == 0, done.stderr + done.stdout
                (folder / "done").touch()
        return folder

    return made


@pytest.fixture(scope="session")
def left_alone(_made: Made) -> Callable[[str], Path]:
    """Return what runs a grid with nothing to disturb it; not to be written to."""
    return lambda grid: _made(grid, "g.yaml", ("--workers", "2"))


def run_here(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the program in a folder, but in this process: for commands that end at once, after seconds of imports.

    Figures of a report are sketches: drawing them takes most of its time.
    """
    out, err = StringIO(), StringIO()
    figures = import_module("tests.report.sketches").sketches() if words[:1] == ("report",) else nullcontext()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err), figures:
        patch.chdir(folder)
        patch.setattr(sys, "argv", ["study", *words])
        for name, value in {"DO_NOT_TRACK": "true", "MPLBACKEND": "agg"}.items():  # `main` sets them for good
            patch.setenv(name, value)
        with pytest.raises(SystemExit) as ended:
            main()
    return subprocess.CompletedProcess(words, int(ended.value.code or 0), out.getvalue(), err.getvalue())


@pytest.fixture(scope="session")
def copied_tables(shared_folder: Path) -> None:
    """Copy the tables of new databases of MLflow in this process."""
    databases.copy_tables(shared_folder / "tables.db")


@pytest.fixture(scope="session")
def _new_database(tmp_path_factory: pytest.TempPathFactory, copied_tables: None) -> Path:
    from study.track.client import connect  # takes seconds to import, and most tests need no MLflow

    path = tmp_path_factory.mktemp("new") / "mlflow.db"
    connect(f"sqlite:///{path}")
    return path


@pytest.fixture
def database(tmp_path: Path, _new_database: Path) -> str:
    """The address of a database of this test's own, as MLflow has just made it: a copy, since that takes seconds."""
    shutil.copy(_new_database, tmp_path / "mlflow.db")
    return f"sqlite:///{tmp_path / 'mlflow.db'}"


@pytest.fixture(scope="session")
def small_study(_made: Made) -> Path:
    """The folder of a finished study, tuned and trained by the real program; not to be written to."""
    return _made(SMALL_STUDY, "small.yaml", ())


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Two processes that train one net."""
    made = Pair(tmp_path_factory.mktemp("pair"))
    yield made
    made.close()


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator["WebDriver"]:
    """Chromium, driven by Selenium; the test is skipped where there is none."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    chromium, driver_path = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver_path:
        pytest.skip("no browser: the programs chromium and chromedriver (Debian: chromium, chromium-driver) are needed")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*BROWSER_FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('browser')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SE_OFFLINE", "true")  # Selenium looks for no driver of its own
        patch.setenv("SE_AVOID_STATS", "true")
        driver = webdriver.Chrome(options=options, service=Service(executable_path=driver_path, env=dict(os.environ)))
    yield driver
    driver.quit()
