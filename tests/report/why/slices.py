"""Slices of the loss made up with known answers."""

import numpy as np

from .probes import with_probe

TICKS = np.linspace(-1, 1, 9)


def bowl(run, a, b):
    """Return a loss of 0.01 nats at the net, which rises by 4 at a distance of 1, ten times as fast for plain-56."""
    return 0.01 + (40 if run["net"] == "plain-56" else 4) * (a**2 + b**2)


def surface_rows(loss_of=bowl, statistics=("running", "batch")):
    """Return what makes rows of `surface` from a loss at (run, a, b)."""

    def rows(run, random):
        for kind in statistics:
            for a in TICKS:
                for b in TICKS:
                    yield {"step": 220, "statistics": kind, "a": a, "b": b, "loss": loss_of(run, a, b), "error": 0.0}

    return rows


def summary_rows(nonconvex, basin, loss=lambda run: 0.01, noise=0.0):
    """Return what makes rows of `surface_summary` from shares by (run, statistics), of 0 to 1."""

    def rows(run, random):
        for kind in ("running", "batch"):
            yield {
                "step": 220,
                "statistics": kind,
                "loss": loss(run),
                "minima": 1,
                "classes": 10,
                "curvature_a": 1.0,
                "curvature_b": 2.0,
                "basin": basin(run, kind) + random.normal(0, noise),
                "nonconvex": nonconvex(run, kind) + random.normal(0, noise),
            }

    return rows


def with_slices(evidence, nonconvex, basin=lambda run, kind: 0.3, loss_of=bowl, **summary):
    """Return the evidence with both tables."""
    evidence = with_probe(evidence, "surface", surface_rows(loss_of))
    return with_probe(evidence, "surface_summary", summary_rows(nonconvex, basin, **summary))
