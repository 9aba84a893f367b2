"""Check which runs can be used: tags can be edited in MLflow's pages, and other programs may have put runs there."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FiniteFloat,
    Json,
    Strict,
    ValidationError,
)

from study.errors import printable
from study.names import Architecture
from study.track import tags as tag
from study.track.database import StoredRun

SHOWN = 60
"""Maximal characters of a value in a line."""
LARGEST = 2**63 - 1


def _rising(bounds: tuple[float, float]) -> tuple[float, float]:
    if not 0 < bounds[0] <= bounds[1]:
        raise ValueError("the first should be above 0 and at most the second")
    return bounds


Int = Annotated[int, BeforeValidator(int)]
"""A whole number as Python reads it: pydantic takes `8.0` too."""
Whole = Annotated[Int, Field(ge=0, le=LARGEST)]
Count = Annotated[Whole, BeforeValidator(lambda value: value or 0)]
Number = Annotated[FiniteFloat, Strict()]
"""In JSON, where a text isn't one."""
Bounds = Annotated[tuple[Number, Number], AfterValidator(_rising)]
Outcome = Literal["running", "finished", "diverged", "pruned", "failed", "interrupted"]


class Point(BaseModel):
    """Hyper-parameters that a search tries, with the same checks as a recipe's."""

    model_config = ConfigDict(extra="forbid")

    lr: Annotated[Number, Field(gt=0)]
    weight_decay: Annotated[Number, Field(ge=0)] = 0.0
    momentum: Annotated[Number, Field(ge=0, lt=1)] = 0.0
    warmup: Annotated[Number, Field(ge=0)] = 0.0


class _Tags(BaseModel):
    outcome: Outcome = Field(alias=tag.OUTCOME)


class _Trial(_Tags):
    number: Whole = Field(0, alias=tag.TRIAL)
    point: Json[Point] | None = Field(None, alias=tag.POINT)


class _Search(_Tags):
    bounds: Json[Bounds] | None = Field(None, alias=tag.BOUNDS)
    chosen: Json[Point] | None = Field(None, alias=tag.CHOSEN)
    trials: Whole = Field(0, alias=tag.TRIAL)
    widened: Whole = Field(0, alias=tag.WIDENED)
    confirmed: Whole = Field(0, alias=tag.CONFIRMED)
    edge: Literal["", "lowest", "highest"] = Field("", alias=tag.EDGE)


class _FinishedSearch(_Search):
    chosen: Json[Point] = Field(alias=tag.CHOSEN)


class _Params(BaseModel):
    architecture: Architecture
    depth: Annotated[Int, Field(ge=1, le=LARGEST)]
    net: Annotated[str, Field(min_length=1)]
    split_seed: Annotated[Int, Field(ge=-LARGEST, le=LARGEST)] = 0
    seed: Annotated[Int, Field(ge=-LARGEST, le=LARGEST)]
    lr: FiniteFloat | None = None
    width: FiniteFloat = 1.0
    total_iterations: Count = 0
    iterations_per_epoch: Count = 0
    train_images: Count = 0
    test_images: Count = 0
    skipped_images: Count = 0
    classes: Count = 0
    parameters: Count = 0
    multiply_adds: Count = 0


class _SearchParams(_Params):
    lr: Any = None


KINDS: dict[str, type[_Tags]] = {"run": _Tags, "trial": _Trial, "tuning": _Search, "dataset": _Tags, "report": _Tags}


def check_runs(runs: Iterable[StoredRun]) -> tuple[list[StoredRun], list[str]]:
    """Return the runs of a study that can be used, and a line for each other run with the reason.

    Runs without any of a study's tags belong to another program and get no line.
    """
    usable, lines = [], []
    for run in runs:
        fault = _fault(run)
        if not fault:
            usable.append(run)
        elif any(key.startswith("study.") for key in run.tags):
            lines.append(f"run '{printable(run.name or run.run_id)}' ({run.run_id[:8]}) is left out: {fault}")
    return usable, lines


def _fault(run: StoredRun) -> str:
    kind = run.tags.get(tag.KIND)
    if kind not in KINDS:
        return _describe("tag", tag.KIND, kind, f"it should be one of {', '.join(KINDS)}")
    model = KINDS[kind]
    if kind == "tuning" and run.outcome == "finished":
        model = _FinishedSearch
    fault = _first_fault("tag", model, run.tags)
    if not fault and run.params and kind != "dataset":  # a run that is just being created has no parameters yet
        fault = _first_fault("parameter", _SearchParams if kind == "tuning" else _Params, run.params)
    return fault


def _first_fault(what: str, model: type[BaseModel], values: Mapping[str, str]) -> str:
    """Return what is wrong with the first of the values that a model refuses."""
    try:
        model.model_validate(dict(values))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = str(first["loc"][0])
        return _describe(what, key, values.get(key), first["msg"].removeprefix("Value error, "))
    return ""


def _describe(what: str, key: str, value: str | None, fault: str) -> str:
    if value is None:
        return f"it has no {what} {key}"
    shown = printable(value if len(value) <= SHOWN else f"{value[: SHOWN - 3]}...")
    return f"its {what} {key} is '{shown}': {fault}"
