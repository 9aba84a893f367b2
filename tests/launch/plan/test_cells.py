from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from study.config import Grid, parse_grid
from study.errors import StudyError
from study.launch.plan import cells as cells_module
from study.launch.plan.cells import DataFacts, make_cells, plan_cells, search_key, with_rates_from
from study.track import tags as tag
from study.track.database import StoredRun
from study.track.frames import SearchResult
from tests.launch.stored_runs import stored_run
from tests.nets.own_nets import own

FACTS = DataFacts(fingerprint="f", train_images=1000, test_images=100, classes=10, image_shape=(1, 8, 8))


def grid(recipe: str = "{epochs: 10, lr: 0.1}", rest: str = "") -> Grid:
    return parse_grid(
        f"name: g\ndataset: digits\nrecipe: {recipe}\n"
        f"grid:\n  architecture: [plain, residual]\n  depth: [8, 20]\n  seed: [0, 1]\n{rest}",
        "g.yaml",
    )


def record(kind: str, key: str, outcome: str, tags: Mapping[str, str] | None = None) -> StoredRun:
    return stored_run("id-" + key, kind, key, outcome, "FINISHED", {**(tags or {})})


def test_cells_hold_the_seeds_of_a_net() -> None:
    cells = make_cells(grid(), FACTS)
    assert [cell.name for cell in cells] == ["plain-8", "plain-20", "resnet-8", "resnet-20"]
    assert [[spec.seed for spec in cell.specs] for cell in cells] == [[0, 1]] * 4
    assert {cell.variant for cell in cells} == {""}


def test_cost_is_of_the_crops_that_a_net_sees() -> None:
    text = (
        "name: g\ndataset: {name: image-folder, root: ., image_size: 256}\n"
        "recipe: {epochs: 1, augment: imagenet, shortcut: B}\ngrid: {net: [resnet-18], augment: [imagenet, none]}\n"
    )
    facts = DataFacts("f", train_images=1000, test_images=100, classes=1000, image_shape=(3, 256, 256))
    crops, whole = make_cells(parse_grid(text, "g.yaml"), facts)
    assert crops.complexity.multiply_adds == 1_814_073_344  # torchvision's, of 224 pixels
    assert whole.complexity.multiply_adds > 1.3 * crops.complexity.multiply_adds


def test_cost_is_forward_and_twice_as_much_backward() -> None:
    cell = make_cells(grid(), FACTS)[0]
    # 7 full batches of 128 an epoch
    assert cell.run_cost == 3 * cell.complexity.multiply_adds * 70 * 128
    assert cell.trial_cost == 0
    tuned = make_cells(grid("{epochs: 10, lr: tune}", "tune: {fraction: 0.5}\n"), FACTS)[0]
    assert tuned.trial_cost == tuned.run_cost / 2
    seeds = make_cells(grid("{epochs: 10, lr: tune}", "tune: {fraction: 0.5, seeds: 3}\n"), FACTS)[0]
    assert seeds.trial_cost == tuned.trial_cost  # of one seed


def test_variants_name_what_varies() -> None:
    cells = make_cells(grid(rest="  batch_size: [64, 128]\n  width: [1, 2]\n"), FACTS)
    assert [cell.variant for cell in cells[:4]] == [
        "batch_size=64, width=1",
        "batch_size=64, width=2",
        "batch_size=128, width=1",
        "batch_size=128, width=2",
    ]
    assert cells[0].name == "plain-8 (batch_size=64, width=1)"


def test_plain_nets_stand_once_beside_all_options_of_the_shortcut() -> None:
    cells = make_cells(grid(rest="  shortcut: [A, B]\n"), FACTS)
    assert [cell.name for cell in cells if cell.specs[0].architecture == "plain"] == ["plain-8", "plain-20"]
    assert [cell.name for cell in cells if cell.specs[0].depth == 20][1:] == [
        "resnet-20 (shortcut=A)",
        "resnet-20 (shortcut=B)",
    ]


@pytest.mark.parametrize(
    ("outcome", "state"),
    [
        ("finished", "done"),
        ("diverged", "done"),
        ("failed", "continue"),
        ("interrupted", "continue"),
        ("running", "continue"),
    ],
)
def test_what_mlflow_has_is_not_done_again(outcome: str, state: str) -> None:
    g = grid()
    first = g.runs()[0]
    plans = plan_cells(g, FACTS, [record("run", first.run_key("f"), outcome)])
    assert len(plans[0].done) == (state == "done")
    assert [r.outcome for _, r in plans[0].left if r] == ([outcome] if state == "continue" else [])
    assert sum(len(plan.left) for plan in plans) == 8 - (state == "done")


def test_a_result_counts_whatever_else_was_tried() -> None:
    g = grid()
    key = g.runs()[0].run_key("f")
    for records in (
        [record("run", key, "finished"), record("run", key, "failed")],
        [record("run", key, "failed"), record("run", key, "finished")],
    ):
        assert len(plan_cells(g, FACTS, records)[0].done) == 1


def test_other_data_is_another_run() -> None:
    g = grid()
    records = [record("run", spec.run_key("other fingerprint"), "finished") for spec in g.runs()]
    assert not any(plan.done for plan in plan_cells(g, FACTS, records))


