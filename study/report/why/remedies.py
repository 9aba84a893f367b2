"""The chapter on remedies: what besides the shortcut repairs a plain net, and how much of a shortcut it takes."""

import math
from typing import Any

import pandas as pd
from scipy import stats

from study.report.figures.remedies import Row, doses_drawing, remedies_drawing
from study.report.tables.results import spread_of
from study.report.tables.writer import NOTHING, Column, Table, or_nothing, with_interval
from study.report.why.arms import WITHIN, Arm, Effect, arms, doses, in_words, rises
from study.report.why.chapter import Evidence, Findings, chapter
from study.statistics.interval import Interval
from study.statistics.welch import excess
from study.verdict import selection as c
from study.verdict.findings import METRIC
from study.verdict.rule import ALPHA
from study.verdict.text import points

LEAST_RANKED = 5
"""Fewest variants for an order of growths and errors: no order of four differs from chance."""
HELPS: tuple[Effect, ...] = ("removes", "partly")
FAILS: tuple[Effect, ...] = ("not", "worse", "fails", "same", "unclear")
SHORT: dict[Effect, str] = {
    "removes": "removed",
    "partly": "removed in part",
    "not": "not removed",
    "worse": "larger",
    "fails": "smaller, but no lower error",
    "same": "none, as without",
    "unclear": "can't be told",
    "alone": NOTHING,
}


@chapter("remedies", "What repairs it?")
def remedies_chapter(evidence: Evidence) -> Findings | None:
    """Tell which variants remove the rise of training error with depth; None where there is one variant only."""
    nets = arms(evidence)
    if all(arm.base for arm in nets):
        return None
    resolution = c.resolution(evidence.others, METRIC)
    scaled = doses(evidence)
    facts = find_effects(nets, scaled, resolution, evidence.smallest_effect)
    drawings = [remedies_drawing([_row(arm) for arm in nets], resolution)]
    drawings += [doses_drawing(scaled, resolution)] if len(scaled) else []
    return Findings(facts, drawings, [remedies_table(nets)])


def _row(arm: Arm) -> Row:
    """Return an arm as a row of the figure; it has its deep net alone where the shallow one is that of other nets."""
    return Row(
        label=label(arm),
        architecture=arm.architecture,
        base=arm.base,
        shallow=arm.deep if arm.borrowed else arm.shallow,
        deep=arm.deep,
        shallow_errors=arm.deep_errors if arm.borrowed else arm.shallow_errors,
        deep_errors=arm.deep_errors,
        diverged=arm.diverged,
    )


def find_effects(nets: tuple[Arm, ...], scaled: pd.DataFrame, resolution: float, smallest: float) -> dict[str, Any]:
    """Return what there is to repair, what repairs it, what doesn't, and how much of a shortcut it takes.

    Args:
        nets: as `arms` gives them.
        scaled: nets that differ in the scale of the shortcut alone, as `doses` gives them.
        resolution: what one training image is worth in percent.
        smallest: smallest effect of interest, in points of training error.
    """
    tried = [arm for arm in nets if not arm.base or arm.architecture == "residual"]
    judged = [arm for arm in tried if arm.effect != "alone"]
    plain = next((arm for arm in nets if arm.base and arm.architecture == "plain"), None)
    groups: dict[Effect, list[Arm]] = {effect: [arm for arm in tried if arm.effect == effect] for effect in SHORT}
    return {
        "plain": plain if plain and not math.isnan(plain.rise.estimate) else None,
        "rises": rises,
        "within": WITHIN,
        "groups": groups,
        "parts": [[effect for effect in part if groups[effect]] for part in (HELPS, FAILS)],
        "single": [arm for arm in judged if math.isnan(arm.removed.low)],
        "judged": judged,
        "dose": _dose(scaled, resolution, smallest) if len(scaled) else None,
        "growth": _growth_and_error(nets),
        "smallest": smallest,
        "alpha": ALPHA,
    }


def _dose(scaled: pd.DataFrame, resolution: float, smallest: float) -> dict[str, Any]:
    """Return the scales at which the deepest net is as good as with the whole shortcut, worse, or neither for sure."""
    deepest = scaled[scaled["depth"] == scaled["depth"].max()]
    errors = {scale: part.to_numpy() for scale, part in deepest.groupby("shortcut_scale")["error"]}
    *parts, (_, last) = errors.items()
    directions = {scale: excess(part, last, resolution).direction(smallest) for scale, part in parts}
    same = [scale for scale, direction in directions.items() if direction in WITHIN]
    higher = [scale for scale, direction in directions.items() if direction in ("more", "rather more")]
    unclear = [scale for scale in directions if scale not in {*same, *higher}]
    depth = int(deepest["depth"].iloc[0])
    return {"depth": depth, "errors": errors, "same": same, "higher": higher, "unclear": unclear}


