"""The specification of a run: data set, net, recipe and seed, and the keys by which equal runs are found."""

import hashlib
import json
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from study.config.own_nets import OwnNets
from study.config.recipe import MODIFICATIONS, UNNORMALISED, Recipe, Strict
from study.names import NetName, default_shortcut, is_own, resolve_net

DatasetName = Literal[
    "digits", "cifar10", "cifar100", "fashion-mnist", "dogs-vs-cats", "image-folder", "npz", "parquet", "csv"
]


class DatasetSpec(Strict):
    """Which images, and how they are split."""

    name: DatasetName
    """Source of the images."""
    root: str | None = None
    """Where the images are: a folder, of npz and csv the file; digits has none, CIFAR and Fashion-MNIST a cache."""
    image_size: Annotated[int, Field(ge=4, le=1024)] | None = None
    """Side in pixels of the squares that images are made into (dogs-vs-cats: 64, npz: as they are, others: 32)."""
    resize: Literal["crop", "pad", "stretch"] = "crop"
    """How: short side resized and the centre kept, long side resized and filled up with the mean colour, or both."""
    skip_bad: bool = False
    """Go on without image files that can't be used, and say how many; by default they are an error."""
    test: Annotated[float, Field(gt=0)] = 0.2
    """Part of the images (below 1) or number of them that is the test, where the source has none of its own."""
    validation: Annotated[float, Field(ge=0)] = 0.1
    """Part of the training images (below 1) or number of them (1 and above) held out, never trained on."""
    train_limit: Annotated[int, Field(ge=1)] | None = None
    """Use at most so many training images, an equal share of each class: for reduced runs."""
    test_limit: Annotated[int, Field(ge=1)] | None = None
    """Use at most so many test images, an equal share of each class."""
    split_seed: Annotated[int, Field(ge=0)] = 0
    """Seed of the splits: test part, validation part, images of a limit. An axis under `grid:` too (docs/data.md)."""

    @field_validator("test", "validation")
    @classmethod
    def _whole(cls, value: float) -> float:
        if value >= 1 and value != int(value):
            raise ValueError("a number of images must be whole")
        return value

    def content(self) -> dict[str, Any]:
        """Return the fields that decide which images are used, except those that the data's fingerprint covers."""
        return self.model_dump(exclude={"root", "skip_bad", "test"})


class RunSpec(Strict):
    """One training: a cell of the grid (data set, net, recipe) with a seed."""

    dataset: DatasetSpec
    architecture: Literal["plain", "residual", "vgg"]
    depth: Annotated[int, Field(le=99_999)]
    """As many layers as a net's name can say: of a number without bound, building the net would never end."""
    recipe: Recipe
    seed: Annotated[int, Field(ge=0)]
    own: OwnNets | None = None
    """The source of nets of the user's own, which the recipe's `family` names."""

    @model_validator(mode="after")
    def _has_source(self) -> "RunSpec":
        if is_own(self.recipe.family) != (self.own is not None):
            raise ValueError(f"'family: {self.recipe.family}' and its source don't belong together")
        return self

    @property
    def net(self) -> NetName:
        """The net's name with its family: `str(spec.net)` is `resnet-56`."""
        return resolve_net(self.architecture, self.depth, self.own.family if self.own else self.recipe.family)

    @property
    def shortcut(self) -> Literal["none", "A", "B", "C", "own"]:
        """The shortcut the net really has: none for plain and VGG nets, auto settled by the family."""
        if self.architecture != "residual":
            return "none"
        if self.own:
            return "own"
        if self.recipe.shortcut != "auto":
            return self.recipe.shortcut
        return default_shortcut(self.net.family)

    @property
    def modifications(self) -> dict[str, Any]:
        """The fields in which the net isn't the paper's, with their values."""
        recipe = self.identity()["recipe"]
        return {field: recipe[field] for field in MODIFICATIONS if recipe[field] != Recipe.model_fields[field].default}

    @property
    def repeat(self) -> tuple[int, int]:
        """Which of its cell's runs it is: seed of its split and its own seed."""
        return self.dataset.split_seed, self.seed

    def on_split(self, split_seed: int) -> "RunSpec":
        """Return the same run on another split of the images."""
        return self.model_copy(update={"dataset": self.dataset.model_copy(update={"split_seed": split_seed})})

    def with_recipe(self, **changes: Any) -> "RunSpec":
        """Return the same run with fields of its recipe changed."""
        return self.model_copy(update={"recipe": self.recipe.model_copy(update=changes)})

    def identity(self) -> dict[str, Any]:
        """Return all that decides the result, but for the data's content and the seed, in plain values."""
        recipe = self.recipe.model_dump(mode="json")
        recipe |= {"shortcut": self.shortcut, "family": self.net.family}
        if self.architecture != "residual":  # without shortcuts, these change nothing
            recipe |= {"shortcut_scale": 1.0, "scaling": "none", "preactivation": False}
        if recipe["scaling"] in UNNORMALISED:
            recipe["batch_norm"] = "none"
        elif recipe["batch_norm"] == "shared" and self.recipe.gpus_per_run == 1:
            recipe["batch_norm"] = "per_gpu"  # the same thing as shared
        return {
            "dataset": self.dataset.content(),
            "architecture": self.architecture,
            "depth": self.depth,
            "recipe": recipe,
        }

    def cell_key(self, fingerprint: str) -> str:
        """Return the hash of the cell on this split: the same for all seeds. `fingerprint` is the data's content."""
        return _digest({**self.identity(), "fingerprint": fingerprint})

    def run_key(self, fingerprint: str) -> str:
        """Return the hash of everything that decides this run's result."""
        return _digest({**self.identity(), "fingerprint": fingerprint, "seed": self.seed})


def _digest(value: dict[str, Any]) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:20]
