from dataclasses import replace
from pathlib import Path

import pytest

from study.config import Grid, RunSpec, parse_grid
from study.errors import StudyError
from study.launch.estimate import (
    PRUNED,
    RUN_SECONDS,
    WORKER_SECONDS,
    SpeedCache,
    estimate,
    run_seconds,
    time_cells,
)
from study.launch.executors.devices import Workers
from study.launch.plan.cells import Cell, DataFacts, plan_cells
from study.probe.prober import SURFACES
from study.probe.work import GRADIENT
from study.train import Speed

FACTS = DataFacts("f", train_images=1000, test_images=100, classes=10, image_shape=(1, 8, 8), validation_images=50)
TWO = Workers([("cpu",), ("cpu",)], 1, 1)
SPEED = Speed(step=0.1, joined=0.08, image=0.001, exact=0.002, start=0.5, memory=400.0)


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDY_CACHE", str(tmp_path / "cache"))


def grid(recipe: str = "{epochs: 2, batch_size: 100, lr: 0.1}", seeds: str = "[0, 1]", more: str = "") -> Grid:
    axes = f"{{architecture: [plain, residual], depth: [8, 14], seed: {seeds}}}"
    return parse_grid(f"name: g\ndataset: digits\nrecipe: {recipe}\n{more}\ngrid: {axes}\n", "g.yaml")


def plans(one: Grid) -> list[Cell]:
    return plan_cells(one, FACTS, [])


def timed(one: Grid) -> list[Cell]:
    cache = SpeedCache(TWO, FACTS)
    made = plans(one)
    cache.save({cache.key(plan.specs[0]): SPEED for plan in made})
    return time_cells(made, cache, FACTS, one)


def test_a_run_is_its_steps_and_evaluations() -> None:
    spec = grid().runs()[0]
    evaluations = 2 * 150 + 1000 + 50 + 100  # two epochs of test and validation, then training, validation, test
    expected = 0.5 + 20 * 0.1 + evaluations * 0.001 + RUN_SECONDS
    assert run_seconds(spec, SPEED, FACTS, joined=False) == pytest.approx(expected)
    assert run_seconds(spec, SPEED, FACTS, joined=True) == pytest.approx(expected - 20 * 0.02)
    often = spec.with_recipe(evaluate_every=5, augment="crop-flip")  # four points, and training images twice
    more = 2 * 150 + 1000
    assert run_seconds(often, SPEED, FACTS, joined=False) == pytest.approx(expected + more * 0.001)


def test_the_whole_is_shared_out_among_workers() -> None:
    one = grid()
    cells = timed(one)
    run = cells[0].run_cost
    whole = estimate(cells, FACTS, one.tune, TWO)
    assert sum(whole.cells) == pytest.approx(8 * run)
    assert whole.seconds == pytest.approx(4 * run + WORKER_SECONDS)
    alone = estimate(cells, FACTS, one.tune, Workers([("cpu",)], 1, 1))
    assert alone.seconds == pytest.approx(8 * run + WORKER_SECONDS)
    crowd = estimate(cells, FACTS, one.tune, Workers([("cpu",)] * 100, 1, 1))
    assert crowd.seconds == pytest.approx(run + WORKER_SECONDS)  # no run is split
    assert crowd.memory > whole.memory > alone.memory > 400
    assert crowd.gpu == 0
    assert whole.disk == alone.disk > 8 * 8 * cells[0].complexity.parameters


def test_probes_cost_what_their_work_does() -> None:
    without, probed = grid(), grid(more="probes: {measure: [gradients, surface], points: 11}")
    run = timed(without)[0].run_cost
    cells = timed(probed)
    slopes = 256 * 4 * GRADIENT * SPEED.exact  # at iterations 0, 1, 10 and the end
    surfaces = len(SURFACES) * 256 * 11**2 * SPEED.exact
    for plan in cells:
        first, second = plan.specs
        assert plan.cost_of(first) == pytest.approx(run + slopes + surfaces)
        assert plan.cost_of(second) == pytest.approx(run + slopes)
    whole = estimate(cells, FACTS, probed.tune, TWO)
    assert sum(whole.cells) == pytest.approx(8 * (run + slopes) + 4 * surfaces)
    crowd = estimate(cells, FACTS, probed.tune, Workers([("cpu",)] * 100, 1, 1))
    assert crowd.seconds == pytest.approx(run + slopes + surfaces + WORKER_SECONDS)


