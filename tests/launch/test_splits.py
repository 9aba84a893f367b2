"""A real study of two splits: each run on its own images, rates searched on the first, and a report of both."""

from pathlib import Path

from study.config import parse_grid
from study.data import load_splits
from study.track import tags as tag
from study.track.datasets import load_datasets
from study.track.frames import load_runs, load_trials
from study.track.snapshot import take_snapshot
from tests.conftest import run_here, run_study
from tests.launch.processes import uri

GRID = """
name: g
dataset: {name: digits, train_limit: 200, test_limit: 100}
recipe: {epochs: 1, batch_size: 32, lr: tune, precision: fp32}
tune: {trials: 2, sampler: none, low: 0.01, high: 0.1, confirm: 0}
grid: {net: [plain-8, plain-14], seed: [0, 1], split_seed: [0, 1]}
"""


def test_a_study_of_two_splits(tmp_path: Path) -> None:
    (tmp_path / "g.yaml").write_text(GRID)
    dry = run_study(tmp_path, "run", "--grid", "g.yaml", "--dry-run")
    assert dry.returncode == 0, dry.stderr
    assert "with 2 splits a net, a rise of" in dry.stdout
    assert "left to do: 8 runs and their searches" in dry.stdout
    done = run_study(tmp_path, "run", "--grid", "g.yaml", "--workers", "1")
    assert done.returncode == 0, done.stderr
    assert "8 runs and 4 trials done" in done.stderr
    assert all(f"stratified by class, by split_seed {seed})" in done.stderr for seed in (0, 1))
    assert "4 on 2 splits" in done.stdout
    assert "2 splits of 2 seeds each" in done.stdout

    marks = [data.fingerprint for data in load_splits(parse_grid(GRID, "g.yaml").splits)]
    runs = load_runs("g", uri(tmp_path))
    assert runs.groupby("split_seed")["fingerprint"].unique().map(list).to_dict() == {0: [marks[0]], 1: [marks[1]]}
    assert runs["run_key"].is_unique
    assert set(runs["variant"]) == {""}
    assert runs["name"].is_unique
    assert "plain-8 split 1 seed 0" in set(runs["name"])
    assert runs.groupby("net")["lr"].nunique().max() == 1
    records = take_snapshot("g", uri(tmp_path)).records
    assert {record.digest for record in records if record.kind == "trial"} == {marks[0]}
    assert len({record.tags[tag.CELL] for record in records if record.kind in ("run", "tuning")}) == 2
    assert {record.fingerprint for record in load_datasets("g", uri(tmp_path))} == set(marks)
    assert len(load_trials("g", uri(tmp_path))) == 4

    again = run_study(tmp_path, "run", "--grid", "g.yaml")
    assert "0 runs and 0 trials done, 8 runs were done before" in again.stderr
    assert "of other data" not in again.stderr
    more = run_study(tmp_path, "run", "--grid", "g.yaml", "--set", "grid.split_seed=[0, 1, 2]")
    assert "4 runs and 0 trials done, 8 runs were done before" in more.stderr  # the rates stand
    report = run_here(tmp_path, "report", "--experiment", "g")
    assert report.returncode == 0, report.stderr
    assert (tmp_path / "reports" / "g" / "tables" / "splits.csv").exists()
    assert "exploratory" in report.stdout + report.stderr


def test_a_split_that_changes_nothing_is_refused(tmp_path: Path) -> None:
    for part in ("train", "test"):
        for name in ("ape", "bee"):
            (tmp_path / "tree" / part / name).mkdir(parents=True)
            _draw(tmp_path / "tree" / part / name)
    text = f"name: g\ndataset: {{name: image-folder, root: {tmp_path / 'tree'}, image_size: 8, validation: 0}}\n"
    (tmp_path / "g.yaml").write_text(f"{text}recipe: {{epochs: 1}}\ngrid: {{net: plain-8, split_seed: [0, 1]}}\n")
    done = run_study(tmp_path, "run", "--grid", "g.yaml")
    assert done.returncode == 2
    assert done.stderr.strip().endswith("drop the axis, or set 'validation' or a limit")


def _draw(folder: Path) -> None:
    import numpy as np
    from PIL import Image

    random = np.random.default_rng(len(str(folder)))
    for i in range(3):
        Image.fromarray(random.integers(0, 255, (8, 8, 3), dtype=np.uint8)).save(folder / f"{i}.png")
