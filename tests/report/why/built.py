"""Deep nets trained on from a solution that was built, made up with known courses."""

import numpy as np

from .probes import make_evidence, with_probe

NETS = (("plain", 8), ("plain", 20), ("plain", 56), ("residual", 56))
TRAIN = {("plain", 8): (2.0, 0.1), ("plain", 20): (1.0, 0.1), ("plain", 56): (20.0, 2.0)}
ITERATIONS = (0, 1, 2, 5, 10, 20, 50, 100, 200)


def stay(run, noise):
    """Return the error's highest rise above the solution's, and its last, in points."""
    return 0.0, 0.0


def come_back(run, noise):
    return 60.0, 3.0 if noise > 0.01 else 0.1


def leave(run, noise):
    return 60.0, 60.0


def continued(course=stay, own=stay, noises=(0.0, 0.01, 1.0), rates=(), breaks=None, depths=(8, 20), **options):
    """Return what makes rows of `continuation`: each net as plain-56, and trained on itself."""

    def rows(run, random):
        if run["architecture"] != "plain" or run["depth"] not in depths:
            return
        for target in (56, run["depth"]):
            for rate in rates or (None,):
                for noise in noises if target == 56 else (0.0,):
                    yield from courses(run, target, noise, rate, random)

    def courses(run, target, noise, rate, random):
        highest, last = (course if target == 56 else own)(run, noise)
        for iteration in ITERATIONS:
            rise = 0.0 if iteration < 5 else highest if iteration < 200 else last
            broken = breaks is not None and target == 56 and run["seed"] == breaks and iteration >= 20
            if broken and iteration > 20:
                return
            yield {
                "step": 220,
                "target": target,
                "noise": noise,
                "iteration": iteration,
                "error": 90.0 if broken else run["final_train_error"] + rise + abs(random.normal(0, 0.02)),
                "loss": np.nan if broken else 0.1,
                "distance": np.nan if broken else iteration / 1000,
                **({"rate": rate} if rate is not None else {}),
            }

    return with_probe(make_evidence(NETS, train=TRAIN, **options), "continuation", rows)
