"""Figures: for each, a function that works out the numbers and one that draws them.

Those named here take the frames that `study.track` reads and matplotlib's axes to draw on, and return the axes::

    from study.report import figures
    from study.track.frames import load_runs
    figures.depth(load_runs("digits"))
"""

from study.report.figures.curves import curves, degradation
from study.report.figures.dataset import class_counts, samples
from study.report.figures.final_errors import depth
from study.report.figures.probability import probability
from study.report.figures.rates import rates
from study.report.figures.speed import duration, throughput
from study.report.figures.style import depth_colours

__all__ = [
    "class_counts",
    "curves",
    "degradation",
    "depth",
    "depth_colours",
    "duration",
    "probability",
    "rates",
    "samples",
    "throughput",
]
