"""Recipes and the search: lengths, defaults, and a sentence for every field."""

import pytest
from pydantic import ValidationError

from study.config import DatasetSpec, Grid, Recipe, RunSpec, Tune


@pytest.mark.parametrize(
    ("recipe", "images", "iterations"),
    [
        (Recipe(iterations=64_000), 45_000, 64_000),
        (Recipe(epochs=1), 45_000, 351),  # the rest of a pass, 72 images, is dropped
        (Recipe(epochs=2), 256, 4),
        (Recipe(epochs=0.5), 1280, 5),
        (Recipe(epochs=0.001), 1280, 1),
        (Recipe(epochs=3), 100, 3),  # less than a batch is one step a pass
    ],
)
def test_length_in_iterations(recipe, images, iterations):
    assert recipe.total_iterations(images) == iterations


def test_milestones_are_fractions_or_iterations():
    assert Recipe(epochs=1, milestones=(0.5, 1)).milestones == (0.5, 1)
    for bad in (0.0, 0, -3, 1.5, "x"):
        with pytest.raises(ValidationError, match="milestones"):
            Recipe(epochs=1, milestones=(bad,))


@pytest.mark.parametrize(
    ("batch", "gpus", "problem"),
    [
        (100, 8, "'batch_size: 100' can't be shared evenly by 'gpus_per_run: 8'"),
        (8, 8, "'gpus_per_run: 8' needs a 'batch_size' of 2 images for each at least"),
        (16, 0, "gpus_per_run"),
    ],
)
def test_gpus_have_equal_parts_of_a_batch(batch, gpus, problem):
    with pytest.raises(ValidationError, match=problem):
        Recipe(epochs=1, batch_size=batch, gpus_per_run=gpus)
    assert Recipe(epochs=1, batch_size=16, gpus_per_run=8).gpus_per_run == 8


@pytest.mark.parametrize("views", ["ten-crop", "multi-scale"])
def test_views_need_the_augmentation_that_crops(views):
    assert Recipe(epochs=1, augment="imagenet", test_views=views).test_views == views
    for augment in ("none", "crop-flip"):
        with pytest.raises(ValidationError, match=f"'test_views: {views}' needs 'augment: imagenet': with '{augment}'"):
            Recipe(epochs=1, augment=augment, test_views=views)


@pytest.mark.parametrize(
    ("tune", "shared"),
    [
        (Tune(), 4),
        (Tune(trials=1), 1),
        (Tune(trials=4), 2),
        (Tune(trials=8, shared=2), 2),
        (Tune(trials=8, sampler="none"), 8),
    ],
)
def test_shared_trials(tune, shared):
    assert tune.shared_trials == shared


@pytest.mark.parametrize("model", [Recipe, Tune, DatasetSpec])
def test_every_field_has_a_sentence(model):
    # These are the only prose about an option: help and error messages are made from them.
    for name, field in model.model_fields.items():
        assert field.description, name
        assert field.description.endswith("."), name


@pytest.mark.parametrize("model", [Recipe, Tune, DatasetSpec, RunSpec, Grid])
def test_models_are_strict(model):
    assert model.model_config["extra"] == "forbid"
    assert model.model_config["frozen"]
    assert model.model_config["strict"]
