"""Made-up studies of every kind that can be awkward: all equal, all at guessing, some seeds failed, some missing."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from hypothesis import strategies as st

from .frames import Truth, make_study, with_budget

GUESSING = 90.0
KINDS = ("zero", "guessing", "tie", "spread", "wide", "two modes", "small")


@dataclass(frozen=True)
class MadeUp:
    """A study's frames, and what its cells were made of."""

    runs: pd.DataFrame
    trials: pd.DataFrame
    cells: dict[tuple[str, int], str]


def errors_of(kind: str, seeds: int, random: np.random.Generator) -> np.ndarray:
    """Return (seeds,) final training errors in percent, rounded to whole images of 1,000."""
    level = float(random.choice([0.3, 1.0, 5.0, 40.0]))
    values = {
        "zero": np.zeros(seeds),
        "guessing": GUESSING - random.choice([0.0, 0.1, 1.5], seeds),
        "tie": np.full(seeds, level),
        "spread": level + random.normal(0, 0.1, seeds),
        "wide": level + random.normal(0, 15, seeds),
        "two modes": np.where(random.random(seeds) < 0.5, GUESSING, level),
        "small": random.choice([0.0, 0.1, 0.2], seeds),
    }[kind]
    return np.clip(np.round(values, 1), 0, 100)


@st.composite
def made_up_studies(draw: st.DrawFn) -> MadeUp:
    """Draw a study of 2 to 4 depths and 1 to 6 seeds, perhaps with longer trainings and rates at an edge."""
    depths = draw(st.sampled_from([(8, 20), (8, 20, 32), (8, 20, 32, 56)]))
    architectures = draw(st.sampled_from([("plain",), ("plain", "residual"), ("plain", "residual"), ("residual",)]))
    nets = [(kind, depth) for kind in architectures for depth in depths]
    kinds = draw(st.sampled_from([KINDS, KINDS, KINDS, ("guessing",), ("zero", "small")]))
    cells = {net: draw(st.sampled_from(kinds)) for net in nets}
    seeds = draw(st.integers(1, 6))
    random = np.random.default_rng(draw(st.integers(0, 1000)))
    truth = Truth(
        dict.fromkeys(nets, (1.0, 0.1)), seeds=seeds, evaluations=2, trials=3, train_images=1000, test_images=1000
    )
    study = make_study(truth, seed=draw(st.integers(0, 20)))
    if draw(st.booleans()):
        study = with_budget(study, replace(truth))
    runs = study.runs.copy()
    for (kind, depth), shape in cells.items():
        for variant in runs["variant"].unique():
            net = (runs["architecture"] == kind) & (runs["depth"] == depth) & (runs["variant"] == variant)
            errors = errors_of(shape, int(net.sum()), random)
            runs.loc[net, "final_train_error"] = errors
            gap = draw(st.sampled_from([0.0, 3.0]))
            runs.loc[net, "final_test_error"] = np.minimum(errors + gap, 100)
    if draw(st.booleans()):
        first = runs["name"].isin([draw(st.sampled_from(sorted(runs["name"])))])
        runs.loc[first, "outcome"] = "diverged"
        runs.loc[first, ["final_train_error", "final_test_error"]] = GUESSING
    if draw(st.booleans()):
        lost = runs["name"].isin([draw(st.sampled_from(sorted(runs["name"])))])
        runs.loc[lost, "outcome"] = draw(st.sampled_from(["interrupted", "failed"]))
        runs.loc[lost, [column for column in runs if column.startswith("final_")]] = np.nan
    trials = study.trials.copy()
    trials.loc[trials["net"] == draw(st.sampled_from(sorted(set(trials["net"])))), "edge"] = draw(
        st.sampled_from(["", "", "lowest", "highest"])
    )
    return MadeUp(runs.assign(lr_tuned=draw(st.booleans())), trials, cells)
