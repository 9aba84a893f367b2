"""The grids that come with the program: how many runs each has, of which nets, with which recipe."""

from collections import Counter
from pathlib import Path

import pytest

from study.config import MODIFICATIONS, PROBES, grid_text, load_grid, parse_grid, shipped_grids

ROOT = Path(__file__).resolve().parents[2]


def nets(*depths: int) -> set[str]:
    return {f"{architecture}-{depth}" for architecture in ("plain", "resnet") for depth in depths}


# name: runs, nets, seeds.
SHIPPED = {
    "cifar10-laptop": (20, nets(20, 32, 56), {0, 1}),
    "cifar10-paper": (30, nets(20, 32, 44, 56, 110), {0, 1, 2}),
    "cifar10-quick": (30, nets(20, 32, 44, 56, 110), {0, 1, 2}),
    "cifar100": (30, nets(20, 32, 44, 56, 110), {0, 1, 2}),
    "digits": (50, nets(8, 20, 56), {0, 1, 2, 3, 4}),
    "dogs-vs-cats": (24, nets(20, 32, 44, 56), {0, 1, 2}),
    "fashion-mnist": (30, nets(8, 20, 32, 44, 56), {0, 1, 2}),
    "imagenet-paper": (7, nets(18, 34) | {"resnet-50", "resnet-101", "resnet-152"}, {0}),
}


def test_every_shipped_grid_is_listed_here():
    assert shipped_grids() == sorted([*SHIPPED, "slowness-digits", "why-digits"])


def test_the_grid_that_asks_why_makes_every_probe_and_tries_modifications():
    grid = load_grid("why-digits")
    paper = [spec for spec in grid.runs() if not spec.modifications]
    assert Counter((str(spec.net), spec.seed) for spec in paper) == {
        (net, seed): 1 for net in nets(8, 20, 32, 56) for seed in range(3)
    }
    assert grid.probes is not None
    assert grid.probes.measure == PROBES
    assert grid.probes.points == 41
    assert set(grid.probes.only["surface"]) == {"plain-20", "plain-56", "resnet-56"}
    modifications = {tuple(spec.modifications.items()) for spec in grid.runs()}
    assert len(modifications) == 15  # with none
    assert set().union(*(dict(fields) for fields in modifications)) == set(MODIFICATIONS)
    assert all(
        len({spec.seed for spec in grid.runs() if tuple(spec.modifications.items()) == fields}) == 3
        for fields in modifications
    )


def test_the_grid_that_asks_how_slowly_holds_two_depths_out_and_never_changes_the_rate():
    specs = load_grid("slowness-digits").runs()
    depths = [spec.depth for spec in specs]
    assert Counter(depths) == dict.fromkeys((8, 14, 20, 26, 32, 44, 56, 80, 110), 3)
    assert {str(spec.net) for spec in specs} == {f"plain-{depth}" for depth in depths}
    assert len({spec.recipe for spec in specs}) == 1
    assert (specs[0].recipe.schedule, specs[0].recipe.warmup) == ("constant", 0)


@pytest.mark.parametrize("name", SHIPPED)
def test_runs_and_nets(name):
    runs, expected, seeds = SHIPPED[name]
    grid = load_grid(name)
    specs = grid.runs()
    assert grid.name == name
    assert len(specs) == runs
    # Every net has every seed once, and those that train for longer too have the same seeds.
    once = [spec for spec in specs if spec.recipe.budget == 1]
    assert Counter((str(spec.net), spec.seed) for spec in once) == {(net, s): 1 for net in expected for s in seeds}
    assert {spec.seed for spec in specs} == seeds
    assert len({spec.run_key("data") for spec in specs}) == runs


@pytest.mark.parametrize("name", SHIPPED)
def test_plain_and_residual_nets_of_a_depth_share_one_recipe(name):
    recipes: dict[tuple[int, float], set[str]] = {}
    for spec in load_grid(name).runs():
        recipes.setdefault((spec.depth, spec.recipe.budget), set()).add(spec.recipe.model_dump_json())
    assert all(len(recipe) == 1 for recipe in recipes.values())


@pytest.mark.parametrize(
    ("name", "iterations", "drops"),
    [
        ("cifar10-paper", 64_000, (32_000, 48_000)),
        ("cifar100", 64_000, (32_000, 48_000)),
        ("cifar10-laptop", 3_200, (1_600, 2_400)),
        ("cifar10-quick", 8_000, (4_000, 6_000)),
    ],
)
def test_cifar_recipes_are_the_papers(name, iterations, drops):
    grid = load_grid(name)
    assert grid.dataset.validation == 5000
    for spec in grid.runs():
        recipe = spec.recipe
        assert (recipe.iterations, recipe.epochs, recipe.batch_size) == (iterations, None, 128)
        assert (recipe.lr, recipe.schedule, recipe.milestones, recipe.gamma) == (0.1, "step", drops, 0.1)
        assert (recipe.momentum, recipe.nesterov, recipe.weight_decay) == (0.9, False, 1e-4)
        assert (recipe.augment, recipe.normalize) == ("crop-flip", "pixel-mean")
        # "0.1 is slightly too large to start converging" for 110 layers, and for those alone: 0.01 for 400 iterations.
        assert recipe.warmup == (400 if spec.depth == 110 else 0)
        assert (recipe.warmup_factor, recipe.warmup_shape) == (0.1, "constant")
        # Section 4.2: option A everywhere.
        assert spec.shortcut == ("A" if spec.architecture == "residual" else "none")
        assert spec.net.family == "cifar"


def test_imagenet_recipe_is_the_papers():
    for spec in load_grid("imagenet-paper").runs():
        recipe = spec.recipe
        assert (recipe.epochs, recipe.batch_size, recipe.lr, recipe.gamma) == (120, 256, 0.1, 0.1)
        assert (recipe.weight_decay, recipe.momentum, recipe.augment) == (1e-4, 0.9, "imagenet")
        assert recipe.test_views == "ten-crop"  # of Tables 2 and 3
        assert (recipe.gpus_per_run, recipe.batch_norm) == (1, "per_gpu")
        assert spec.net.family == "imagenet"
        deep = spec.depth >= 50
        assert spec.shortcut == ("none" if spec.architecture == "plain" else "B" if deep else "A")


def test_the_imagenet_grid_says_how_to_use_several_gpus():
    text, _ = grid_text("imagenet-paper")
    assert text.count("  # gpus_per_run: 8 ") == 1
    specs = parse_grid(text.replace("# gpus_per_run: 8 ", "gpus_per_run: 8 "), "g.yaml").runs()
    assert {spec.recipe.gpus_per_run for spec in specs} == {8}


@pytest.mark.parametrize("name", ["digits", "dogs-vs-cats", "fashion-mnist"])
def test_grids_that_tune_every_net(name):
    grid = load_grid(name)
    assert {spec.recipe.lr for spec in grid.runs()} == {"tune"}
    # A test set must never choose a rate, so none is offered.
    assert grid.tune.objective in ("train_loss", "train_error", "validation_error")
    assert 0 < grid.tune.low < 0.1 < grid.tune.high


def test_the_default_grid_is_digits():
    shipped = ROOT / "study" / "grids" / "digits.yaml"
    assert (ROOT / "experiments.yaml").read_bytes() == shipped.read_bytes()


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_grid_by_name_and_as_a_file_are_the_same(name, tmp_path):
    text, shown = grid_text(name)
    assert shown == f"{name}.yaml"
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    assert load_grid(str(path)) == load_grid(name)
