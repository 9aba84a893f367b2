"""The learning-rate search of a cell: how many rates, between which bounds, judged by what."""

from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from study.config.recipe import Positive, Strict

PAPER_RATE = 0.1
"""The rate of sections 3.4 and 4.2: every search that spans it tries it first, so that it can be compared with."""
EXTENDS = ("trials", "shared", "widen", "confirm", "confirm_seeds", "storage")
"""Settings with other values of which a search goes on; with others of the rest it is another search."""
Whole = Annotated[int, Field(ge=0)]
Bounds = Annotated[tuple[Positive, Positive], Field(strict=False)]


class Tune(Strict):
    """A search over log learning rate, the same for every cell of the grid."""

    trials: Annotated[int, Field(ge=1, le=1000)] = 8
    """Rates tried for each cell."""
    low: Positive = 0.001
    """Smallest rate."""
    high: Positive = 1.0
    """Largest rate."""
    shared: Annotated[int, Field(ge=1)] | None = None
    """How many trials are the quasi-random rates that all cells share, before others refine; default half."""
    seeds: Annotated[int, Field(ge=1, le=20)] = 1
    """Seeds trained at each rate: a trial's value is their mean."""
    sampler: Literal["gp", "tpe", "bisect", "none"] = "bisect"
    """What proposes the refining rates; with none, all are shared. Bisect halves the wider gap beside the best rate."""
    pruner: Literal["median", "halving", "wilcoxon", "none"] = "none"
    """What stops a trial: the median at half and three quarters, halving at one and two, wilcoxon after each seed."""
    widen: Annotated[int, Field(ge=0, le=20)] = 4
    """Trials added at most, each half a decade further out, while the best rate is the last one tried on its side."""
    confirm: Annotated[int, Field(ge=0, le=20)] = 0
    """How many of the best rates are trained with further seeds, whose mean chooses between them; with 0 or 1, none."""
    confirm_seeds: Annotated[int, Field(ge=1, le=20)] = 1
    """Further seeds of each of those."""
    fraction: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Training length of a trial as a part of the recipe's, its schedule scaled; below 1, cheaper and less exact."""
    objective: Literal["train_loss", "train_error", "validation_error"] = "train_loss"
    """What the chosen rate minimises at a trial's end: of the whole clean training split, or of held-out images."""
    weight_decay: Bounds | None = None
    """Bounds between which weight decay is searched too, on a logarithmic scale."""
    momentum: Bounds | None = None
    """Bounds (below 1) between which momentum is searched too, on a logarithmic scale of 1 - momentum."""
    warmup: Annotated[tuple[Whole, Whole], Field(strict=False)] | None = None
    """Bounds between which the iterations of warm-up are searched too."""
    warm_start: bool = False
    """Begin a search with what the next shallower net of its kind found; nets are then no longer independent."""
    seed: Annotated[int, Field(ge=0)] = 1000
    """First seed of the trials' weights and data order, apart from the grid's seeds, and seed of the shared rates."""
    storage: str | None = None
    """Optuna's storage, such as postgresql+psycopg2://...; by default `optuna.db` beside MLflow's database."""

    @field_validator("weight_decay", "momentum", "warmup", mode="before")
    @classmethod
    def _two(cls, value: Any) -> Any:
        if value is not None and (not isinstance(value, list | tuple) or len(value) != 2):
            raise ValueError("must be two bounds, such as [low, high]")
        return value

    @field_validator("weight_decay", "momentum", "warmup")
    @classmethod
    def _ordered(cls, value: tuple[float, float] | None, info: ValidationInfo) -> tuple[float, float] | None:
        if value is not None and value[0] >= value[1]:
            raise ValueError("must be two bounds, the smaller first")
        if value is not None and info.field_name == "momentum" and value[1] >= 1:
            raise ValueError("must stay below 1")
        return value

    @model_validator(mode="after")
    def _check(self) -> "Tune":
        if self.low >= self.high:
            raise ValueError("'low' must be below 'high'")
        if self.shared is not None and self.shared > self.trials:
            raise ValueError("'shared' can't be above 'trials'")
        if self.pruner == "wilcoxon" and self.seeds < 5:
            raise ValueError("'pruner: wilcoxon' compares trials seed by seed: it needs 5 'seeds' to tell any apart")
        return self

    @property
    def shared_trials(self) -> int:
        """Number of trials whose rates are the same in every cell."""
        if self.sampler == "none":
            return self.trials
        return self.shared or (self.trials + 1) // 2

    @property
    def further_seeds(self) -> int:
        """Number of trainings of the best rates with further seeds."""
        best = min(self.confirm, self.trials)
        return best * self.confirm_seeds if best > 1 else 0

    @property
    def trainings(self) -> int:
        """Number of trainings of a search that isn't widened and prunes nothing."""
        return self.trials * self.seeds + self.further_seeds

    @property
    def fields(self) -> tuple[str, ...]:
        """The recipe's fields that are searched, the rate first."""
        return ("lr", *(field for field in ("weight_decay", "momentum", "warmup") if getattr(self, field) is not None))
