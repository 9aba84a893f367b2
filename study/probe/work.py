"""Count the cost of a run's probes before they are made."""

import math
import operator
from dataclasses import astuple, dataclass

from study.config import ProbePlan, RunSpec
from study.nets.families import FAMILIES
from study.probe.continuation import marked_iterations
from study.probe.prober import CONSTRUCTIONS, DRAWS, LINES, POINTS, PRODUCTS, SURFACES, doubling

GRADIENT, PRODUCT = 3.0, 10.0
"""Costs of a gradient, and of the Hessian's product with a vector, in forward passes."""


@dataclass(frozen=True)
class Work:
    """The cost in units of the run's net: passes of one image, and steps of training."""

    forward: float = 0.0
    gradient: float = 0.0
    """Gradients of one image, forward passes included."""
    product: float = 0.0
    """Maximal products of the Hessian of one image's loss with a vector, forward passes included."""
    steps: float = 0.0

    def __add__(self, other: "Work") -> "Work":
        return Work(*map(operator.add, astuple(self), astuple(other)))

    @property
    def images(self) -> float:
        """The cost of all but the steps, in forward passes of one image."""
        return self.forward + GRADIENT * self.gradient + PRODUCT * self.product


def count_work(plan: ProbePlan, spec: RunSpec, train_images: int) -> Work:
    """Return the work of a run's probes; deeper nets built from its net count by their layers."""
    total = Work()
    steps = spec.recipe.total_iterations(train_images)
    images = min(plan.probes.images, train_images)
    times = len({step for step in plan.probes.steps if step < steps} | {steps})
    blocks, stages = _blocks(spec)
    for name in plan.names:
        if name == "responses":
            total += Work(forward=2 * images * times)
        elif name == "gradients":
            total += Work(gradient=images * times)
        elif name == "shattering":
            lines = min(LINES, images // 2)
            total += Work(forward=2 * images, gradient=2 * lines * POINTS)
        elif name == "lesion":
            total += Work(forward=images * _lesions(blocks, blocks - (stages - 1) * (spec.architecture == "plain")))
        elif name == "surface":
            total += Work(forward=len(SURFACES) * images * plan.probes.points**2)
        elif name == "curvature":
            total += Work(forward=images, product=images * PRODUCTS * times)
        elif name == "construction":
            total += _construction(plan, spec, train_images, steps, stages)
    return total


def _lesions(blocks: int, pool: int) -> float:
    """Return the cost of nets with removed or swapped blocks, in whole nets; `pool` blocks can be removed."""
    counts = doubling(pool)
    remaining = pool * (1 - 1 / blocks)
    random = DRAWS * sum(1 - count / blocks for count in counts)
    swaps = DRAWS * len(counts) if blocks > 4 else 0  # with at most 4, no stage has two of one shape
    return 1 + remaining + random + swaps


def _construction(plan: ProbePlan, spec: RunSpec, train_images: int, steps: int, stages: int) -> Work:
    """Count measurements of each deeper net in both modes, and the training on of the deepest and of this net."""
    if not plan.targets:
        return Work()
    forward, trained = float(train_images), 0.0
    probes = plan.probes
    length = math.ceil(probes.continuation * steps)
    epoch = train_images - train_images % min(spec.recipe.batch_size, train_images)
    for target in plan.targets:
        deeper = _layers(target, stages) / _layers(spec.depth, stages)
        forward += len(CONSTRUCTIONS) * train_images * (2 * deeper + 1) + train_images * stages
        forward += len(CONSTRUCTIONS) * epoch * (deeper + 1)
        if target == max(plan.targets) and length:
            nets = len(probes.rates) * (deeper * len(probes.noise) + 1)
            trained = nets * length
            forward += nets * train_images * len(marked_iterations(length))
    return Work(forward=forward, steps=trained)


def _layers(depth: int, stages: int) -> float:
    """Return the cost of a net of basic blocks in 3x3 layers; the first layer of each later stage counts half."""
    return depth - 2 - (stages - 1) / 2


def _blocks(spec: RunSpec) -> tuple[int, int]:
    """Return the numbers of blocks and stages of a net."""
    _, counts = FAMILIES[spec.net.family].stages(spec.depth)
    return sum(counts), len(counts)
