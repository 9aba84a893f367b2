"""What a dry run says of the seeds that a grid has."""

from dataclasses import replace

import numpy as np
import pytest

from study.cli.run import what_it_can_show, with_letter
from study.config import parse_grid
from study.launch.plan.cells import DataFacts, make_cells
from study.launch.run_grid import Plan
from study.track.database import StoredRun
from study.track.tags import FINALS
from study.verdict.rule import Failures, Rule, run_tests, shown_by
from tests.launch.stored_runs import stored_run

FACTS = DataFacts(fingerprint="f", train_images=1000, test_images=100, classes=10, image_shape=(1, 8, 8))


def result(error: float) -> StoredRun:
    run = stored_run("r", "run", "k", "finished", "FINISHED", {})
    return replace(run, params={"split_seed": "0"}, metrics={FINALS[0]: error})


def said(nets: str, seeds: str, errors: dict[str, list[float]] | None = None, rest: str = "") -> str:
    text = f"name: g\ndataset: digits\nrecipe: {{epochs: 1, lr: 0.1}}\ngrid: {{net: [{nets}], seed: [{seeds}]}}\n{rest}"
    grid = parse_grid(text, "g.yaml")
    cells = []
    for cell in make_cells(grid, FACTS):
        values = (errors or {}).get(cell.name, [])
        cells.append(replace(cell, done=tuple(result(value) for value in values)))
    return what_it_can_show(grid, Plan(FACTS, cells, []))


@pytest.mark.parametrize(
    ("nets", "seeds", "points"),
    [("plain-8, plain-14", 2, 6.4), ("plain-8, plain-14", 3, 3.2), ("plain-8, plain-14, plain-20", 3, 3.5)],
)
def test_the_rise_is_shown_by_four_of_five_studies(nets: str, seeds: int, points: float) -> None:
    text = said(f"{nets}, resnet-8", ", ".join(map(str, range(seeds))))
    steady = "that grows with every depth " * ("plain-20" in nets)
    assert text.startswith(
        f"with {seeds} seeds a net, a rise of {points:g} points {steady}is shown in 80% of studies if "
    )
    depths = range(nets.count(",") + 1)
    random, none = np.random.default_rng(0), {depth: Failures("", 0, seeds) for depth in depths}
    shown = 0
    for _ in range(200):
        errors = {depth: random.normal(20 + points * depth / max(depths), 1, seeds) for depth in depths}
        shown += bool(shown_by(run_tests(errors, none, 0.5, 0.05), Rule()))
    assert shown / 200 == pytest.approx(0.8, abs=0.08)


def test_of_several_splits_each_is_one() -> None:
    text = "name: g\ndataset: digits\nrecipe: {epochs: 1, lr: 0.1}\n"
    text += "grid: {net: [plain-8, plain-14], seed: [0, 1], split_seed: [0, 1, 2]}\n"
    grid = parse_grid(text, "g.yaml")
    runs = [replace(result(error), params={"split_seed": split}) for error, split in ((1, "0"), (3, "0"), (2.4, "1"))]
    cells = [replace(cell, done=tuple(runs)) for cell in make_cells(grid, FACTS)]
    words = what_it_can_show(grid, Plan(FACTS, cells, []))
    assert words.startswith("with 3 splits a net, a rise of 1.3 points is shown in 80% of studies if splits spread by ")
    assert "spread by 0.28 points as the runs that are done" in words  # the means 2 and 2.4


def test_plain_nets_alone_decide() -> None:
    """How many seeds others have, and how far they spread, changes nothing."""
    plain = said("plain-8, plain-14", "0, 1, 2")
    fewer = "exclude:\n  - {net: resnet-8, seed: 2}\n"
    wild = {"resnet-8": [0.0, 90.0]}
    assert said("plain-8, plain-14, resnet-8", "0, 1, 2", wild, fewer) == plain
    quiet = said("plain-8, plain-14, resnet-8", "0, 1, 2", {"plain-8": [1.0, 1.2], **wild})
    assert "a rise of 0.88 points is shown in 80% of studies if seeds spread by 0.14 points as the runs" in quiet


def test_nothing_to_compare() -> None:
    for nets in ("plain-8", "plain-8, resnet-8, resnet-14", "resnet-8, resnet-14"):
        assert said(nets, "0, 1") == "no two plain nets differ in depth alone, so there will be no verdict on it"
    assert said("plain-8, plain-14", "0") == "one seed a net gives numbers without a verdict: two or more are needed"


@pytest.mark.parametrize(("number", "text"), [(999, "999"), (1666, "1.67k"), (7.8e6, "7.8M"), (3.9e12, "3.9T")])
def test_numbers_of_all_sizes_are_short(number: float, text: str) -> None:
    assert with_letter(number) == text
