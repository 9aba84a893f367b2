"""Which measurements of the mechanism are made of a grid's nets, when, and of how many images."""

from typing import Annotated, Literal, get_args

from pydantic import Field, field_validator, model_validator

from study.config.recipe import Positive, Strict
from study.errors import StudyError
from study.names import parse_net

ProbeName = Literal["responses", "gradients", "shattering", "construction", "lesion", "surface", "curvature"]
PROBES: tuple[ProbeName, ...] = get_args(ProbeName)
CHEAP: tuple[ProbeName, ...] = ("responses", "gradients")
"""Those that are made of every seed."""
FOLLOWED: tuple[ProbeName, ...] = (*CHEAP, "curvature")
"""Those that are made in the course of training too."""
Step = Annotated[int, Field(ge=0)]


class Probes(Strict):
    """What is measured of plain and residual nets beside their curves. Nothing here changes a run's result."""

    measure: Annotated[tuple[ProbeName, ...], Field(strict=False)] = PROBES
    """Which probes."""
    steps: Annotated[tuple[Step, ...], Field(strict=False)] = (0, 1, 10, 100, 1000, 10000)
    """Iterations after which responses, gradients and curvature are measured, and the last; shattering: at first."""
    images: Annotated[int, Field(ge=2, le=65536)] = 256
    """Training images that nets are measured on, an equal share of each class: the same for all nets."""
    seeds: Annotated[int, Field(ge=1)] = 1
    """Of how many of a net's seeds costly probes (all but responses and gradients) are made; not of its remedies."""
    only: dict[ProbeName, Annotated[tuple[str, ...], Field(strict=False)]] = Field(default_factory=dict)
    """Nets of which a probe is made, such as `surface: [plain-8, plain-56]`; of all nets where it isn't named."""
    points: Annotated[int, Field(ge=3, le=401)] = 41
    """Points of the loss surface along each of its two directions: odd, so that the net itself is one."""
    noise: Annotated[tuple[Annotated[float, Field(ge=0)], ...], Field(strict=False)] = (0.0, 0.01, 0.1, 1.0)
    """Noise on a constructed net, as a part of each filter's norm, from which it is trained on."""
    rates: Annotated[tuple[Positive, ...], Field(strict=False)] = (1.0, 0.1)
    """Rates at which it is trained on, as parts of the shallow net's own."""
    continuation: Annotated[float, Field(ge=0, le=10)] = 1.0
    """How long a constructed net is trained on, in lengths of the recipe's training; 0: not at all."""

    @field_validator("measure")
    @classmethod
    def _some(cls, value: tuple[ProbeName, ...]) -> tuple[ProbeName, ...]:
        if not value:
            raise ValueError("must name a probe; without any, leave 'probes' out")
        return value

    @field_validator("points")
    @classmethod
    def _odd(cls, value: int) -> int:
        if value % 2 == 0:
            raise ValueError("must be odd")
        return value

    @field_validator("measure", "steps", "noise", "rates")
    @classmethod
    def _once(cls, values: tuple[object, ...]) -> tuple[object, ...]:
        return tuple(dict.fromkeys(values))

    @field_validator("only")
    @classmethod
    def _nets(cls, value: dict[ProbeName, tuple[str, ...]]) -> dict[ProbeName, tuple[str, ...]]:
        try:
            return {name: tuple(str(parse_net(net)) for net in nets) for name, nets in value.items()}
        except StudyError as error:
            raise ValueError(str(error)) from None

    @model_validator(mode="after")
    def _asked_for(self) -> "Probes":
        missing = [name for name in self.only if name not in self.measure]
        if missing:
            raise ValueError(f"'only' names '{missing[0]}', which isn't among those to 'measure'")
        return self


class ProbePlan(Strict):
    """What is measured of one run."""

    probes: Probes
    names: tuple[ProbeName, ...]
    targets: tuple[int, ...] = ()
    """Depths of the plain nets that are built from it."""
