"""Modifications as fields of a recipe: which nets have them, what they are called, and what doesn't fit."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from study.config import MODIFICATIONS, Recipe, RunSpec, parse_grid
from study.errors import GridError
from study.launch.plan.cells import DataFacts, make_cells
from study.train import design_of

GRID = "name: g\ndataset: digits\nrecipe: {epochs: 1}\n"
FACTS = DataFacts("f", 180, 50, 10, (1, 8, 8))
BAD = [
    ("{net: resnet-20, activation: tat}", "resnet-20 has shortcuts, and 'activation: tat' is shaped for plain nets"),
    ("{net: resnet-20, activation: dks}", "is shaped for plain nets"),
    ("{net: vgg-16, preactivation: true}", "vgg-16 is built as it was published: it has no 'preactivation'"),
    ("{net: vgg-16, initialisation: dirac}", "it has no 'initialisation'"),
    ("{net: resnet-20, scaling: fixup, preactivation: true}", "'scaling: fixup' has an order of layers of its own"),
    ("{net: plain-20, shortcut_scale: 1.5}", "'shortcut_scale' should be less than or equal to 1, not 1.5"),
    ("{net: plain-20, initialisation: delta}", "'delta-orthogonal' or 'dirac', not 'delta'"),
    ("{net: plain-20, activation: gelu}", "'relu', 'tanh', 'tat' or 'dks', not 'gelu'"),
]


@pytest.mark.parametrize(("axes", "message"), BAD)
def test_what_does_not_fit_is_said_in_a_line(axes: str, message: str) -> None:
    with pytest.raises(GridError, match=rf"^g\.yaml:4: .*{re.escape(message)}"):
        parse_grid(f"{GRID}grid: {axes}\n", "g.yaml")


def test_the_papers_nets_have_no_variant_among_modifications() -> None:
    text = """
grid: {architecture: [plain, residual], depth: [8]}
include:
  - {architecture: plain, initialisation: [he, orthogonal, dirac]}
  - {architecture: residual, shortcut_scale: [0, 0.5, 1]}
  - {architecture: residual, scaling: skipinit}
  - {architecture: plain, activation: tat, batch_norm: none}
"""
    cells = make_cells(parse_grid(GRID + text, "g.yaml"), FACTS)
    assert [(cell.specs[0].architecture, cell.variant) for cell in cells] == [
        ("plain", ""),
        ("plain", "initialisation=orthogonal"),
        ("plain", "initialisation=dirac"),
        ("residual", "shortcut_scale=0"),
        ("residual", "shortcut_scale=0.5"),
        ("residual", ""),
        ("residual", "scaling=skipinit"),
        ("plain", "batch_norm=none, activation=tat"),
    ]


FIELDS = {
    "shortcut_scale": st.sampled_from([0.0, 0.5, 1.0]),
    "preactivation": st.booleans(),
    "scaling": st.sampled_from(["none", "rezero", "skipinit"]),
    "batch_norm": st.sampled_from(["per_gpu", "none"]),
    "initialisation": st.sampled_from(["he", "dirac"]),
    "activation": st.sampled_from(["relu", "tanh"]),
}
recipes = st.fixed_dictionaries(FIELDS)


def spec(architecture: str, fields: dict[str, object]) -> RunSpec:
    recipe = Recipe(epochs=1, **fields)  # type: ignore[arg-type]
    return RunSpec(dataset={"name": "digits"}, architecture=architecture, depth=8, recipe=recipe, seed=0)  # type: ignore[arg-type]


@given(a=recipes, b=recipes, architecture=st.sampled_from(["plain", "residual"]))
def test_keys_are_equal_where_nets_are(a: dict[str, object], b: dict[str, object], architecture: str) -> None:
    """A plain net has no shortcut to scale and no branch; SkipInit has no batch norm, asked for or not."""
    one, two = spec(architecture, a), spec(architecture, b)
    assert (one.run_key("f") == two.run_key("f")) is (design_of(one) == design_of(two))


def test_every_modification_is_a_field() -> None:
    assert set(FIELDS) == set(MODIFICATIONS) <= set(Recipe.model_fields)
