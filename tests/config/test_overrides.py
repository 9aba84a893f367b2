"""Settings from the command line, put over a grid file before it is checked."""

import re

import pytest

from study.config import load_grid, parse_grid
from study.errors import GridError

TEXT = """\
name: mine
dataset: digits
recipe:
  epochs: 2
tune:
grid:
  architecture: [plain, residual]
  depth:
    - 8
    - 20
"""


def test_a_value_of_the_recipe():
    assert {spec.recipe.lr for spec in parse_grid(TEXT, "g.yaml", ("recipe.lr=1e-2",)).runs()} == {0.01}


def test_a_value_replaces_the_files():
    assert {spec.recipe.epochs for spec in parse_grid(TEXT, "g.yaml", ("recipe.epochs=5",)).runs()} == {5.0}


def test_the_last_setting_counts():
    parsed = parse_grid(TEXT, "g.yaml", ("recipe.lr=1", "recipe.lr=2"))
    assert {spec.recipe.lr for spec in parsed.runs()} == {2.0}


def test_the_file_is_as_it_would_be_with_the_value_in_it():
    assert parse_grid(TEXT, "g.yaml", ("recipe.epochs=3",)) == parse_grid(TEXT.replace("2\n", "3\n", 1), "g.yaml")


@pytest.mark.parametrize(
    ("setting", "runs"),
    [
        ("grid.depth=[8]", 2),
        ("grid.depth=32", 2),
        ("grid.depth=8,20,32", 6),
        ("grid.seed=0, 1, 2", 12),
        ("grid.architecture=plain, residual", 4),
        ("grid.shortcut=A,B", 6),
        ("budgets=1,3", 8),
        ("recipe.milestones=0.3,0.6", 4),
        ("grid.seed=[0, 1, 2]", 12),
        ("grid={net: [plain-8, plain-20, plain-32]}", 3),
        ("exclude=[{depth: 8}]", 2),
        ("include=[{depth: 32}, {net: plain-44}]", 7),
        ("grid.milestones=[0.2, 0.4]", 4),
    ],
)
def test_axes_and_lists(setting, runs):
    assert len(parse_grid(TEXT, "g.yaml", (setting,)).runs()) == runs


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("probes=gradients", ("gradients",)),
        ("probes=gradients, shattering", ("gradients", "shattering")),
        ("probes.measure=gradients,shattering", ("gradients", "shattering")),
        ("probes.only.gradients=plain-8", {"gradients": ("plain-8",)}),
        ("probes.steps=0,50", (0, 50)),
        ("tune.weight_decay=1e-5,1e-3", (1e-5, 1e-3)),
        ("tune.momentum=0.8,0.95", (0.8, 0.95)),
        ("tune.warmup=0,100", (0, 100)),
    ],
)
def test_lists_of_probes_and_of_a_search(setting, value):
    parsed = parse_grid(TEXT, "g.yaml", (setting,))
    path = setting.partition("=")[0]
    section, _, field = ("probes.measure" if path == "probes" else path).partition(".")
    assert getattr(getattr(parsed, section), field.partition(".")[0]) == value


def test_a_data_set_given_by_name_takes_settings():
    parsed = parse_grid(TEXT, "g.yaml", ("dataset.train_limit=100", "dataset.root=some/folder"))
    assert (parsed.dataset.name, parsed.dataset.train_limit, parsed.dataset.root) == ("digits", 100, "some/folder")


@pytest.mark.parametrize("text", [TEXT, TEXT.replace("tune:\n", "")])
def test_an_empty_or_missing_section_takes_settings(text):
    assert parse_grid(text, "g.yaml", ("tune.trials=3",)).tune.trials == 3


def test_the_name():
    assert load_grid("digits", ("name=digits-2",)).name == "digits-2"


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("recipe.lr", "--set recipe.lr: a setting looks like recipe.lr=0.1"),
        ("=5", "--set =5: a setting looks like recipe.lr=0.1"),
        ("recipe..lr=5", "a setting looks like recipe.lr=0.1"),
        ("recipe.lr=[1", "--set recipe.lr=[1: '[1' isn't a YAML value"),
        ("recipe.lr=1: 2", "isn't a YAML value"),
        ("recipe.lr.x.y=1", "--set recipe.lr.x.y=1: 'lr' should be"),
        ("lr=0.1", "--set lr=0.1: unknown key 'lr' (did you mean 'recipe.lr=0.1'?)"),
        ("train_limit=9", "unknown key 'train_limit' (did you mean 'dataset.train_limit=9'?)"),
        ("trials=9", "unknown key 'trials' (did you mean 'tune.trials=9'?)"),
        ("depth=8,20", "unknown key 'depth' (did you mean 'grid.depth=8,20'?)"),
        ("seed=0,1", "unknown key 'seed' (did you mean 'grid.seed=0,1'?)"),
        ("budget=3", "unknown key 'budget' (did you mean 'recipe.budget=3'?)"),
        ("grids=1", "unknown key 'grids' (did you mean 'grid'?)"),
        ("grid.depth=8,x", "--set grid.depth=8,x: 'depth' should be a valid integer, not 'x'"),
        ("grid.seed=0,[", "--set grid.seed=0,[: '0,[' isn't a YAML value"),
        ("name.x=1", "--set name.x=1: 'name' holds a value, not keys"),
        ("grid.depth.x=1", "'grid.depth' holds a value, not keys"),
        # A bad value is the setting's, whatever stands in the file.
        ("recipe.lr=-1", "--set recipe.lr=-1: 'lr' should be greater than 0 or should be 'tune', not -1"),
        ("recipe.epochs=-1", "--set recipe.epochs=-1: 'epochs' should be greater than 0, not -1"),
        ("recipe.epoch=1", "--set recipe.epoch=1: unknown key 'epoch' under 'recipe' (did you mean 'epochs'?)"),
        ("recipes.lr=1", "--set recipes.lr=1: unknown key 'recipes' (did you mean 'recipe'?)"),
        ("tune.trails=3", "--set tune.trails=3: unknown key 'trails' under 'tune' (did you mean 'trials'?)"),
        ("grid.depth=[8, 21]", "--set grid.depth=[8, 21]: no net has depth 21"),
        ("include=[{depht: 32}]", "--set include=[{depht: 32}]: unknown key 'depht' under 'include.0'"),
        ("dataset=cifar", "not 'cifar' (did you mean 'cifar10'?)"),
    ],
)
def test_bad_settings(setting, message):
    with pytest.raises(GridError, match=re.escape(message)):
        parse_grid(TEXT, "g.yaml", (setting,))


def test_a_setting_leaves_the_lines_of_the_rest():
    with pytest.raises(GridError, match=r"^g.yaml:4: 'epochs' should be greater than 0"):
        parse_grid(TEXT.replace("epochs: 2", "epochs: 0"), "g.yaml", ("recipe.lr=1", "grid.seed=[0]"))