def test_a_found_rate_is_used_and_its_runs_are_found() -> None:
    g = grid("{epochs: 10, lr: tune}", "tune: {trials: 8}\n")
    cells = make_cells(g, FACTS)
    found = {tag.CHOSEN: '{"lr": 0.02, "warmup": 5.0}', tag.TRIAL: "8", tag.EDGE: ""}
    run = g.runs()[1].with_recipe(lr=0.02, warmup=5)
    records = [record("tuning", cells[0].search_key, "finished", found), record("run", run.run_key("f"), "finished")]
    plan = plan_cells(g, FACTS, records)[0]
    assert plan.point == {"lr": 0.02, "warmup": 5.0}
    assert [r.key for r in plan.done] == [run.run_key("f")]
    assert [(spec.recipe.lr, spec.recipe.warmup) for spec, _ in plan.left] == [(0.02, 5)]


@pytest.mark.parametrize(
    ("outcome", "trials", "widened", "confirmed", "edge", "known"),
    [
        ("finished", "8", "0", "0", "", True),  # without further seeds, as earlier versions chose
        ("finished", "10", "2", "0", "", True),
        ("finished", "10", "0", "2", "", True),
        ("finished", "4", "0", "0", "", False),
        ("finished", "9", "2", "0", "", False),  # those beyond the bounds come on top of those asked for
        ("finished", "9", "0", "2", "", False),  # and so do further seeds
        ("finished", "12", "4", "0", "highest", True),  # widened as far as is allowed
        ("finished", "10", "2", "0", "highest", False),  # it may be widened further now
        ("interrupted", "8", "0", "0", "", False),
    ],
)
def test_an_unfinished_or_shorter_search_goes_on(
    outcome: str, trials: str, widened: str, confirmed: str, edge: str, known: bool
) -> None:
    g = grid("{epochs: 10, lr: tune}", "tune: {trials: 8, widen: 4}\n")
    cells = make_cells(g, FACTS)
    tags = {tag.CHOSEN: '{"lr": 0.02}', tag.TRIAL: trials, tag.WIDENED: widened, tag.EDGE: edge}
    tags |= {tag.CONFIRMED: confirmed}
    plan = plan_cells(g, FACTS, [record("tuning", cells[0].search_key, outcome, tags)])[0]
    assert (plan.point == {"lr": 0.02}) is known
    assert (plan.search_cost(8) == 0) is known


def test_more_trials_are_the_same_search_other_bounds_are_not() -> None:
    g = grid("{epochs: 10, lr: tune}")
    spec = g.runs()[0]
    key = search_key(spec, g.tune, "f")
    same = {"trials": 99, "shared": 5, "widen": 0, "confirm": 0, "confirm_seeds": 3, "storage": "postgresql://h/x"}
    assert search_key(spec, g.tune.model_copy(update=same), "f") == key
    for change in ({"low": 1e-5}, {"seeds": 3}, {"sampler": "tpe"}, {"momentum": (0.5, 0.9)}, {"warm_start": True}):
        assert search_key(spec, g.tune.model_copy(update=change), "f") != key, change
    assert search_key(g.runs()[1], g.tune, "f") == key  # another seed, the same cell
    assert search_key(g.runs()[-1], g.tune, "f") != key


SPLITS = replace(FACTS, fingerprints={0: "f", 1: "g", 2: "h"})


def test_a_cell_holds_all_splits_and_its_search_is_on_the_first() -> None:
    tuned = "{epochs: 10, lr: tune}"
    alone, several = (make_cells(parsed, SPLITS) for parsed in (grid(tuned), grid(tuned, "  split_seed: [2, 0, 1]\n")))
    assert [cell.name for cell in several] == [cell.name for cell in alone]
    assert {cell.variant for cell in several} == {""}
    assert [spec.repeat for spec in several[0].specs] == [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1)]
    assert [(cell.key, cell.search_key, cell.first) for cell in several] == [
        (cell.key, cell.search_key, cell.first) for cell in alone
    ]
    some = grid(tuned, "  split_seed: [0, 1]\nexclude: [{split_seed: 0, depth: 8}]\n")
    first = make_cells(some, SPLITS)[0]
    assert {spec.dataset.split_seed for spec in first.specs} == {1}
    assert first.first.dataset.split_seed == 0
    assert first.search_key == alone[0].search_key


def test_a_run_is_done_on_its_own_split_alone() -> None:
    parsed = grid(rest="  split_seed: [0, 1]\n")
    spec = next(spec for spec in parsed.runs() if spec.repeat == (1, 0))
    assert SPLITS.run_key(spec) == spec.run_key("g")
    assert not any(plan.done for plan in plan_cells(parsed, SPLITS, [record("run", spec.run_key("f"), "finished")]))
    plan = plan_cells(parsed, SPLITS, [record("run", spec.run_key("g"), "finished")])[0]
    assert len(plan.done) == 1
    assert [left.repeat for left, _ in plan.left] == [(0, 0), (0, 1), (1, 1)]


def test_rates_of_another_study_are_those_of_nets_by_the_same_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own(tmp_path)
    recipe = f"recipe: {{epochs: 1, lr: tune, family: '{tmp_path}/nets.py:build'}}\n"
    tuned = parse_grid(f"name: g\ndataset: digits\n{recipe}grid: {{net: plain-8}}\n", "g.yaml")
    family = tuned.points[0].net.family
    results = [
        SearchResult("plain-8", "none", 1.0, "", {"lr": 0.3}),
        SearchResult("plain-8", "none", 1.0, "", {"lr": 0.1}, family),
    ]
    monkeypatch.setattr(cells_module, "load_search_results", lambda _study: results)
    assert [spec.recipe.lr for spec in with_rates_from(tuned, "other").points] == [0.1]
    results.pop()
    with pytest.raises(StudyError, match=rf"no learning rate for plain-8 by {family}: it has tuned plain-8$"):
        with_rates_from(tuned, "other")