def test_a_construction_costs_the_training_of_what_is_built() -> None:
    one = grid(more="probes: {measure: [construction], rates: [1.0], noise: [0.0], continuation: 1}")
    costs = {str(plan.specs[0].net): plan.probe_costs for plan in timed(one)}
    assert costs["plain-8"][0, 0] > 20 * SPEED.step * (1 + 11 / 5)  # itself, and plain-14: 11 whole layers to 5
    assert costs["resnet-14"][0, 0] == 0  # nothing is built of it


def test_searches_cost_what_their_trials_do() -> None:
    free = grid(
        "{epochs: 2, batch_size: 100, lr: tune}", more="tune: {trials: 4, sampler: none, pruner: none, confirm: 2}"
    )
    cells = timed(free)
    whole = estimate(cells, FACTS, free.tune, TWO)
    run = cells[0].run_cost
    assert sum(whole.cells) == pytest.approx(4 * (4 + 2 + 2) * run)
    without = estimate(cells, FACTS, free.tune.model_copy(update={"confirm": 0}), TWO)
    assert sum(without.cells) == pytest.approx(4 * (4 + 2) * run)
    pruned = estimate(cells, FACTS, free.tune.model_copy(update={"pruner": "median"}), TWO)
    assert sum(pruned.cells) == pytest.approx(4 * (4 * PRUNED + 2 + 2) * run)


def test_what_is_done_costs_nothing() -> None:
    one = grid()
    cells = timed(one)
    done = [replace(cell, left=()) for cell in cells]
    nothing = estimate(done, FACTS, one.tune, TWO)
    assert (nothing.seconds, nothing.disk) == (0, 0)
    assert nothing.cells == (0, 0, 0, 0)


def test_an_unknown_speed_leaves_multiply_adds() -> None:
    one = grid()
    made = plans(one)
    assert time_cells(made, SpeedCache(TWO, FACTS), FACTS, one) == made


def test_a_speed_is_that_of_runs_that_differ_in_rate_seed_and_length_alone() -> None:
    cache = SpeedCache(TWO, FACTS)
    spec = grid().runs()[0]
    key = cache.key(spec)
    same = [
        spec.with_recipe(lr=0.3),
        spec.with_recipe(epochs=None, iterations=7),
        spec.model_copy(update={"seed": 9}),
        spec.with_recipe(schedule="cosine"),
    ]
    assert {cache.key(one) for one in same} == {key}
    other: list[RunSpec] = [
        spec.with_recipe(batch_size=64),
        spec.with_recipe(width=2.0),
        spec.with_recipe(augment="crop-flip"),
        spec.with_recipe(precision="bf16"),
        spec.model_copy(update={"depth": 20}),
        spec.model_copy(update={"architecture": "residual"}),
    ]
    assert len({key, *(cache.key(one) for one in other)}) == len(other) + 1
    assert SpeedCache(Workers([("cpu",)], 1, 1), FACTS).key(spec) != key
    assert SpeedCache(TWO, replace(FACTS, image_shape=(3, 8, 8))).key(spec) != key


def test_speeds_are_measured_by_workers_and_kept() -> None:
    workers = Workers([("cpu",)], 1, 1)
    one = parse_grid(
        "name: g\ndataset: {name: digits, train_limit: 200, test_limit: 50}\nrecipe: {epochs: 1, lr: 0.1}\n"
        "grid: {net: [plain-8]}\n",
        "g.yaml",
    )
    told = []
    cache = SpeedCache(workers, FACTS)
    found = time_cells(plans(one), cache, FACTS, one, lambda what, share: told.append((what, share)))
    assert all(cell.speed and cell.speed.step > 0 for cell in found)
    assert told[-1] == ("measuring speeds", 1.0)
    assert time_cells(plans(one), SpeedCache(workers, FACTS), FACTS, one) == found


@pytest.mark.parametrize("text", ["", "[1]", '{"k": 3}', '{"k": {"step": 1}}'])
def test_a_damaged_book_is_an_empty_one(text: str, tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "speed.json").write_text(text)
    assert SpeedCache(TWO, FACTS).known() == {}


def test_a_net_that_can_not_be_trained_is_an_error() -> None:
    spec = grid().runs()[0].model_copy(update={"dataset": None})
    with pytest.raises(StudyError, match="can't be measured: AttributeError"):
        SpeedCache(Workers([("cpu",)], 1, 1), FACTS).measure({"k": spec}, lambda *_: None)
