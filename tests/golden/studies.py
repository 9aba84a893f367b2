"""What is built for the golden files: five made-up studies with their reports, and two short trainings."""

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from study.config import DatasetSpec, Recipe, RunSpec, grid_text
from study.config.command import Command
from study.data import load_dataset
from study.events import Epoch, Finished
from study.report import Joined, build_report, compare_runs, join
from study.train import CheckpointPlan, load_checkpoint, run
from tests.report.conftest import DIGITS, PAPER
from tests.report.data import make_record
from tests.report.frames import diverge, make_study, make_trial, unfinish, with_budget
from tests.report.studies import TRUTH, Loaded, loaded, make_protocol, shifted
from tests.report.tables.paper_studies import CIFAR
from tests.report.test_page import PROVENANCE
from tests.report.why import (
    test_construction,
    test_curvature,
    test_gradients,
    test_ranks,
    test_responses,
    test_shattering,
    test_surface,
)
from tests.report.why.built import TRAIN, come_back, continued
from tests.report.why.lesions import with_lesions
from tests.report.why.probes import make_evidence, with_probe
from tests.report.why.remedied import HALF, SCALES, remedied
from tests.report.why.slices import with_slices

MEASURED = {"seconds", "images_per_second", "memory_mib", "time"}
"""Fields of events that differ from run to run."""


def digits(out: Path) -> Path:
    """A search, a data set, a diverged run, one without a result, and longer trainings."""
    study = unfinish(diverge(make_study(DIGITS), "plain-56 seed 1"), "resnet-8 seed 2", "interrupted")
    study = with_budget(study, replace(DIGITS, train=DIGITS.train | {("plain", 56): (20.0, 1.5)}))
    early = study.runs[study.runs["seed"] < 2]
    protocols = (make_protocol(early), make_protocol(study.runs, hour=2, results=16))
    command = Command(at=protocols[0].at, command="study run --grid digits", grid=grid_text("digits")[0])
    joined = Joined(
        "digits",
        study.runs,
        study.curves,
        study.trials,
        words=PROVENANCE,
        datasets=(make_record(skipped=[("torn.jpg", "truncated")]),),
        protocols=protocols,
        commands=(command,),
    )
    return build_report(joined, out)


def paper(out: Path) -> Path:
    """The nets of the paper's Figure 6, in its style and with its tables."""
    study = make_study(replace(PAPER, evaluations=12, seeds=3, trials=0))
    shortcuts = study.runs["architecture"].map({"plain": "none", "residual": "A"})
    runs = study.runs.assign(**CIFAR, shortcut=shortcuts, warmup="0")
    return build_report(Joined("paper", runs, study.curves, study.trials), out, style="paper")


def why(out: Path) -> Path:
    """Every probe's table, two remedies and a dose of the shortcut."""
    nets = tuple((kind, depth) for kind in ("plain", "residual") for depth in (8, 20, 56))
    evidence = make_evidence(nets, train=TRAIN, **continued(come_back).probes)
    evidence = with_probe(evidence, "construction", test_construction.build())
    evidence = test_gradients.measured(evidence=evidence, steps=(0, 220))
    evidence = test_responses.measured(test_responses.as_paper, evidence)
    evidence = test_shattering.measured(test_shattering.shattered, evidence)
    evidence = test_ranks.measured(test_ranks.as_paper, evidence, noise=0.01)
    evidence = with_slices(with_lesions(evidence), test_surface.as_paper, test_surface.narrow, noise=0.01)
    evidence = test_curvature.followed(evidence, noise=0.05)
    variants = {"initialisation=orthogonal": HALF, "shortcut_scale=0.5": SCALES["shortcut_scale=0.5"]}
    others = remedied(variants).others
    runs = pd.concat([evidence.runs, others[others["variant"] != ""]], ignore_index=True)
    return build_report(Joined("why", runs, evidence.curves, pd.DataFrame(), probes=evidence.probes), out)


def comparison(out: Path) -> Path:
    """Two studies side by side, a setting and the data unlike, each with two variants."""
    other = loaded("b", shifted(12.0), seed=1, normalize="none", fingerprint="g" * 20)
    joined = join([_widened(loaded("a")), _widened(other)], "study compare a b")
    compared = compare_runs(joined.runs, ("a", "b"), joined.rule.smallest_effect)
    return build_report(joined, out, comparison=compared)


def tuning(out: Path) -> Path:
    """Two studies in one report: a search with two seeds a trial, and one of two settings with its best at an edge."""
    short = replace(TRUTH, evaluations=10)
    rates, decays = (0.001, 0.01, 0.1), (1e-4, 1e-3)
    trials = [
        make_trial(
            kind,
            depth,
            number,
            lr,
            error=40 - 6 * number + depth / 4,
            chosen=number == 5,
            edge="highest",
            point=json.dumps({"lr": lr, "weight_decay": decay}),
        )
        for kind, depth in TRUTH.train
        for number, (lr, decay) in enumerate(product(rates, decays))
    ]
    a = loaded("a", replace(short, trials=8, trial_seeds=2))
    b = loaded("b", short, seed=1)
    b = replace(b, trials=pd.DataFrame(trials), curves=b.curves.iloc[:0])
    joined = join([a, b], "study report --experiment a --experiment b")
    return build_report(joined, out)


REPORTS: dict[str, Callable[[Path], Path]] = {
    "digits": digits,
    "paper": paper,
    "why": why,
    "comparison": comparison,
    "tuning": tuning,
}
"""Each writes the report of a study into a folder and returns its page."""


def train(folder: Path) -> dict[str, Any]:
    """Return the curves, ends and final weights of a plain and a residual net, trained for 20 steps on the CPU.

    Few activations go through a ReLU: one that rounding puts on the other side of zero would change digits that count.
    """
    data = DatasetSpec(name="digits", train_limit=100, test_limit=80)
    recipe = Recipe(
        iterations=20,
        evaluate_every=5,
        batch_size=8,
        lr=0.05,
        width=0.25,
        augment="crop-flip",
        schedule="step",
        precision="fp32",
    )
    dataset, cpu = load_dataset(data), torch.device("cpu")
    out = {}
    for architecture in ("plain", "residual"):
        path = folder / f"{architecture}.pt"
        spec = RunSpec(dataset=data, architecture=architecture, depth=8, recipe=recipe, seed=0)
        events = [
            asdict(event)
            for event in run(spec, dataset, cpu, CheckpointPlan(path))
            if isinstance(event, Epoch | Finished)
        ]
        weights = load_checkpoint(path, cpu)["net"]
        out[architecture] = {
            "events": [{key: value for key, value in event.items() if key not in MEASURED} for event in events],
            "weights": {name: _digest(values.double().flatten()) for name, values in weights.items()},
        }
    return out


def _digest(values: torch.Tensor) -> list[float]:
    """Return two lengths that no sign cancels out of: from zero, and from a fixed point, which tells places apart."""
    place = 0.1 * torch.cos(torch.arange(len(values), dtype=torch.float64))
    return [float(values.norm()), float((values - place).norm())]


def _widened(study: Loaded) -> Loaded:
    """Return the study with a second variant, a point better in all its errors, and without curves."""
    runs = study.runs
    errors = {name: (runs[name] - 1).clip(lower=0) for name in runs if str(name).endswith("_error")}
    wide = runs.assign(variant="width=2", run_id=runs["run_id"].str[:-1] + "w", **errors)
    return replace(study, runs=pd.concat([runs, wide], ignore_index=True), curves=study.curves.iloc[:0])
