"""What `study run` says of runs that were made otherwise than they would be now."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from study.config import parse_grid
from study.launch.environment import code
from study.launch.plan.cells import Cell, DataFacts, make_cells, plan_cells
from study.launch.plan.stale_runs import stale_run_warnings
from study.track import tags as tag
from study.track.database import StoredRun
from study.track.frames import load_runs
from study.track.store import Store
from tests.conftest import run_study
from tests.launch.processes import uri
from tests.launch.stored_runs import stored_run
from tests.nets.own_nets import own

FACTS = DataFacts(fingerprint="f", train_images=1000, test_images=100, classes=10, image_shape=(1, 8, 8))
GRID = parse_grid(
    "name: g\ndataset: digits\nrecipe: {epochs: 10}\ngrid: {net: [plain-8, plain-14], seed: [0, 1]}\n", "g.yaml"
)
NOW = {tag.CODE: code(), tag.TORCH: torch.__version__, tag.DATA: "f"}


def plan(*made: tuple[str, dict[str, str]]) -> tuple[list[Cell], list[StoredRun]]:
    """Return the grid set against runs of these outcomes, whose tags are those of now but for what is given."""
    specs = [spec for cell in make_cells(GRID, FACTS) for spec in cell.specs]
    records = [
        stored_run(f"r{i}", "run", spec.run_key("f"), outcome, "FINISHED", NOW | tags)
        for i, (spec, (outcome, tags)) in enumerate(zip(specs, made, strict=False))
    ]
    return plan_cells(GRID, FACTS, records), records


def test_runs_made_as_now_are_not_told() -> None:
    assert stale_run_warnings(*plan(("finished", {}), ("diverged", {}), ("interrupted", {})), ["f"]) == []
    assert stale_run_warnings(*plan(), ["f"]) == []


def test_other_code_and_another_pytorch_are_one_line() -> None:
    both = {tag.CODE: "aaa", tag.TORCH: "2.0"}
    found = plan(("finished", {tag.CODE: "aaa"}), ("finished", {}), ("finished", both), ("interrupted", {}))
    assert stale_run_warnings(*found, ["f"]) == [
        f"warning: made by other code (aaa; now {code()}) or with another PyTorch (2.0; now {torch.__version__}): 2 of "
        "4 runs, 0 of them cut off; results stand, what was cut off goes on; "
        "give the grid another name to make all again"
    ]


def test_runs_that_were_cut_off_are_told_apart() -> None:
    cut = ("interrupted", {tag.CODE: "bbb"})
    (line,) = stale_run_warnings(*plan(("finished", {tag.CODE: "aaa"}), ("finished", {}), cut, cut), ["f"])
    assert f"made by other code (aaa / bbb; now {code()}): 3 of 4 runs, 2 of them cut off;" in line
    (line,) = stale_run_warnings(*plan(cut), ["f"])
    assert ": 1 of 1 run, 1 of them cut off;" in line


def test_a_run_that_already_went_on_by_other_code_counts_and_many_values_are_few() -> None:
    (line,) = stale_run_warnings(*plan(("finished", {tag.CODE: f"aaa, {code()}"})), ["f"])
    assert f"(aaa, {code()}; now {code()})" in line
    several = [("finished", {tag.CODE: str(i) * 3}) for i in range(4)]
    (line,) = stale_run_warnings(*plan(*several), ["f"])
    assert "(000 / 111 / 222 and 1 more; now" in line


def test_runs_of_other_data_are_counted() -> None:
    cells, _ = plan()
    other = [stored_run(f"r{i}", "run", f"k{i}", "finished", "FINISHED", NOW | {tag.DATA: "e"}) for i in range(2)]
    trial = stored_run("t", "trial", "k", "finished", "FINISHED", NOW | {tag.DATA: "e"})
    cut = stored_run("c", "run", "k", "interrupted", "KILLED", NOW | {tag.DATA: "e"})
    assert stale_run_warnings(cells, [*other, trial, cut], ["f"]) == [
        "warning: not counted as done, being of other data (e; now f): 2 runs; "
        "give the grid another name to keep them apart"
    ]
    (line,) = stale_run_warnings(cells, other[:1], ["f"])
    assert "of other data (e; now f): 1 run;" in line


def test_runs_of_nets_by_another_source_are_counted(tmp_path: Path) -> None:
    own(tmp_path)
    recipe = f"recipe: {{epochs: 1, family: '{tmp_path}/nets.py:build'}}\n"
    grid = parse_grid(f"name: g\ndataset: digits\n{recipe}grid: {{net: plain-2}}\n", "g.yaml")
    cells = make_cells(grid, FACTS)
    now = str(cells[0].specs[0].net.family)
    other, same = (
        stored_run(f"r{family}", "run", "k", "finished", "FINISHED", NOW | {tag.OWN_NETS: family})
        for family in ("nets.py:build@0", now)
    )
    assert stale_run_warnings(cells, [other, same], ["f"]) == [
        f"warning: not counted as done, being of nets by another source (nets.py:build@0; now {now}): 1 run; "
        "give the grid another name to keep them apart"
    ]
    assert stale_run_warnings(cells, [same], ["f"]) == []


IMAGES = """
name: g
dataset: {name: image-folder, root: ROOT, image_size: 8, validation: 0}
recipe: {epochs: 1, batch_size: 4}
grid: {net: plain-8, seed: [0, 1]}
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a study of a few images, run to its end."""
    folder = tmp_path_factory.mktemp("images")
    draw = np.random.default_rng(0)
    for part in ("train", "test"):
        for name in ("ape", "bee"):
            (folder / "tree" / part / name).mkdir(parents=True)
            for i in range(4):
                pixels = draw.integers(0, 256, (8, 8, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / "tree" / part / name / f"{i}.png")
    (folder / "g.yaml").write_text(IMAGES.replace("ROOT", str(folder / "tree")))
    done = run_study(folder, "run", "--grid", "g.yaml", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stderr
    return folder


def test_code_of_an_earlier_release_is_told_when_a_grid_is_run_again(finished: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(finished, tmp_path / "copy")
    store = Store("g", uri(folder))
    first = next(record for record in store.records() if record.kind == "run")
    store.set_tags(first.run_id, {tag.CODE: "0123456789ab"})
    done = run_study(folder, "run", "--grid", "g.yaml", "--device", "cpu", "--quiet")
    assert done.returncode == 0, done.stderr
    warnings = [line for line in done.stderr.splitlines() if "warning" in line]
    assert warnings == [
        f"warning: made by other code (0123456789ab; now {code()}): 1 of 2 runs, 0 of them cut off; "
        "results stand, what was cut off goes on; give the grid another name to make all again"
    ]


def test_one_pixel_of_one_image_makes_other_runs(finished: Path) -> None:
    before = load_runs("g", uri(finished))
    assert len(before) == 2
    path = finished / "tree" / "train" / "bee" / "2.png"
    pixels = np.asarray(Image.open(path)).copy()
    pixels[3, 4, 0] ^= 1
    Image.fromarray(pixels).save(path)
    done = run_study(finished, "run", "--grid", "g.yaml", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    warnings = [line for line in done.stderr.splitlines() if "warning" in line]
    assert len(warnings) == 1
    assert "of other data" in warnings[0]
    assert ": 2 runs;" in warnings[0]
    assert "2 runs and 0 trials done" in done.stderr
    after = load_runs("g", uri(finished))
    assert len(after) == 4
    assert after["run_key"].is_unique
    assert after["fingerprint"].nunique() == 2


def test_other_splits_of_the_grid_are_no_other_data() -> None:
    cells, records = plan(("finished", {tag.DATA: "f"}), ("finished", {tag.DATA: "g"}))
    assert stale_run_warnings(cells, records, ["f", "g"]) == []
    (line,) = stale_run_warnings(cells, records, ["f", "h"])
    assert line.startswith("warning: not counted as done, being of other data (g; now f / h): 1 run;")
