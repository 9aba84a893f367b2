"""Tables of probes made up with known answers, of the runs of a made-up study."""

import numpy as np
import pandas as pd

from study.report.why.chapter import Evidence
from study.track.tags import PROBE_COLUMNS

from ..frames import Truth, make_study

NETS = (("plain", 20), ("plain", 56), ("residual", 20), ("residual", 56))


def make_evidence(nets=NETS, seeds=3, train=None, **probes) -> Evidence:
    """Return the evidence of a study of these nets, with the probes given."""
    study = make_study(Truth({net: (train or {}).get(net, (1.0, 0.1)) for net in nets}, seeds=seeds))
    return Evidence(study.runs, study.curves, study.runs, probes, 0.5)


def probe_rows(evidence: Evidence, rows_of) -> pd.DataFrame:
    """Return the rows that `rows_of(run, random)` gives of each run, with what a probe's table says of a run."""
    random = np.random.default_rng(0)
    return pd.DataFrame(
        [
            {**{key: run[key] for key in PROBE_COLUMNS}, **row}
            for _, run in evidence.runs.iterrows()
            for row in rows_of(run, random)
        ]
    )


def with_probe(evidence: Evidence, table: str, rows_of) -> Evidence:
    """Return the evidence with a table more."""
    probes = {**evidence.probes, table: probe_rows(evidence, rows_of)}
    return Evidence(evidence.runs, evidence.curves, evidence.others, probes, evidence.smallest_effect)


def gradient_rows(growth, norm_growth=lambda run, step: 1.0, steps=(0, 1, 100, 220), noise=0.002):
    """Return what makes rows of `gradients`: growth(run, step) a layer, weights norm_growth times as long at layer 0.

    The weights' growth falls to 1 at the last layer, geometrically; what the images are is the first layer's input.
    """

    def rows(run, random):
        count = int(run["depth"]) - 1
        for step in steps:
            rate = growth(run, step) * np.exp(random.normal(0, noise))
            for layer in range(count):
                norm = 10 * norm_growth(run, step) ** (1 - layer / (count - 1))
                yield {
                    "step": step,
                    "layer": layer,
                    "name": f"layer1.{layer}.conv1",
                    "stage": 1,
                    "weight_gradient": 1.0,
                    "input_gradient": 77.0 if layer == 0 else 0.01 * rate ** (count - 1 - layer),
                    "weight_norm": norm,
                    "effective_lr": 0.1 / norm**2,
                    "turn": 0.0 if step == 0 else 0.5 * (1 - layer / count),
                }

    return rows
