"""Workers that hang, crash, find no memory, or meet a fault of the machine: contained to their runs."""

from pathlib import Path

import pytest

from study.track.frames import load_runs
from study.track.store import Store
from tests.conftest import run_study
from tests.launch.processes import uri
from tests.launch.sabotage import sabotage

GRID = """
name: g
dataset: {name: digits, train_limit: 300, test_limit: 100}
recipe: {epochs: 1, batch_size: 32, lr: 0.05, precision: fp32}
grid: {net: plain-8, seed: [0, 1, 2, 3, 4, 5, 6, 7]}
"""
FAULTS = '''
import ctypes, os

def once(seed):
    """Whether this is the first time."""
    try:
        (here / f"once-{seed}").touch(exist_ok=False)
    except FileExistsError:
        return False
    return True

def fault(seed):
    import torch
    if seed == 0 and once(0):
        while True:
            ctypes.CDLL(None).pause()  # in the middle of a library, deaf to Python; a signal ends only one pause
    if seed == 1:
        ctypes.string_at(0)
    if seed == 2 and once(2):
        raise OSError(5, "Input/output error", "images.npy")
    if seed == 3:
        torch.empty(1 << 50)
    if seed == 4 and once(4):
        raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")
    if seed == 5:
        raise OSError(5, "Input/output error", "images.npy")
    if seed == 6 and once(6):
        os.kill(os.getpid(), 15)  # somebody ends this worker

def wrap(run):
    whole = run.build_state
    def build(spec, *rest):
        fault(spec.seed)
        return whole(spec, *rest)
    run.build_state = build
'''

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def disturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Every fault in one grid: seed 7 alone is left in peace. Return the folder, and what the program said."""
    folder = tmp_path_factory.mktemp("disturbed")
    (folder / "g.yaml").write_text(GRID)
    path = sabotage(folder, FAULTS)
    words = ("run", "--grid", "g.yaml", "--workers", "2", "--hang-after", "0.5", "--retries", "1")
    done = run_study(folder, *words, PYTHONPATH=path)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    return folder, done.stderr


def log_of(folder: Path, seed: int, name: str) -> str:
    """Return an artifact of a run."""
    run_id = load_runs("g", uri(folder)).set_index("seed").loc[seed, "run_id"]
    return Path(Store("g", uri(folder)).client.download_artifacts(run_id, name)).read_text()


def test_the_rest_of_the_grid_goes_on(disturbed: tuple[Path, str]) -> None:
    runs = load_runs("g", uri(disturbed[0])).set_index("seed")
    assert dict(runs["status"]) == {seed: "FAILED" if seed in (1, 3, 5) else "FINISHED" for seed in range(8)}


@pytest.mark.parametrize(
    ("seed", "cause"),
    [
        (0, "its worker gave no sign of life for"),
        (1, "its worker was killed by SIGSEGV"),
        (2, "OSError: [Errno 5] Input/output error: 'images.npy'"),
        (4, "CUDA error: an illegal memory access was encountered"),
        (5, "OSError: [Errno 5] Input/output error: 'images.npy'"),
    ],
)
def test_what_may_pass_is_tried_again(disturbed: tuple[Path, str], seed: int, cause: str) -> None:
    lines = [line for line in disturbed[1].splitlines() if line.startswith(f"plain-8 seed {seed}:")]
    assert sum(cause in line and "it goes on from its last checkpoint" in line for line in lines) == 1


def test_a_worker_that_is_ended_puts_its_run_away(disturbed: tuple[Path, str]) -> None:
    """Its run goes on in another; that isn't worth a word."""
    assert (disturbed[0] / "once-6").exists()
    assert "plain-8 seed 6: its worker" not in disturbed[1]


@pytest.mark.parametrize(
    ("seed", "cause", "name", "text"),
    [
        (1, "its worker was killed by SIGSEGV", "worker.log", "Fatal Python error: Segmentation fault"),
        (3, "RuntimeError: ", "traceback.txt", "allocate"),
        (5, "OSError: [Errno 5] Input/output error", "traceback.txt", "in fault"),
    ],
)
def test_what_does_not_is_told_with_cause_and_log(
    disturbed: tuple[Path, str], seed: int, cause: str, name: str, text: str
) -> None:
    folder, said = disturbed
    assert f"failed: plain-8 seed {seed}: {cause}" in said
    assert str(load_runs("g", uri(folder)).set_index("seed").loc[seed, "reason"]).startswith(cause)
    assert text in log_of(folder, seed, name)


def test_without_the_faults_the_broken_ones_alone_are_done_again(disturbed: tuple[Path, str]) -> None:
    folder = disturbed[0]
    again = run_study(folder, "run", "--grid", "g.yaml")
    assert again.returncode == 0, again.stderr
    assert "3 runs and 0 trials done, 5 runs were done before" in again.stderr
    assert (load_runs("g", uri(folder))["status"] == "FINISHED").all()
