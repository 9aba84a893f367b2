"""SIGKILL of workers, of the launcher, and of both, at random moments: started again, a grid ends as if undisturbed."""

import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.scale import injections
from tests.faults.whole import check_whole
from tests.launch.processes import Launcher, workers

GRID = """
name: g
dataset: {name: digits, train_limit: 300, test_limit: 100}
recipe: {epochs: 8, batch_size: 16, lr: tune, augment: crop-flip, precision: fp32, evaluate_every: 20}
tune: {trials: 2, sampler: none, low: 0.01, high: 0.1}
grid:
  architecture: [plain, residual]
  depth: [8]
  seed: [0, 1]
"""
WORDS = ("--workers", "2", "--checkpoint-every", "0.5")
TARGETS = ("worker", "worker", "launcher", "both")
"""A worker twice as often: it costs less time to start again."""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def undisturbed(left_alone: Callable[[str], Path]) -> Path:
    return left_alone(GRID)


def disturb(folder: Path, draw: random.Random, limit: int) -> int:
    """Run the grid in `folder`, killing something now and then, until it is done; return how often that was."""
    (folder / "g.yaml").write_text(GRID)
    kills = starts = 0
    while True:
        starts += 1
        launcher = Launcher(folder, f"launcher {starts}", *WORDS)
        while kills < limit and launcher.process.poll() is None:
            time.sleep(draw.uniform(0.1, 2.0))
            target = draw.choice(TARGETS)
            alive = workers(launcher.process)
            if launcher.process.poll() is not None or (target == "worker" and not alive):
                continue
            if target != "worker":
                launcher.process.kill()
            for worker in alive if target == "both" else draw.sample(alive, min(1, len(alive))):
                if target != "launcher":
                    worker.kill()
            kills += 1
        code = launcher.process.wait(timeout=600)
        said = launcher.messages.read_text()
        assert "Traceback" not in said, said
        # 1: a run was killed more often than it is tried again; 2: so were workers, before they began
        assert code in (0, 1, -9) or (code == 2 and "workers end before they begin" in said), said
        if code == 0:
            return kills


def test_killed_at_random_and_started_again(
    undisturbed: Path, tmp_path: Path, record_testsuite_property: Callable[[str, object], None]
) -> None:
    """As many grids as it takes; each must be whole."""
    wanted, done, grids = injections(6, "STUDY_KILLS"), 0, 0
    draw = random.Random(wanted)
    while done < wanted:
        folder = tmp_path / f"grid {grids}"
        folder.mkdir()
        grids += 1
        done += disturb(folder, draw, wanted - done)
        check_whole(folder, undisturbed)
    record_testsuite_property("kills", done)  # for --junitxml
    record_testsuite_property("grids", grids)
