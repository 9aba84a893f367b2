"""A grid: one file's worth of work."""

from functools import cached_property
from typing import Annotated

from pydantic import Field

from study.config.probes import CHEAP, ProbePlan, Probes
from study.config.recipe import Recipe, Strict
from study.config.spec import DatasetSpec, RunSpec
from study.config.tune import Tune
from study.names import NetName


class Grid(Strict):
    """A study: one MLflow experiment, named `name`."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
    """Name of the study, of its MLflow experiment and of its report's folder."""
    dataset: DatasetSpec
    """Which images, and how they are split: the first split (that of the least seed) where the grid has several."""
    tune: Tune = Tune()
    """The learning-rate search of cells with `lr: tune`."""
    probes: Probes | None = None
    """What is measured of the nets beside their curves."""
    smallest_effect: Annotated[float, Field(gt=0, lt=100)] = 0.5
    """Smallest difference of training error, in points, that counts as degradation in the verdict."""
    rare_failure: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Share of failing seeds that the verdict must exclude before it says that degradation is refuted."""
    budgets: tuple[float, ...] = (1.0,)
    """Multiples of the length of training that the shallowest and the deepest net of each kind get too: `[1, 3]`."""
    points: tuple[RunSpec, ...] = ()
    """The runs, in the order of the file."""

    def runs(self) -> list[RunSpec]:
        """Return every run of the grid, each once."""
        return list(self.points)

    def probes_of(self, spec: RunSpec) -> ProbePlan | None:
        """Return the probes of one of the runs; None if it has none."""
        probes = self.probes
        if probes is None or spec.architecture == "vgg" or spec.own or spec.recipe.budget != 1:
            return None
        repeats, paper_nets = self.repeats[: probes.seeds], self.paper_nets
        costly = spec.repeat in repeats and not (spec.modifications and spec.net in paper_nets)
        net = str(spec.net)
        names = tuple(
            name for name in probes.measure if (name in CHEAP or costly) and net in probes.only.get(name, (net,))
        )
        deeper = {
            other.depth
            for other in paper_nets
            if other.architecture == spec.architecture == "plain"
            and other.family == spec.net.family
            and other.depth > spec.depth
        }
        return ProbePlan(probes=probes, names=names, targets=tuple(sorted(deeper))) if names else None

    @cached_property
    def repeats(self) -> list[tuple[int, int]]:
        """All pairs of a split's seed and a run's seed, the least first."""
        return sorted({point.repeat for point in self.points})

    @cached_property
    def splits(self) -> list[DatasetSpec]:
        """The data set on each of its splits, that of the least seed first."""
        splits = {point.dataset.split_seed: point.dataset for point in self.points}
        return [splits[seed] for seed in sorted(splits)]

    @cached_property
    def paper_nets(self) -> frozenset[NetName]:
        """The nets that the grid has without modifications."""
        return frozenset(point.net for point in self.points if not point.modifications)

    def varying(self) -> list[str]:
        """Return the recipe fields that differ between runs of the same net: what tells their cells apart."""
        values: dict[tuple[str, str], set[str]] = {}
        for spec in self.points:
            for field, value in spec.identity()["recipe"].items():
                values.setdefault((str(spec.net), field), set()).add(repr(value))
        fields = {field for (_, field), seen in values.items() if len(seen) > 1}
        return [field for field in Recipe.model_fields if field in fields]
