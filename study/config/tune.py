"""The learning-rate search of a cell: how many rates, between which bounds, judged by what."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from study.config.recipe import Positive, Strict


class Tune(Strict):
    """A search over log learning rate, the same for every cell of the grid."""

    trials: Annotated[int, Field(ge=1, le=1000)] = 8
    """Rates tried for each cell."""
    low: Positive = 0.001
    """Smallest rate."""
    high: Positive = 1.0
    """Largest rate."""
    shared: Annotated[int, Field(ge=1)] | None = None
    """How many trials are the quasi-random rates that all cells share, before others refine; default three quarters."""
    sampler: Literal["tpe", "none"] = "tpe"
    """What proposes the refining rates; with none, all rates are shared."""
    pruner: Literal["median", "none"] = "median"
    """At half and three quarters, stop a trial whose running training loss is above the median of the cell's others."""
    fraction: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Training length of a trial as a part of the recipe's, its schedule scaled; below 1, cheaper and less exact."""
    objective: Literal["train_loss", "train_error", "validation_error"] = "train_loss"
    """What the chosen rate minimises at a trial's end: of the whole clean training split, or of held-out images."""
    seed: Annotated[int, Field(ge=0)] = 1000
    """Seed of the trials' weights and data order, apart from the grid's seeds, and of the shared rates."""

    @model_validator(mode="after")
    def _check(self) -> "Tune":
        if self.low >= self.high:
            raise ValueError("'low' must be below 'high'")
        if self.shared is not None and self.shared > self.trials:
            raise ValueError("'shared' can't be above 'trials'")
        return self

    @property
    def shared_trials(self) -> int:
        """Number of trials whose rates are the same in every cell."""
        if self.sampler == "none":
            return self.trials
        return self.shared or max(1, round(0.75 * self.trials))
