"""Four launchers on one grid at once, one of them killed: each run and trial is done once."""

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from study.track.frames import load_runs, load_trials
from tests.faults.whole import check_whole
from tests.launch.processes import Launcher, uri, wait_for
from tests.launch.test_two_launchers import done_by

GRID = """
name: g
dataset: {name: digits, train_limit: 300, test_limit: 100}
recipe: {epochs: 4, batch_size: 32, lr: tune, precision: fp32}
tune: {trials: 2, sampler: none, low: 0.01, high: 0.1, confirm: 0}
grid: {net: [plain-8, plain-14, resnet-8, resnet-14], seed: [0, 1]}
"""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def undisturbed(left_alone: Callable[[str], Path]) -> Path:
    return left_alone(GRID)


def test_four_at_once(tmp_path: Path, undisturbed: Path) -> None:
    (tmp_path / "g.yaml").write_text(GRID)
    said = [one.end() for one in [Launcher(tmp_path, f"launcher {i}") for i in range(4)]]
    check_whole(tmp_path, undisturbed)
    counts = [done_by(text) for text in said]
    assert sum(runs for runs, _ in counts) == len(load_runs("g", uri(tmp_path))) == 8
    assert sum(trials for _, trials in counts) == len(load_trials("g", uri(tmp_path))) == 8
    for (runs, _), text in zip(counts, said, strict=True):  # the sum is right for each
        assert runs + int((re.findall(r"(\d+) runs were done before", text) or ["0"])[-1]) == 8
    assert sum(runs + trials > 0 for runs, trials in counts) > 1  # the work was shared


def test_four_of_which_one_dies(tmp_path: Path, undisturbed: Path) -> None:
    (tmp_path / "g.yaml").write_text(GRID)
    launchers = [Launcher(tmp_path, f"launcher {i}") for i in range(4)]
    wait_for(lambda: any(one.says("trial") for one in launchers))
    first = next(one for one in launchers if one.says("trial"))
    first.kill()
    time.sleep(0.5)
    for launcher in launchers:
        if launcher is not first:
            launcher.end()
    check_whole(tmp_path, undisturbed)
