"""The probes of a run: find those due at an iteration, and make the table of each."""

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any, get_args

import torch
from torch import nn

from study.config import FOLLOWED, ProbeName, ProbePlan
from study.errors import StudyError
from study.events import Column, Probed
from study.probe.construction import Statistics, add_noise, build_by_construction, compare_outputs
from study.probe.continuation import train_on
from study.probe.curvature import measure_effective_ranks, measure_sharpness
from study.probe.layers import measure_gradients, measure_responses, measure_turns
from study.probe.lesion import Lesion, Lesions
from study.probe.shattering import measure_shattering
from study.probe.subject import Subject
from study.probe.surface import filter_directions, measure_surface, summarise_surface
from study.train import Scorer, build_first_net

LINES, POINTS = 16, 64
"""Number of lines between images along which gradients are measured, and points on each."""
DRAWS = 5
"""Random sets or orders of blocks of each size."""
SURFACES = ("running", "batch")
"""Batch norm statistics of each slice: the net's, and those of the images at each point."""
CONSTRUCTIONS: tuple[Statistics, ...] = get_args(Statistics)
PRODUCTS, TOLERANCE = 30, 0.02
"""Maximal products of the Hessian with a vector, and the relative residual that is small enough."""

Row = Mapping[str, Any]
Tables = dict[str, list[Row]]


class Prober:
    """Makes the probes of one run."""

    def __init__(self, plan: ProbePlan) -> None:
        self._plan = plan

    def __call__(self, scorer: Scorer) -> Iterator[Probed]:
        """Yield the result of each probe that is due at the run's iteration and wasn't made yet.

        A probe that doesn't apply to the net has no tables. The net isn't changed.

        Raises:
            Stopped: the run is asked to stop.
        """
        state = scorer.state
        made = {(probed.probe, probed.step) for probed in state.probed}
        due = [name for name in self._plan.names if (name, state.step) not in made and self._is_due(name, scorer)]
        subject = Subject(self._plan, scorer)
        for name in due:
            try:
                tables = MEASURES[name](subject)
            except StudyError:  # no layers with batch norm, or none that can be removed
                tables = {}
            yield Probed(name, state.step, {table: _columns(rows) for table, rows in tables.items() if rows})

    def _is_due(self, name: ProbeName, scorer: Scorer) -> bool:
        step = scorer.state.step
        if step == scorer.state.total:
            return True
        if name in FOLLOWED:
            return step in self._plan.probes.steps
        return name == "shattering" and step == 0


def _responses(subject: Subject) -> Tables:
    return {"responses": [asdict(row) for row in measure_responses(subject.settled, subject.batches)]}


def _gradients(subject: Subject) -> Tables:
    scorer = subject.scorer
    ((images, labels),) = subject.batches
    lr = scorer.spec.recipe.lr_at(min(scorer.state.step, scorer.state.total - 1), scorer.state.total)
    rows = measure_gradients(subject.net, images, labels, lr=lr)
    turns = measure_turns(build_first_net(scorer.spec, scorer.dataset).to(scorer.device), subject.net)
    return {"gradients": [asdict(row) | {"turn": turn} for row, turn in zip(rows, turns, strict=True)]}


