"""Run keys: equal for the same run, different for any other."""

import pytest
from pydantic import ValidationError

from study.config import DatasetSpec, Recipe, RunSpec, parse_grid

OTHER_RECIPE = {
    "epochs": {"epochs": 3},
    "iterations": {"epochs": None, "iterations": 100},
    "budget": {"budget": 3.0},
    "batch_size": {"batch_size": 64},
    "gpus_per_run": {"gpus_per_run": 2},
    "batch_norm": {"gpus_per_run": 2, "batch_norm": "shared"},
    "momentum": {"momentum": 0.8},
    "nesterov": {"nesterov": True},
    "weight_decay": {"weight_decay": 0.0},
    "lr": {"lr": 0.2},
    "schedule": {"schedule": "cosine"},
    "milestones": {"milestones": (0.5,)},
    "gamma": {"gamma": 0.2},
    "warmup": {"warmup": 5},
    "warmup_factor": {"warmup_factor": 0.2},
    "warmup_shape": {"warmup_shape": "linear"},
    "augment": {"augment": "crop-flip"},
    "normalize": {"normalize": "none"},
    "precision": {"precision": "bf16"},
    "deterministic": {"deterministic": True},
    "shortcut": {"shortcut": "A"},
    "shortcut_scale": {"shortcut_scale": 0.5},
    "preactivation": {"preactivation": True},
    "scaling": {"scaling": "rezero"},
    "initialisation": {"initialisation": "orthogonal"},
    "activation": {"activation": "tanh"},
    "width": {"width": 2.0},
    "family": {"family": "cifar"},
    "evaluate_every": {"evaluate_every": 7},
    "test_views": {"augment": "imagenet", "test_views": "ten-crop"},
}
OTHER_DATASET = {
    "name": "cifar10",
    "resize": "pad",
    "image_size": 16,
    "validation": 0.2,
    "train_limit": 100,
    "test_limit": 100,
    "split_seed": 1,
}


def spec(dataset: dict | None = None, recipe: dict | None = None, **changes: object) -> RunSpec:
    values = {"architecture": "residual", "depth": 50, "seed": 0} | changes
    return RunSpec(
        dataset=DatasetSpec(**{"name": "digits"} | (dataset or {})),
        recipe=Recipe(**{"epochs": 2} | (recipe or {})),
        **values,
    )


def test_equal_specs_have_equal_keys():
    assert spec().run_key("data") == spec().run_key("data")
    assert spec().cell_key("data") == spec().cell_key("data")


def test_the_key_is_a_literal():
    # It decides which runs of a study are done, so it must outlive processes, releases and changes to this code.
    # Where a recipe field is added on purpose, old studies start anew: change it here and say so in the changelog.
    assert spec().run_key("data") == "2fdad310c0459896da81"
    assert spec().cell_key("data") == "f5ba08cec200d69494a3"


def test_every_field_has_its_case():
    # There is one optimiser, so no other value of it; what the others decide, the fingerprint of the data says.
    assert OTHER_RECIPE.keys() | {"optimizer"} == Recipe.model_fields.keys()
    assert OTHER_DATASET.keys() | {"root", "skip_bad", "test"} == DatasetSpec.model_fields.keys()


@pytest.mark.parametrize("field", OTHER_RECIPE)
def test_any_recipe_field_changes_the_keys(field):
    other = spec(recipe=OTHER_RECIPE[field])
    assert other.run_key("data") != spec().run_key("data")
    assert other.cell_key("data") != spec().cell_key("data")


@pytest.mark.parametrize("field", OTHER_DATASET)
def test_any_field_of_the_data_changes_the_keys(field):
    other = spec(dataset={field: OTHER_DATASET[field]})
    assert other.run_key("data") != spec().run_key("data")
    assert other.cell_key("data") != spec().cell_key("data")


@pytest.mark.parametrize("change", [{"architecture": "plain"}, {"depth": 18}])
def test_the_net_changes_the_keys(change):
    assert spec(**change).run_key("data") != spec().run_key("data")
    assert spec(**change).cell_key("data") != spec().cell_key("data")


def test_the_content_of_the_data_changes_the_keys():
    assert spec().run_key("other") != spec().run_key("data")
    assert spec().cell_key("other") != spec().cell_key("data")


def test_a_seed_is_another_run_of_the_same_cell():
    assert spec(seed=1).run_key("data") != spec().run_key("data")
    assert spec(seed=1).cell_key("data") == spec().cell_key("data")
    assert spec().run_key("data") != spec().cell_key("data")


def test_where_the_data_lies_changes_nothing():
    moved = spec(dataset={"root": "/elsewhere"})
    assert moved.run_key("data") == spec().run_key("data")
    assert moved.cell_key("data") == spec().cell_key("data")


def test_a_default_written_out_changes_nothing():
    assert spec(recipe={"shortcut": "B"}).run_key("data") == spec().run_key("data")
    assert spec(recipe={"family": "imagenet"}).run_key("data") == spec().run_key("data")
    assert spec(recipe={"epochs": 2.0, "momentum": 0.9}).run_key("data") == spec().run_key("data")


def test_statistics_are_shared_with_nobody_on_one_gpu():
    assert spec(recipe={"batch_norm": "shared"}).run_key("data") == spec().run_key("data")


@pytest.mark.parametrize("shortcut", ["A", "B", "C"])
@pytest.mark.parametrize("net", [("plain", 20), ("vgg", 16)])
def test_a_net_without_shortcuts_has_one_key(net, shortcut):
    architecture, depth = net
    plain = spec(architecture=architecture, depth=depth)
    assert spec(architecture=architecture, depth=depth, recipe={"shortcut": shortcut}).run_key("") == plain.run_key("")


def test_the_grids_name_and_its_tuning_are_no_part_of_the_key():
    text = "name: {}\ndataset: digits\nrecipe: {{epochs: 2}}\ntune: {{trials: {}}}\ngrid: {{net: plain-8}}\n"
    one, two = (parse_grid(text.format(*values), "g.yaml").runs()[0] for values in (("a", 3), ("b", 4)))
    assert one.run_key("data") == two.run_key("data")


def test_with_recipe():
    tuned = spec(recipe={"lr": "tune"}).with_recipe(lr=0.05)
    assert tuned == spec(recipe={"lr": 0.05})
    assert tuned.run_key("data") == spec(recipe={"lr": 0.05}).run_key("data")


def test_a_spec_survives_json():
    # Workers and checkpoints get specs as JSON.
    before = spec(recipe={"milestones": (0.5, 32000), "lr": "tune"})
    after = RunSpec.model_validate_json(before.model_dump_json())
    assert after == before
    assert after.run_key("data") == before.run_key("data")


@pytest.mark.parametrize("field", ["seed", "depth", "recipe"])
def test_specs_are_frozen(field):
    with pytest.raises(ValidationError, match="frozen"):
        setattr(spec(), field, getattr(spec(), field))
