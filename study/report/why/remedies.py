"""The chapter on remedies: what besides the shortcut repairs a plain net, and how much of a shortcut it takes."""

import math
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from study.report.figures import remedies as figure
from study.report.figures.drawing import Picture
from study.report.figures.style import COLUMN, WIDTH
from study.report.tables.results import NOTHING, Table, spread
from study.report.why.arms import Arm, Effect, arms
from study.report.why.chapter import Chapter, Evidence
from study.report.why.doses import Doses, doses
from study.report.why.drawing import make_picture
from study.report.why.names import in_words
from study.report.why.remedy_words import sentences
from study.statistics.growth import BATCH_NORM_GROWTH
from study.statistics.interval import mean_interval
from study.verdict import selection as c
from study.verdict.rule import METRIC
from study.verdict.text import interval, listed, points

DIVERGED = "; crosses: a seed diverged and counts with the error of guessing"
SHORT: dict[Effect, str] = {
    "removes": "removed", "partly": "removed in part", "not": "not removed", "worse": "larger",
    "fails": "smaller, but no lower error", "same": "none, as without", "unclear": "can't be told", "alone": NOTHING,
}  # fmt: skip


def remedies_chapter(evidence: Evidence, folder: Path) -> Chapter | None:
    """Tell which variants remove the rise of training error with depth; None where there is one variant only.

    Args:
        evidence: with runs of other variants, and the table `gradients` where it was measured.
        folder: where figures go.
    """
    found = arms(evidence)
    if all(arm.base for arm in found):
        return None
    resolution = c.resolution(evidence.others, METRIC)
    dosed = doses(evidence)
    said = sentences(found, dosed, resolution, evidence.smallest_effect)
    pictures = [_picture(found, resolution, evidence, folder)]
    if dosed is not None:
        pictures.append(_dose_picture(dosed, resolution, evidence, folder))
    return Chapter("remedies", "What repairs it?", said, tuple(pictures), (remedies_table(found),))


def remedies_table(found: tuple[Arm, ...]) -> Table:
    """Return every remedy: errors of its shallowest and deepest net, its rise, and what it removes of plain nets'."""
    numbers = pd.DataFrame([
        {"variant": arm.variant, "architecture": arm.architecture, "shallow": arm.shallow, "deep": arm.deep,
         "shallow_error": arm.shallow_errors.mean(), "deep_error": arm.deep_errors.mean(),
         "seeds": len(arm.deep_errors), "diverged": arm.diverged, "rise": arm.rise.estimate,
         "rise_low": arm.rise.low, "rise_high": arm.rise.high, "removed": arm.removed.estimate,
         "removed_low": arm.removed.low, "removed_high": arm.removed.high, "removed_share": arm.share,
         "growth": arm.growth.estimate, "growth_low": arm.growth.low, "growth_high": arm.growth.high,
         "growth_seeds": arm.growth.seeds, "effect": arm.effect}
        for arm in found
    ])  # fmt: skip
    columns = {
        "Remedy": [label(arm) for arm in found],
        "Learning rate": [", ".join(f"{rate:g}" for rate in arm.rates) or NOTHING for arm in found],
        "Layers": [_layers(arm) for arm in found],
        "Shallow net (%)": [NOTHING if arm.borrowed else _spread(arm.shallow_errors, 0) for arm in found],
        "Deep net (%)": [_spread(arm.deep_errors, arm.diverged) for arm in found],
        "Rise (points)": [_range(arm.rise.estimate, arm.rise.low, arm.rise.high) for arm in found],
        "Removed (points)": [_removed(arm) for arm in found],
        "Share": [_share(arm) for arm in found],
        "The rise is": ["" if _plain(arm) else SHORT[arm.effect] for arm in found],
    }
    caption = (
        "Final training error of the shallowest and the deepest net of each variant, mean ± standard deviation (number "
        "of seeds); its rise with depth and what it removes of the rise of plain nets without a remedy between the "
        "same depths, with 95% Welch intervals. A net of one depth only is held against the shallowest plain net "
        "without a remedy. A diverged run counts with the error of guessing."
    )
    if any(arm.growth.seeds for arm in found):
        columns["Growth of gradients a layer"] = [_growth(arm) for arm in found]
        caption += (
            " Growth: factor of the gradient's norm a layer toward the input at initialisation, in the deep net, mean "
            f"over seeds; theory for batch norm and ReLU without shortcuts: {BATCH_NORM_GROWTH:.3f} (Yang et al. 2019, "
            "arXiv 1902.08129)."
        )
    return Table("remedies", caption, numbers, pd.DataFrame(columns))


def label(arm: Arm) -> str:
    """Write a remedy with its deep net: ``orthogonal weights (plain-56)``."""
    paper = {"plain": "no remedy", "residual": "shortcut"}.get(arm.architecture, "unchanged")
    return f"{in_words(arm.variant) or paper} ({arm.deep_net})"


def _layers(arm: Arm) -> str:
    return f"{arm.shallow}, {arm.deep}" if arm.shallow < arm.deep and not arm.borrowed else str(arm.deep)