def _shattering(subject: Subject) -> Tables:
    ((images, _),) = subject.batches
    mixed = images[torch.randperm(len(images), generator=subject.generator("lines")).to(images.device)]
    lines = min(LINES, len(images) // 2)
    shattering = measure_shattering(subject.settled, mixed[:lines], mixed[lines : 2 * lines], points=POINTS)
    shared = {"half_distance": shattering.half_distance, "constant": shattering.constant}
    return {"shattering": [asdict(row) | shared for row in shattering.correlations]}


def _lesion(subject: Subject) -> Tables:
    lesions = Lesions(subject.net, subject.batches)
    counts = doubling(lesions.deletable)
    drawn = lesions.delete_random(counts, draws=DRAWS, generator=subject.generator("deletions"))
    swapped = lesions.swap_random(counts, draws=DRAWS, generator=subject.generator("swaps"))
    rows = [_as_row(lesion, "each") for lesion in lesions.delete_each()]
    rows += [_as_row(lesion, "random") for lesion in drawn]
    return {"lesion": rows, "reordering": [asdict(reordering) for reordering in swapped]}


def _as_row(lesion: Lesion, kind: str) -> Row:
    block = lesion.blocks[0] if kind == "each" else ""
    stage = int(block.partition(".")[0].removeprefix("layer")) if block else 0
    columns = ("draw", "downsamples", "error", "loss", "rise")
    of_net = {column: getattr(lesion, column) for column in columns}
    return {"kind": kind, "block": block, "stage": stage, "count": len(lesion.blocks), **of_net}


def doubling(limit: int) -> list[int]:
    """Return the powers of two up to `limit`: 1, 2, 4, ..."""
    return [2**power for power in range(limit.bit_length()) if 2**power <= limit]


def _surface(subject: Subject) -> Tables:
    net, points = subject.net, subject.plan.probes.points
    directions = filter_directions(net, subject.generator("directions"))
    classes = subject.scorer.dataset.num_classes
    tables: Tables = {"surface": [], "surface_summary": []}
    for statistics in SURFACES:
        rows = measure_surface(net, subject.batches, directions, points=points, recalibrate=statistics == "batch")
        tables["surface"] += [{"statistics": statistics} | asdict(row) for row in rows]
        summary = asdict(summarise_surface(rows, classes))
        tables["surface_summary"].append({"statistics": statistics} | summary | {"classes": classes})
    return tables


def _curvature(subject: Subject) -> Tables:
    """Measure the loss that training descends, with batch statistics: running ones lag behind early on; last, ranks."""
    net, batches, state = subject.net, subject.batches, subject.scorer.state
    sharpness = measure_sharpness(
        net, batches, subject.generator("curvature"), training=True, tolerance=TOLERANCE, max_products=PRODUCTS
    )
    ranks = measure_effective_ranks(net, batches) if state.step == state.total else []
    return {"curvature": [asdict(sharpness)], "ranks": [asdict(row) for row in ranks]}


def _construction(subject: Subject) -> Tables:
    """Build each deeper plain net of the study from this one; continue to train the deepest one and this one."""
    if not subject.plan.targets:
        return {}
    scorer = subject.scorer
    split = scorer.dataset.train
    own_error = scorer.score(split).error
    tables: Tables = {"construction": [], "continuation": []}
    for target in subject.plan.targets:
        for statistics in CONSTRUCTIONS:
            built = build_by_construction(subject.net, target, subject.training_images, statistics=statistics)
            training = compare_outputs(built.net, subject.net, subject.first_epoch, training=True)
            row = {
                "target": target,
                "statistics": statistics,
                **asdict(built.change),
                **{f"training_{name}": value for name, value in asdict(training).items()},
                "blocks": len(built.inserted),
                "shallow_error": own_error,
                "error": scorer.score(split, built.net).error,
            }
            tables["construction"].append(row)
        if target == max(subject.plan.targets):
            tables["continuation"] = _continuation(
                subject, target, built.net, built.inserted, subject.plan.probes.noise
            )
    # the shallow net itself, to compare with
    tables["continuation"] += _continuation(subject, scorer.spec.depth, subject.net, (), (0.0,))
    return tables


def _continuation(
    subject: Subject, target: int, net: nn.Module, inserted: Sequence[str], noises: Sequence[float]
) -> list[Row]:
    """Continue to train a net of depth `target`, with noise on the inserted blocks."""
    scorer, probes = subject.scorer, subject.plan.probes
    recipe, state = scorer.spec.recipe, scorer.state
    total = math.ceil(probes.continuation * state.total)
    rows: list[Row] = []
    for part, noise in itertools.product(probes.rates, noises if total else ()):
        rate = part * float(recipe.lr)
        slower = recipe.model_copy(update={"lr": rate})
        noisy = add_noise(net, noise, subject.generator("noise", target), blocks=inserted)
        marks = train_on(
            noisy,
            subject.train_batches(),
            slower,
            total,
            partial(scorer.score, scorer.dataset.train),
            precision=state.precision,
            guessing=scorer.error_of_guessing,
            stop=scorer.stop,
        )
        rows += [{"target": target, "rate": rate, "noise": noise} | asdict(mark) for mark in marks]
    return rows


MEASURES: dict[ProbeName, Callable[[Subject], Tables]] = {
    "responses": _responses,
    "gradients": _gradients,
    "shattering": _shattering,
    "construction": _construction,
    "lesion": _lesion,
    "surface": _surface,
    "curvature": _curvature,
}


def _columns(rows: Sequence[Row]) -> dict[str, Column]:
    return {name: [row[name] for row in rows] for name in rows[0]}
