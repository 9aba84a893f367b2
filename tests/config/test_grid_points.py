"""From axes, `include` and `exclude` to runs."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from study.config import Grid, Recipe, RunSpec, parse_grid
from study.errors import GridError

HEAD = "name: mine\ndataset: digits\nrecipe: {epochs: 2}\n"
AXES = "grid: {architecture: [plain, residual], depth: [8, 20], seed: [0, 1]}\n"


def grid(text: str, *overrides: str) -> Grid:
    return parse_grid(HEAD + text, "g.yaml", overrides)


def shown(parsed: Grid, *fields: str) -> list[tuple[object, ...]]:
    return [(str(spec.net), spec.seed, *(getattr(spec.recipe, field) for field in fields)) for spec in parsed.runs()]


def test_runs_come_in_the_order_of_the_file():
    assert shown(grid(AXES)) == [
        ("plain-8", 0),
        ("plain-8", 1),
        ("plain-20", 0),
        ("plain-20", 1),
        ("resnet-8", 0),
        ("resnet-8", 1),
        ("resnet-20", 0),
        ("resnet-20", 1),
    ]


def test_one_value_is_an_axis_of_one_and_seed_0_the_default():
    assert shown(grid("grid: {architecture: plain, depth: 8}\n")) == [("plain-8", 0)]


def test_nets_by_name():
    assert shown(grid("grid: {net: [plain-20, resnet-18, vgg-16]}\n")) == [
        ("plain-20", 0),
        ("resnet-18", 0),
        ("vgg-16", 0),
    ]


def test_a_value_given_twice_is_one_run():
    assert len(grid("grid: {net: [plain-8, plain8, plain-8], seed: [0, 0]}\n").runs()) == 1


def test_runs_are_a_list_of_its_own():
    parsed = grid(AXES)
    parsed.runs().clear()
    assert len(parsed.runs()) == 8


def test_exclude():
    parsed = grid(AXES + "exclude: [{architecture: plain, depth: 20}, {seed: 1, depth: 8}]\n")
    assert shown(parsed) == [("plain-8", 0), ("resnet-8", 0), ("resnet-20", 0), ("resnet-20", 1)]


def test_exclude_takes_lists():
    parsed = grid(AXES + "exclude: [{architecture: [plain, residual], depth: [20, 56], seed: 1}]\n")
    assert [point for point in shown(parsed) if point[1] == 1] == [("plain-8", 1), ("resnet-8", 1)]
    assert len(parsed.runs()) == 6


@pytest.mark.parametrize("axes", ["net: [plain-8, resnet-8]", "architecture: [plain, residual], depth: 8"])
@pytest.mark.parametrize(
    "entry", ["net: resnet-8", "net: [resnet8]", "architecture: residual", "architecture: residual, depth: 8"]
)
def test_exclude_meets_a_net_however_it_is_spelled(axes, entry):
    assert shown(grid(f"grid: {{{axes}}}\nexclude: [{{{entry}}}]\n")) == [("plain-8", 0)]


def test_exclude_of_milestones():
    axes = "grid: {net: plain-8, milestones: [[0.5, 0.75], [0.25]]}\n"
    assert shown(grid(axes), "milestones") == [("plain-8", 0, (0.5, 0.75)), ("plain-8", 0, (0.25,))]
    assert shown(grid(axes + "exclude: [{milestones: [0.5, 0.75]}]\n"), "milestones") == [("plain-8", 0, (0.25,))]


def test_include_adds_over_the_other_axes():
    parsed = grid(AXES + "include: [{depth: 56, warmup: 5}]\n")
    assert shown(parsed, "warmup")[:8] == [(*point, 0) for point in shown(grid(AXES))]
    assert shown(parsed, "warmup")[8:] == [
        ("plain-56", 0, 5),
        ("plain-56", 1, 5),
        ("resnet-56", 0, 5),
        ("resnet-56", 1, 5),
    ]


def test_include_replaces_the_point_it_meets():
    parsed = grid(AXES + "include: [{architecture: plain, depth: 20, seed: 1, warmup: 5}]\n")
    assert len(parsed.runs()) == 8
    assert [point for point in shown(parsed, "warmup") if point[2]] == [("plain-20", 1, 5)]
    assert ("plain-20", 1, 0) not in shown(parsed, "warmup")


@pytest.mark.parametrize("axes", ["net: [plain-8, resnet-8]", "architecture: [plain, residual], depth: 8"])
def test_include_meets_a_net_however_it_was_spelled(axes):
    parsed = grid(f"grid: {{{axes}}}\ninclude: [{{net: plain-8, warmup: 5}}]\n")
    assert shown(parsed, "warmup") == [("resnet-8", 0, 0), ("plain-8", 0, 5)]


def test_include_comes_after_exclude():
    parsed = grid(AXES + "exclude: [{depth: 20}]\ninclude: [{net: plain-20, seed: 7}]\n")
    assert shown(parsed)[4:] == [("plain-20", 7)]


def test_include_takes_lists():
    parsed = grid(AXES + "include: [{architecture: residual, depth: [32, 56], seed: 0, lr: [0.1, 0.2]}]\n")
    assert shown(parsed, "lr")[8:] == [
        ("resnet-32", 0, 0.1),
        ("resnet-32", 0, 0.2),
        ("resnet-56", 0, 0.1),
        ("resnet-56", 0, 0.2),
    ]


@pytest.mark.parametrize(
    "entries",
    ["[{net: plain-32}, {net: resnet-32}]", "[{net: [plain-32, resnet-32]}]", "[{depth: 32}]"],
)
def test_entries_of_include_dont_displace_each_other(entries):
    parsed = grid(AXES + f"include: {entries}\n")
    assert {point for point in shown(parsed) if "32" in str(point[0])} == {
        ("plain-32", 0),
        ("plain-32", 1),
        ("resnet-32", 0),
        ("resnet-32", 1),
    }


def test_two_recipes_of_one_included_net():
    parsed = grid(AXES + "include: [{net: plain-32, warmup: 1}, {net: plain-32, warmup: 2}]\n")
    assert shown(parsed, "warmup")[8:] == [
        ("plain-32", 0, 1),
        ("plain-32", 1, 1),
        ("plain-32", 0, 2),
        ("plain-32", 1, 2),
    ]


def test_include_takes_milestones_as_one_value():
    parsed = grid("grid: {net: plain-8}\ninclude: [{net: plain-20, milestones: [0.2, 0.4]}]\n")
    assert shown(parsed, "milestones") == [("plain-8", 0, (0.5, 0.75)), ("plain-20", 0, (0.2, 0.4))]


def test_include_alone_brings_the_nets():
    parsed = grid("grid: {seed: [0, 1]}\ninclude: [{net: plain-8}, {architecture: residual, depth: 8, seed: 5}]\n")
    assert shown(parsed) == [("plain-8", 0), ("plain-8", 1), ("resnet-8", 5)]


# A second valid value of every recipe field; a field added to the recipe must be added here.
SECOND = {
    "epochs": "3",
    "iterations": "7",
    "budget": "3",
    "batch_size": "64",
    "optimizer": "sgd",
    "momentum": "0.8",
    "nesterov": "true",
    "weight_decay": "0",
    "lr": "tune",
    "schedule": "cosine",
    "milestones": "[0.1, 0.2]",
    "gamma": "0.2",
    "warmup": "5",
    "warmup_factor": "0.2",
    "warmup_shape": "linear",
    "augment": "crop-flip",
    "normalize": "none",
    "precision": "fp32",
    "gpus_per_run": "2",
    "batch_norm": "shared",
    "deterministic": "true",
    "shortcut": "B",
    "shortcut_scale": "0.5",
    "preactivation": "true",
    "scaling": "rezero",
    "initialisation": "orthogonal",
    "activation": "tanh",
    "width": "2",
    "family": "cifar",
    "evaluate_every": "9",
    "test_views": "ten-crop",
}
FIRST = {"epochs": "2", "iterations": "6", "milestones": "[0.5, 0.75]"}


@pytest.mark.parametrize("field", list(Recipe.model_fields))
def test_any_recipe_field_is_an_axis(field):
    defaults = Recipe(epochs=2).model_dump(mode="json")
    first = FIRST.get(field) or ("null" if defaults[field] is None else str(defaults[field]).lower())
    if field == "shortcut":
        first = "A"
    more = {"test_views": ", augment: imagenet", "batch_norm": ", gpus_per_run: 2"}.get(field, "")
    base = "" if field in ("epochs", "iterations") else f"recipe: {{epochs: 2{more}}}\n"
    # Depth 50, so that family and shortcut decide something too.
    axes = f"grid:\n  net: [resnet-50]\n  {field}: [{first}, {SECOND[field]}]\n"
    parsed = parse_grid(f"name: a\ndataset: digits\n{base}{axes}", "g.yaml")
    values = [getattr(spec.recipe, field) for spec in parsed.runs()]
    # There is one optimiser, so its axis has one value.
    assert len(set(values)) == (1 if field == "optimizer" else 2)
    assert parsed.varying() == ([] if field == "optimizer" else [*(["shortcut"] if field == "family" else []), field])


def test_axes_that_only_make_sense_together():
    text = "name: a\ndataset: digits\ngrid: {net: plain-8, lr: [0.1, 0.2], epochs: [1, 2]}\n"
    assert shown(parse_grid(text, "g.yaml"), "lr", "epochs") == [
        ("plain-8", 0, 0.1, 1),
        ("plain-8", 0, 0.1, 2),
        ("plain-8", 0, 0.2, 1),
        ("plain-8", 0, 0.2, 2),
    ]
    text = "grid: {net: plain-8, nesterov: [true, false], momentum: [0, 0.9]}\n"
    with pytest.raises(GridError, match=r"g.yaml:4: 'nesterov' needs 'momentum' above 0"):
        grid(text)
    assert len(grid(text + "exclude: [{nesterov: true, momentum: 0}]\n").runs()) == 3


def test_1e_3_is_a_number():
    parsed = grid("grid: {net: plain-8, lr: [1e-3, 1E2, 2.e-1, 1e+0], weight_decay: 1e-4}\n")
    assert [spec.recipe.lr for spec in parsed.runs()] == [0.001, 100.0, 0.2, 1.0]
    assert all(spec.recipe.weight_decay == 1e-4 for spec in parsed.runs())


def test_a_plain_net_has_no_shortcut_to_vary():
    parsed = grid("grid: {architecture: [plain, residual], depth: 20, shortcut: [A, B, C]}\n")
    # One plain run, three residual ones.
    assert [(str(spec.net), spec.shortcut) for spec in parsed.runs()] == [
        ("plain-20", "none"),
        ("resnet-20", "A"),
        ("resnet-20", "B"),
        ("resnet-20", "C"),
    ]
    assert parsed.varying() == ["shortcut"]


def test_auto_is_the_option_it_stands_for():
    assert len(grid("grid: {net: resnet-20, shortcut: [auto, A]}\n").runs()) == 1
    assert len(grid("grid: {net: resnet-18, shortcut: [auto, B]}\n").runs()) == 1
    assert len(grid("grid: {net: resnet-18, shortcut: [auto, A]}\n").runs()) == 2


def test_varying_looks_within_a_net():
    # 110 layers have a warm-up of their own, but no net has two recipes: nothing tells cells of one net apart.
    assert grid(AXES + "include: [{depth: 110, warmup: 400}]\n").varying() == []
    assert grid("grid: {net: plain-8, lr: [0.1, 0.2], width: [1, 2], seed: [0, 1]}\n").varying() == ["lr", "width"]


def test_a_data_set_by_its_name_alone():
    short, long = grid(AXES), parse_grid((HEAD + AXES).replace("digits", "{name: digits}"), "g.yaml")
    assert short == long


AXIS_VALUES: dict[str, list[object]] = {
    "architecture": ["plain", "residual"],
    "depth": [8, 14, 20],
    "seed": [0, 1, 2],
    "lr": [0.1, 0.2],
    "warmup": [0, 5],
}


def some(values: list[object]) -> st.SearchStrategy[list[object]]:
    return st.lists(st.sampled_from(values), min_size=1, unique=True)


@given(data=st.data())
@settings(max_examples=60)
def test_number_of_runs_is_that_of_a_plain_count(data):
    extra = data.draw(st.sets(st.sampled_from(["seed", "lr", "warmup"])))
    axes = {key: data.draw(some(AXIS_VALUES[key])) for key in ["architecture", "depth", *sorted(extra)]}
    keys = st.lists(st.sampled_from(list(axes)), min_size=1, unique=True)
    excludes = [
        {key: data.draw(some(AXIS_VALUES[key])) for key in data.draw(keys)} for _ in range(data.draw(st.integers(0, 3)))
    ]
    points = [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]
    left = [p for p in points if not any(all(p[key] in entry[key] for key in entry) for entry in excludes)]
    # JSON is YAML.
    text = f"grid: {as_yaml(axes)}\nexclude: {as_yaml(excludes)}\n"
    if not left:
        with pytest.raises(GridError, match="nothing is left of the grid"):
            grid(text)
        return
    specs = grid(text).runs()
    assert [at(spec, axes) for spec in specs] == left
    assert len({spec.run_key("data") for spec in specs}) == len(left)


def as_yaml(value: object) -> str:
    import json

    return json.dumps(value)


def at(spec: RunSpec, axes: dict[str, list[object]]) -> dict[str, object]:
    return {key: getattr(spec, key) if hasattr(spec, key) else getattr(spec.recipe, key) for key in axes}