def _plain(arm: Arm) -> bool:
    return arm.base and arm.architecture == "plain"


def _spread(errors: NDArray[np.float64], diverged: int) -> str:
    mean = mean_interval(errors)
    text = spread(mean.estimate, mean.sd, mean.seeds)
    return f"{text}, {diverged} diverged" if diverged else text


def _range(estimate: float, low: float, high: float) -> str:
    if math.isnan(estimate):
        return NOTHING
    if math.isnan(low):
        return points(estimate)
    return f"{points(estimate, low, high)}, {interval(estimate, low, high)}"


def _share(arm: Arm) -> str:
    told = arm.effect in ("removes", "partly") and not math.isnan(arm.share)
    return f"{100 * arm.share:.0f}%" if told and not _plain(arm) else NOTHING


def _removed(arm: Arm) -> str:
    return NOTHING if _plain(arm) else _range(arm.removed.estimate, arm.removed.low, arm.removed.high)


def _growth(arm: Arm) -> str:
    return f"{arm.growth.estimate:.3f} ({arm.growth.seeds})" if arm.growth.seeds else NOTHING


def _picture(found: tuple[Arm, ...], resolution: float, evidence: Evidence, folder: Path) -> Picture:
    rows = [
        figure.Row(label(arm), arm.architecture, arm.base, arm.deep if arm.borrowed else arm.shallow, arm.deep,
                   arm.deep_errors if arm.borrowed else arm.shallow_errors, arm.deep_errors, arm.diverged)
        for arm in found
    ]  # fmt: skip
    data = figure.remedy_data(rows, resolution)
    counts = {len(row.deep_errors) for row in rows}
    seeds = "one seed a net" if counts == {1} else (
        f"{min(counts)}{f' to {max(counts)}' if len(counts) > 1 else ''} seeds a net, small marks, with 95% t intervals"
    )  # fmt: skip
    depths = sorted({row.shallow for row in rows if row.shallow < row.deep})
    caption = "Final training error of the deepest net of each variant (full marks)"
    if depths:
        caption += f" and of its shallowest (hollow, {listed([str(depth) for depth in depths])} layers)"
    caption += f", lowest first: all training images, clean, evaluation mode; {seeds}. Circles are plain nets, squares "
    caption += "residual ones; broken lines are those without a remedy and those with the shortcut alone"
    caption += f"; the axis is linear up to {data.linear:g}% and logarithmic above" if data.linear else ""
    caption += DIVERGED if any(r.diverged for r in rows) else ""
    caption += "; intervals are cut at the edges of the axis." if data.clipped else "."
    if len(data.drawn) < len(rows):
        caption += f" Of {len(rows)} variants, the {len(data.drawn)} at either end are drawn."
    cells = [f"{row.label} {row.mean.estimate:.2f}%{_bounds(row.mean.low, row.mean.high)}" for row in data.rows]
    alt = f"Chart of final training error by remedy, lowest first. {'; '.join(cells)}."
    texts = ("What repairs a plain net", caption, alt)
    draw, height = partial(figure.draw_remedies, data), 1.15 + 0.26 * len(data.drawn)
    return make_picture(evidence, folder, "remedies", texts, draw, data.frame(), height=height, width=WIDTH)


def _dose_picture(dosed: Doses, resolution: float, evidence: Evidence, folder: Path) -> Picture:
    ends = (dosed.lines[0], dosed.deepest) if len(dosed.lines) > 1 else dosed.lines
    data = figure.dose_data(ends, resolution)
    counts = {len(cell) for line in ends for cell in line.errors}
    seeds = "one seed a net" if counts == {1} else "means over seeds, hollow, with 95% t intervals"
    caption = (
        "Final training error against the factor of what the shortcut carries: 0 is the plain net, 1 the residual "
        f"net; {seeds}"
    )
    caption += f"; the axis of errors is linear up to {data.linear:g}% and logarithmic above" if data.linear else ""
    caption += DIVERGED if any(any(line.diverged) for line in ends) else ""
    caption += (
        ". He et al. 2016 (arXiv 1603.05027, Table 1) have 6.61% test error of ResNet-110 on CIFAR-10 with the whole "
        "shortcut, and 12.35% with 0.5 on shortcut and branch."
    )
    cells = [
        f"{line.depth} layers, {scale:g}: {float(cell.mean()):.2f}%"
        for line in ends
        for scale, cell in zip(line.scales, line.errors, strict=True)
    ]
    alt = f"Chart of final training error by factor of the shortcut. {'; '.join(cells)}."
    texts = ("How much of a shortcut it takes", caption, alt)
    draw, width = partial(figure.draw_doses, data), 1.3 * COLUMN
    return make_picture(evidence, folder, "shortcut-scale", texts, draw, data.frame(), height=2.8, width=width)


def _bounds(low: float, high: float) -> str:
    return "" if math.isnan(low) else f" ({low:.2f} to {high:.2f})"
