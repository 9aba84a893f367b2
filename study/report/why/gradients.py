"""The chapter on gradients: whether they vanish or explode from layer to layer, when, and what that does to layers."""

import math
from functools import partial
from pathlib import Path

import pandas as pd

from study.report.figures import gradients as figure
from study.report.figures.drawing import Picture
from study.report.figures.layers import means_words
from study.report.moments import at_moments, label, phrase
from study.report.tables.results import NOTHING, Table
from study.report.why.chapter import Chapter, Evidence
from study.report.why.drawing import make_picture
from study.report.why.gradient_words import SOURCE, NetGrowth, growths, rate_text, sentences
from study.statistics.growth import BATCH_NORM_GROWTH
from study.statistics.interval import Interval
from study.verdict.text import capital, listed, number


def gradients_chapter(evidence: Evidence, folder: Path) -> Chapter | None:
    """Tell how gradients grow by layer and what is left of it later; None where none were measured.

    Args:
        evidence: with the table `gradients`.
        folder: where figures go.
    """
    rows = at_moments(evidence.rows("gradients"), evidence.runs)
    nets = growths(rows)
    data = figure.gradient_data(rows) if nets else None
    if data is None:
        return None
    pictures = [_growth_picture(data, evidence, folder)]
    weights = figure.weight_data(rows)
    if weights is not None:
        pictures.append(_weight_picture(weights, evidence, folder))
    heading = "Do gradients vanish or explode?"
    return Chapter("gradients", heading, sentences(rows, nets), tuple(pictures), (growth_table(nets),))


def growth_table(nets: tuple[NetGrowth, ...]) -> Table:
    """Return the growth of each net at each moment, with its interval."""
    numbers = pd.DataFrame([
        {"net": net.net, "architecture": net.architecture, "depth": net.depth, "moment": at,
         "estimate": one.estimate, "low": one.low, "high": one.high, "n": one.seeds}
        for net in nets for at, one in net.means.items()
    ])  # fmt: skip
    moments = sorted({at for net in nets for at in net.means})
    columns = {"Net": [net.net for net in nets]}
    columns |= {capital(label(at)): [_cell(net.means.get(at)) for net in nets] for at in moments}
    caption = (
        "Factor by which the norm of the gradient grows a layer toward the input, fitted to the logarithms over all "
        "3x3 layers but the first: geometric mean over seeds and 95% interval (number of seeds). Above 1 gradients "
        f"explode, below they vanish; theory for batch norm and ReLU: {BATCH_NORM_GROWTH:.3f} ({SOURCE})."
    )
    return Table("gradient-growth", caption, numbers, pd.DataFrame(columns))


def _cell(one: Interval | None) -> str:
    if one is None:
        return NOTHING
    if math.isnan(one.low):
        return f"{rate_text(one.estimate)} (1)"
    return f"{rate_text(one.estimate)}, {rate_text(one.low)} to {rate_text(one.high)} ({one.seeds})"


def _growth_picture(data: figure.GradientData, evidence: Evidence, folder: Path) -> Picture:
    means = means_words((line.seeds for line in data.lines), "Geometric means")
    caption = (
        "Norm of the gradient of the loss in what goes into each 3x3 layer, over a whole batch in training mode, "
        f"relative to that of the net's last layer, from the input (left) to the output: {_panels(data)}. "
        f"{means}; the first layer, whose input is the image, is left out. The broken line grows by "
        f"{BATCH_NORM_GROWTH:.3f} a layer, as theory has it for batch norm and ReLU without shortcuts ({SOURCE})."
    )
    caption += data.lines.left_out(data.all_depths)
    ends = [
        f"{line.architecture} {line.depth} layers {phrase(line.moment)} {number(float(line.mean[-1]))}"
        for line in data.lines
    ]
    alt = f"Charts of gradients by layer. At the layer nearest the input, over the last layer's: {', '.join(ends)}."
    rows, columns = len(data.lines.panels), len(data.moments)
    draw = partial(figure.draw_gradients, data, BATCH_NORM_GROWTH)
    texts = ("Gradients from layer to layer", caption, alt)
    size = {"rows": rows, "columns": columns, "height": 0.9 + 1.45 * rows, "sharex": True, "sharey": True}
    return make_picture(evidence, folder, "gradients", texts, draw, data.frame(), **size)


def _panels(data: figure.GradientData) -> str:
    text = listed([phrase(moment) for moment in data.moments])
    return text if len(data.lines.panels) == 1 else f"{text}, {' nets above, '.join(data.lines.panels)} nets below"


def _weight_picture(data: figure.WeightData, evidence: Evidence, folder: Path) -> Picture:
    seeds = [line.seeds for found in data.lines.values() for line in found]
    caption = (
        f"Layer by layer in {listed([f'the {kind} net of {depth} layers' for kind, depth in data.nets])}, later "
        "moments darker: norm of the weights; effective rate, the learning rate of the moment over the square of that "
        "norm, at which a step turns weights before batch norm (van Laarhoven 2017, arXiv 1706.05350); and the angle "
        f"between the weights and the initial ones, {math.pi / 2:.2f} where nothing of them is left. "
        f"{means_words(seeds, 'Means (of norm and rate geometric)')}."
    )
    turns = [
        f"{one.architecture} {one.depth} layers {phrase(one.moment)} {one.mean[0]:.2f} at the first and "
        f"{one.mean[-1]:.2f} at the last"
        for one in data.lines.get("turn", ())
    ]
    alt = f"Charts of weights by layer. Turn since the start in rad: {', '.join(turns) or 'none measured'}."
    rows, columns = len(data.lines), len(data.nets)
    size = {"rows": rows, "columns": columns, "height": 0.7 + 1.4 * rows, "sharex": "col", "sharey": "row"}
    texts = ("What gradients do to the layers", caption, alt)
    return make_picture(
        evidence, folder, "weights", texts, partial(figure.draw_weights, data), data.frame(), **size
    )  # fmt: skip
