"""Studies with remedies beside the paper's nets, made up with known errors."""

import pandas as pd

from study.report.why.chapter import Evidence
from study.verdict import selection as c

from ..frames import Truth, diverge, make_study

PAPER = {
    ("plain", 8): (1.0, 0.1),
    ("plain", 56): (40.0, 1.0),
    ("residual", 8): (1.0, 0.1),
    ("residual", 56): (0.5, 0.1),
}
GOOD = {("plain", 8): (1.0, 0.1), ("plain", 56): (0.8, 0.1)}
HALF = {("plain", 8): (1.0, 0.1), ("plain", 56): (20.0, 1.0)}
WORSE = {("plain", 8): (1.0, 0.1), ("plain", 56): (80.0, 1.0)}
FAILS = {("plain", 8): (88.0, 0.1), ("plain", 56): (88.0, 0.1)}
REMEDIES = {
    "initialisation=orthogonal": GOOD,
    "preactivation=true": HALF,
    "activation=tanh": WORSE,
    "batch_norm=none": FAILS,
}
SCALES = {
    f"shortcut_scale={scale}": {("residual", 8): (1.0, 0.1), ("residual", 56): (error, 0.2)}
    for scale, error in ((0.25, 20.0), (0.5, 3.0), (0.75, 0.5))
}


def remedied(variants=None, paper=PAPER, seeds=3, diverged="", probes=None) -> Evidence:
    """Return the evidence of a study with these variants: name -> net -> mean and deviation of the training error."""
    parts = []
    for number, (variant, train) in enumerate({"": paper, **(variants or {})}.items()):
        study = make_study(Truth(train, seeds=seeds), number)
        study = diverge(study, diverged) if variant and diverged in set(study.runs["name"]) else study
        parts.append(study.runs.assign(variant=variant, run_id=study.runs["run_id"] + str(number)))
    runs = pd.concat(parts, ignore_index=True)
    judged = c.counted(c.of_variant(runs, c.variants(runs)[0]))
    return Evidence(judged, pd.DataFrame(), c.counted(runs), probes or {}, 0.5)
