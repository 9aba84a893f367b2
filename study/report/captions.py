"""Captions and alternative texts of the figures, written from the numbers that the figures show."""

import math

import numpy as np

from study.report.figures.error_curves import PAPER_TOP, CurveData
from study.report.figures.final_errors import DepthData
from study.report.figures.paper_curves import ERROR
from study.report.figures.probabilities import ProbabilityData
from study.report.figures.rate_panels import RateData
from study.report.figures.speed import SpeedData
from study.report.metrics import METRICS
from study.verdict.text import listed


def _seeds(counts: set[int]) -> str:
    if counts == {1}:
        return "One seed a net"
    if len(counts) == 1:
        return f"Means over {min(counts)} seeds"
    return f"Means over {min(counts)} to {max(counts)} seeds"


def _curves_note(data: CurveData) -> str:
    counts = {line.seeds for line in data.lines if line.ended}
    text = f" {_seeds(counts)}" if counts else " No run has ended yet"
    if counts and counts != {1}:
        text += "; bands reach from the lowest to the highest seed"
    if any(not line.ended for line in data.lines):
        text += "; nets marked unfinished have no ended run and are drawn as far as they are"
    if data.cut:
        text += f"; errors above {data.top:.0f}% are cut off"
    if any(line.diverged for line in data.lines):
        text += "; a run that diverged stands at the error of guessing from there on"
    return f"{text}.{_paper_note(data)}"


def _paper_note(data: CurveData) -> str:
    """Say where the paper's curves come from, and where its axes could not be kept."""
    text = ""
    if data.paper:
        text += (
            " Pale lines beneath are the paper's own, digitised from its Figure 6 (He et al., 2015) from 34,000 "
            f"iterations on: test error is read to {ERROR['test']} points, training error to {ERROR['train']} points "
            "and the curve's own jitter."
        )
    if data.style == "paper":
        text += " Axes and colours are the paper's"
        text += f", but errors reach to {data.top:.0f}% in place of {PAPER_TOP:.0f}%." if data.top > PAPER_TOP else "."
    return text


def curves_caption(data: CurveData, apart: tuple[int, ...] = ()) -> str:
    """Return the caption of all nets' curves; nets of the depths `apart` have a figure of their own."""
    text = (
        "Training error (thin, dashed: running average over the images since the last point, as trained) and test "
        "error (bold) by iteration"
    )
    if data.splits == ("train",):
        text = "Training error (running average over the images since the last point, as trained) by iteration"
    text += "; deeper nets are darker" if data.style == "house" and len({line.depth for line in data.lines}) > 1 else ""
    if apart:
        text += f"; nets of {listed([str(depth) for depth in apart])} layers are in the next figure"
    return f"{text}.{_curves_note(data)}"


def two_depths_caption(data: CurveData) -> str:
    """Return the caption of the shallowest and the deepest net."""
    names = listed([f"{depth}-layer" for depth in sorted({line.depth for line in data.lines})])
    errors = "Training error (left; running average, as trained) and test error (right)"
    errors = errors if len(data.splits) > 1 else "Training error (running average, as trained)"
    return f"{errors} of the {names} {data.panels[0]} nets by iteration.{_curves_note(data)}"


def curves_alt(data: CurveData) -> str:
    """Tell the last error of every line."""
    parts = []
    for split in ("train", "test"):
        ends = [
            f"{line.architecture} {line.depth} layers {line.mean[-1]:.2f}%"
            for line in data.lines if line.split == split
        ]  # fmt: skip
        if ends:
            parts.append(f"{METRICS[f'{split}_error'].label} at the last point: {', '.join(ends)}.")
    return f"Line chart of error by iteration, up to {data.last:,.0f} iterations. {' '.join(parts)}"


def depth_caption(data: DepthData) -> str:
    """Return the caption of final error against depth."""
    counts = {mean.seeds for one in data.series for mean in one.means}
    text = "Error after the last iteration against depth: training error on the whole training split, clean images, "
    text += "evaluation mode" + (" (left), and test error (right)" if len(data.metrics) > 1 else "")
    text += f". {_seeds(counts)}"
    if counts != {1}:
        text += ", full marks, with 95% t intervals"
    text += "; every seed is a hollow mark"
    if data.clipped:
        text += "; intervals are cut at the edges of the axes"
    for metric, linear in data.linear.items():
        words = METRICS[metric].label.removeprefix("Final ")
        text += f"; the axis of {words} is linear up to {linear:g}% and logarithmic above"
    return text + "."


def depth_alt(data: DepthData) -> str:
    """Tell every mean with its interval."""
    parts = []
    for one in data.series:
        cells = []
        for depth, mean in zip(one.depths, one.means, strict=True):
            bounds = "" if math.isnan(mean.low) else f" ({mean.low:.2f} to {mean.high:.2f})"
            cells.append(f"{depth} layers {mean.estimate:.2f}%{bounds}")
        parts.append(f"{METRICS[one.metric].label}, {one.architecture} nets: {', '.join(cells)}.")
    return f"Chart of final error against depth. {' '.join(parts)}"