def _growth_and_error(nets: tuple[Arm, ...]) -> dict[str, Any] | None:
    """Return whether nets whose gradients grow or shrink more at initialisation end with the higher error.

    Kendall's tau over variants with its exact p-value (Kendall, 1938, Biometrika 30), as `scipy.stats.kendalltau` has
    it; None where too few are known.
    """
    deep = max(arm.deep for arm in nets)
    known = [arm for arm in nets if arm.deep == deep and arm.growth.seeds]
    if len(known) < LEAST_RANKED:
        return None
    away = [round(abs(math.log(arm.growth.estimate)), 4) for arm in known]
    order = stats.kendalltau(away, [float(arm.deep_errors.mean()) for arm in known])
    if math.isnan(order.statistic):
        return None
    return {"variants": len(known), "depth": deep, "tau": float(order.statistic), "p": float(order.pvalue)}


def remedies_table(nets: tuple[Arm, ...]) -> Table:
    """Return every remedy: errors of its shallowest and deepest net, its rise, and what it removes of plain nets'."""
    rows = [
        {
            "variant": arm.variant,
            "architecture": arm.architecture,
            "shallow": arm.shallow,
            "deep": arm.deep,
            "shallow_error": arm.shallow_errors.mean(),
            "deep_error": arm.deep_errors.mean(),
            "seeds": len(arm.deep_errors),
            "diverged": arm.diverged,
            **_columns("rise", arm.rise),
            **_columns("removed", arm.removed),
            "removed_share": arm.share,
            **_columns("growth", arm.growth),
            "growth_seeds": arm.growth.seeds,
            "effect": arm.effect,
        }
        for arm in nets
    ]
    growth = any(arm.growth.seeds for arm in nets)
    rise = with_interval(points)
    columns = [
        Column("Remedy", "arm", label),
        Column("Learning rate", "arm", lambda arm: ", ".join(f"{rate:g}" for rate in arm.rates) or NOTHING),
        Column("Layers", "arm", _layers),
        Column("Shallow net (%)", "arm", lambda arm: NOTHING if arm.borrowed else spread_of(arm.shallow_errors)),
        Column("Deep net (%)", "arm", _deep_errors),
        Column("Rise (points)", ("rise", "rise_low", "rise_high"), rise),
        Column("Removed (points)", "arm", lambda arm: NOTHING if _is_plain(arm) else rise(*arm.removed[:3])),
        Column("Share", "arm", _share),
        Column("The rise is", "arm", lambda arm: "" if _is_plain(arm) else SHORT[arm.effect]),
    ]
    if growth:
        factor = or_nothing("{:.3f} ({})".format)
        columns.append(Column("Growth of gradients a layer", ("growth", "growth_seeds"), factor))
    return Table.of("remedies", pd.DataFrame(rows), columns, {"arm": nets}, growth=growth)


def label(arm: Arm) -> str:
    """Write a remedy with its deep net: ``orthogonal weights (plain-56)``."""
    paper = {"plain": "no remedy", "residual": "shortcut"}.get(arm.architecture, "unchanged")
    return f"{in_words(arm.variant) or paper} ({arm.deep_net})"


def _is_plain(arm: Arm) -> bool:
    return arm.base and arm.architecture == "plain"


def _layers(arm: Arm) -> str:
    return f"{arm.shallow}, {arm.deep}" if arm.shallow < arm.deep and not arm.borrowed else str(arm.deep)


def _deep_errors(arm: Arm) -> str:
    return f"{spread_of(arm.deep_errors)}{f', {arm.diverged} diverged' if arm.diverged else ''}"


def _columns(name: str, interval: Interval) -> dict[str, float]:
    return {name: interval.estimate, f"{name}_low": interval.low, f"{name}_high": interval.high}


def _share(arm: Arm) -> str:
    has_share = arm.effect in ("removes", "partly") and not math.isnan(arm.share)
    return f"{100 * arm.share:.0f}%" if has_share and not _is_plain(arm) else NOTHING
