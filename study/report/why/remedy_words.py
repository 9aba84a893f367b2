"""What the sentences on remedies say: which remove the rise with depth, which part of it, and which don't."""

import math

from scipy import stats

from study.report.why.arms import Arm, Effect, rises
from study.report.why.doses import Doses
from study.statistics.interval import Interval
from study.statistics.welch import excess
from study.verdict.pairs import ALPHA
from study.verdict.text import capital, grounds, interval, listed, p_value, points

MOST_NAMES = 8
"""Remedies that a sentence names; of more, their number."""
LEAST_RANKED = 5
"""Variants from which on an order of growths and errors is told: of four, none could be told from chance."""


def sentences(found: tuple[Arm, ...], doses: Doses | None, resolution: float, smallest: float) -> tuple[str, ...]:
    """Say what there is to repair, what repairs it, what doesn't, and how much of a shortcut it takes.

    Args:
        found: as `arms` gives them.
        doses: nets that differ in the scale of the shortcut alone.
        resolution: what one training image is worth in percent.
        smallest: smallest effect of interest, in points of training error.
    """
    tried = [arm for arm in found if not arm.base or arm.architecture == "residual"]
    plain = next((arm for arm in found if arm.base and arm.architecture == "plain"), None)
    out = [_rise(plain, smallest), *_effects(tried, smallest), _dose(doses, resolution, smallest), _growth(found)]
    return tuple(text for text in out if text)


def _rise(plain: Arm | None, smallest: float) -> str:
    if plain is None or math.isnan(plain.rise.estimate):
        return "No plain nets of two depths are there that remedies could be judged by."
    rise, way = plain.rise, plain.rise.direction(smallest)
    text = f"From {plain.shallow} to {plain.deep} layers the training error of plain nets without a remedy "
    text += f"{'rises' if rise.estimate > 0 else 'changes'} by {_points(rise)} points ({grounds(rise)})"
    if way in ("no more", "less"):
        return f"{text}: there is no rise that a remedy could remove."
    return f"{text}." if rises(rise) else f"{text}: whether there is a rise to be removed can't be told."


def _points(one: Interval) -> str:
    ends = (one.estimate,) if math.isnan(one.low) else (one.low, one.high)
    return points(one.estimate, *ends)


def _effects(tried: list[Arm], smallest: float) -> list[str]:
    """Say of each group of remedies what it does, each with its numbers where there are few."""
    words: dict[Effect, str] = {
        "removes": f"no rise above {smallest:g} points is left with",
        "partly": "a part of the rise is removed by",
        "not": f"no more than {smallest:g} points of the rise are removed by",
        "worse": "the rise is larger with",
        "fails": "the rise is smaller only as the shallow net errs more, and the deep net is no better, with",
        "same": "there is no rise, as without a remedy, with",
        "unclear": "whether the rise is removed can't be told for",
    }
    groups: dict[Effect, list[Arm]] = {effect: [arm for arm in tried if arm.effect == effect] for effect in words}
    told = {effect: f"{words[effect]} {_named(mine)}" for effect, mine in groups.items() if mine}
    good = [told[effect] for effect in ("removes", "partly") if effect in told]
    bad = [told[effect] for effect in ("not", "worse", "fails", "same", "unclear") if effect in told]
    out = [f"{capital('; '.join(parts))}." for parts in (good, bad) if parts]
    alone = [arm for arm in tried if arm.effect == "alone"]
    if alone:
        out.append(f"Nothing of the same depths is there to judge {_list([arm.name for arm in alone])} by.")
    return [text + _one_seed(tried) if text is out[-1] else text for text in out]


def _one_seed(tried: list[Arm]) -> str:
    judged = [arm for arm in tried if arm.effect != "alone"]
    single = [arm for arm in judged if math.isnan(arm.removed.low)]
    if not single:
        return ""
    which = "What" if len(single) == len(judged) else "Some of what"
    return f" {which} is said rests on one seed a net, with no interval."


def _named(some: list[Arm]) -> str:
    return _list([_numbers(arm) if len(some) <= MOST_NAMES else arm.name for arm in some])


def _list(names: list[str]) -> str:
    if len(names) <= MOST_NAMES:
        return listed(names)
    return f"{', '.join(names[:MOST_NAMES])} and {len(names) - MOST_NAMES} others"


def _numbers(arm: Arm) -> str:
    """Write an arm with its rise and its share: ``width=2 (plain-56; rise 1.20 points, 0.90 to 1.50; 96% less)``."""
    parts = [f"rise {_points(arm.rise)} points"]
    if not math.isnan(arm.rise.low):
        parts[0] += f", {interval(arm.rise.estimate, arm.rise.low, arm.rise.high)}"
    if arm.effect == "partly" and not math.isnan(arm.share):
        parts.append(f"{100 * arm.share:.0f}% less")
    if arm.diverged:
        parts.append(f"{arm.diverged} of {len(arm.deep_errors)} diverged")
    return f"{arm.name[:-1]}; {'; '.join(parts)})"


def _dose(doses: Doses | None, resolution: float, smallest: float) -> str:
    """Say from which scale of the shortcut on the deep net is as good as with the whole of it."""
    if doses is None:
        return ""
    deep = doses.deepest
    errors = dict(zip(deep.scales, deep.errors, strict=True))
    text = (
        f"With the shortcut times {listed([f'{scale:g}' for scale in deep.scales])} nets of {deep.depth} layers end at "
        f"{listed([points(float(cell.mean())) for cell in deep.errors])}%"
    )
    last = deep.scales[-1]
    ways = {scale: excess(errors[scale], errors[last], resolution).direction(smallest) for scale in deep.scales[:-1]}
    same = [scale for scale, way in ways.items() if way in ("no more", "less")]
    apart = [scale for scale, way in ways.items() if way in ("more", "rather more")]
    parts = [f"as low as with {last:g} at {listed([f'{scale:g}' for scale in same])}"] if same else []
    parts += [f"higher at {listed([f'{scale:g}' for scale in apart])}"] if apart else []
    unclear = [scale for scale in ways if scale not in {*same, *apart}]
    parts += [f"which of the two can't be told at {listed([f'{scale:g}' for scale in unclear])}"] if unclear else []
    seeds = {len(cell) for cell in deep.errors}
    return f"{text}: {', '.join(parts)}{', as far as one seed can tell' if 1 in seeds else ''}."


def _growth(found: tuple[Arm, ...]) -> str:
    """Say whether nets whose gradients grow or shrink more at initialisation end with the higher error.

    Kendall's tau over variants with its exact p-value (Kendall, 1938, Biometrika 30), as `scipy.stats.kendalltau` has
    it.
    """
    deep = max(arm.deep for arm in found)
    known = [arm for arm in found if arm.deep == deep and arm.growth.seeds]
    if len(known) < LEAST_RANKED:
        return ""
    away = [round(abs(math.log(arm.growth.estimate)), 4) for arm in known]
    order = stats.kendalltau(away, [float(arm.deep_errors.mean()) for arm in known])
    if math.isnan(order.statistic):
        return ""
    verdict = "an order that may be chance"
    if order.pvalue < ALPHA:
        verdict = f"the farther, the {'higher' if order.statistic > 0 else 'lower'} the error"
    return (
        f"Over {len(known)} variants of {deep} layers, how far the growth of gradients a layer at initialisation is "
        f"from 1 and the final training error have a rank correlation (Kendall's tau) of {order.statistic:.2f} "
        f"({p_value(float(order.pvalue))}): {verdict}."
    )