def probability_caption(data: ProbabilityData) -> str:
    """Return the caption of the matrices of probabilities."""
    counts = {n for pairs in data.pairs.values() for pair in pairs for n in (pair.seeds_deeper, pair.seeds_shallower)}
    seeds = f"{min(counts)}" if len(counts) == 1 else f"{min(counts)} to {max(counts)}"
    return (
        "Over all pairs of a seed of the deeper net (row) and a seed of the shallower one (column), the share in which "
        f"the deeper net has the higher {METRICS[data.metric].label.lower()}, ties counting half; {seeds} seeds a net. "
        "At 0.5 depth makes no difference; with so few seeds, 0 and 1 are not certainty."
    )


def probability_alt(data: ProbabilityData) -> str:
    """Tell every probability."""
    parts = [
        f"{name} nets: " + ", ".join(f"{one.deeper} over {one.shallower} layers {one.probability:.2f}" for one in pairs)
        for name, pairs in data.pairs.items()
    ]
    return f"Matrices of the probability that the deeper of two nets is worse. {'. '.join(parts)}."


def speed_caption(data: SpeedData) -> str:
    """Return the caption of what depth costs."""
    shown = {"seconds": "Time of a run", "images_per_second": "images trained on in a second"}
    text = " (left) and ".join(shown[metric] for metric in data.metrics)
    text = text[:1].upper() + text[1:] + (" (right)" if len(data.metrics) > 1 else "")
    text += " against depth; every finished run is a hollow mark, lines join the medians"
    if len(data.devices) > 1:
        text += f". Runs were on {len(data.devices)} kinds of device, whose speeds differ"
    return text + "."


def speed_alt(data: SpeedData) -> str:
    """Tell every median."""
    parts = []
    for one in data.series:
        metric = METRICS[one.metric]
        cells = [f"{depth} layers {value:,.4g}" for depth, value in zip(one.depths, one.medians, strict=True)]
        parts.append(f"{metric.axis}, {one.architecture} nets: {', '.join(cells)}.")
    return f"Chart of time and speed against depth, medians. {' '.join(parts)}"


def rates_caption(data: RateData) -> str:
    """Return the caption of the learning-rate search."""
    counts = {len(net.lr) for net in data.nets}
    number = f"{min(counts)}" if len(counts) == 1 else f"{min(counts)} to {max(counts)}"
    text = f"Final training error of each trial (clean images, evaluation mode) by learning rate; {number} trials a net"
    if any(np.nanmax(net.high - net.low, initial=0) > 0 for net in data.nets):
        text += "; marks are means over a trial's seeds, thin lines reach from the lowest to the highest"
    if data.compressed:
        text += "; the axis of errors is linear up to 1% and logarithmic above"
    text += _rates_marks(data)
    if data.fields:
        text += f". The points differ in {listed([name.replace('_', ' ') for name in data.fields])} too"
    return text + "."


def _rates_marks(data: RateData) -> str:
    """Say what stands for a trial that did not come to its end, for the chosen rate and for the good range."""
    text, pruned = "", [e for net in data.nets for e, s in zip(net.error, net.state, strict=True) if s == "pruned"]
    if any(np.isfinite(pruned)):
        text += "; hollow marks were pruned and stand at their running training error then, as trained"
    if any(np.isnan(pruned)):
        text += f"; {'those' if any(np.isfinite(pruned)) else 'hollow marks'} above the highest error "
        text += "have none" if any(np.isfinite(pruned)) else "were pruned and have no error"
    if "diverged" in data.states:
        text += "; crosses at the top diverged and have no place on the axis"
    if any(any(net.chosen) for net in data.nets):
        text += "; a ring marks the rate that the search chose"
    if any(net.good for net in data.nets):
        text += (
            f"; bars below span the rates within {data.tolerance:g} point{'s' * (data.tolerance != 1)} of a net's best"
        )
    if data.bounds:
        text += f"; broken lines are the bounds asked for, {data.bounds[0]:.4g} and {data.bounds[1]:.4g}"
    return text


def rates_alt(data: RateData) -> str:
    """Tell the least error and the chosen rate of every net."""
    parts = []
    for net in data.nets:
        full = [i for i, state in enumerate(net.state) if state == "complete"]
        name = f"{net.architecture} {net.depth} layers"
        if not full:
            parts.append(f"{name} none that came to its end")
            continue
        best = min(full, key=lambda i: float(net.error[i]))
        chosen = [f", chosen {net.lr[i]:.3g}" for i, one in enumerate(net.chosen) if one][:1]
        parts.append(f"{name} {net.error[best]:.2f}% at {net.lr[best]:.3g}{''.join(chosen)}")
    diverged = sum(state == "diverged" for net in data.nets for state in net.state)
    return f"Charts of training error by learning rate. Least error: {'; '.join(parts)}. Diverged trials: {diverged}."
