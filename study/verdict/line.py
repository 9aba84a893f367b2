"""The verdict in one sentence, for the terminal and for the head of the page."""

import math

from study.statistics.interval import Interval
from study.verdict.facts import Facts
from study.verdict.pairs import ALPHA, Pair
from study.verdict.rule import Finding
from study.verdict.text import bounds, p_value, points, size

VERDICTS = {
    "one seed": "Inconclusive",
    "no result": "Inconclusive",
    "imprecise": "Inconclusive",
    "one depth": "No verdict",
    "unequal training": "Verdict withheld",
    "unequal data": "Verdict withheld",
    "edge": "Verdict withheld",
}


def line(facts: Facts) -> str:
    """Return the verdict in one sentence."""
    plain, residual = facts.finding("plain"), facts.finding("residual")
    if plain is None:
        text = "No verdict on depth alone: the study has no plain nets"
        if residual is not None:
            text += f"; {short(residual, facts.smallest)}"
    else:
        text = _plain(plain, facts)
        if plain.status == "shown" and plain.headline is not None:
            text += _beside(plain.headline, residual) + _removed(facts)
    text += "."
    return f"With {facts.variant}: {text[0].lower()}{text[1:]}" if facts.variant else text


def short(finding: Finding, smallest: float) -> str:
    """Tell a finding that isn't the study's first, without a capital: ``residual nets train worse with depth: ...``."""
    kind, pair = finding.architecture, finding.headline
    if finding.status == "shown" and pair is not None:
        d = pair.difference
        return (
            f"{kind} nets train worse with depth: {pair.deep_net} ends with {size(d)} points "
            f"more training error than {pair.shallow_net} ({shown_by(finding, pair)})"
        )
    if finding.status == "refuted" and pair is not None:
        return f"degradation is refuted for {kind} nets: {minus(pair, p=False)}"
    verdict = VERDICTS[finding.reason]
    return f"{verdict[0].lower()}{verdict[1:]} for {kind} nets: {why(finding, smallest)}"


def why(finding: Finding, smallest: float) -> str:
    """Say why a finding is inconclusive."""
    pair, detail = finding.headline, finding.detail
    if finding.reason == "unequal training":
        return f"the nets were trained for different lengths ({detail})"
    if finding.reason == "unequal data":
        return f"the nets were trained on different data ({detail})"
    if finding.reason == "one depth":
        return f"{detail} is the only one of its kind, so no depths can be compared"
    if finding.reason == "no result":
        return f"{detail} {'have' if ' and ' in detail else 'has'} no finished run"
    if finding.reason == "one seed":
        return f"{detail} {'have one seed each' if ' and ' in detail else 'has one seed'}{_without_claim(pair)}"
    if pair is None:
        return "no two nets can be compared"
    if finding.reason == "edge":
        return f"{detail}, and one beyond it may err less; as it is, {minus(pair)}"
    return f"{minus(pair)}, which neither shows nor excludes an effect of {smallest:g} points"


def _without_claim(pair: Pair | None) -> str:
    if pair is None or math.isnan(pair.difference.estimate):
        return ""
    d = pair.difference
    ending = ", without an interval" if math.isnan(d.low) else f" ({evidence(pair)})"
    estimate = size(d)
    return f"; {pair.deep_net} minus {pair.shallow_net} is {estimate} points of training error{ending}"


def _plain(plain: Finding, facts: Facts) -> str:
    pair = plain.headline
    if plain.status == "shown" and pair is not None:
        d = pair.difference
        return (
            f"Degradation shown: {pair.deep_net} ends with {size(d)} points more training "
            f"error than {pair.shallow_net} ({shown_by(plain, pair)})"
        )
    if plain.status == "refuted" and pair is not None:
        return (
            f"Degradation refuted at these depths: {minus(pair, p=False)}, and between no two plain nets "
            f"does the 95% interval reach {facts.smallest:g} points"
        )
    return f"{VERDICTS[plain.reason]}: {why(plain, facts.smallest)}"


def _beside(headline: Pair, residual: Finding | None) -> str:
    """Say what residual nets do at the depths of the plain headline."""
    pair = residual.match(headline, residual.train) if residual is not None else None
    if pair is None or math.isnan(pair.difference.estimate):
        return ""
    estimate = points(pair.difference.estimate)
    if float(estimate) == 0:
        return f"; {pair.deep_net} with as much as {pair.shallow_net}"
    word = "less" if estimate.startswith("-") else "more"
    return f"; {pair.deep_net} with {estimate.removeprefix('-')} {word} than {pair.shallow_net}"


def _removed(facts: Facts) -> str:
    """Say what the shortcuts remove of the headline's rise."""
    if facts.remedies.headline is None:
        return ""
    d = facts.remedies.headline.contrast
    numbers = f"{size(d)} points ({bounds(d)})"
    if facts.remedies.headline.edge:
        return f"; that the shortcuts change it is not shown, as a rate on the edge of its search may: {numbers}"
    if d.low > 0:
        return f"; the shortcuts remove {numbers}"
    if d.high < 0:
        flipped = f"{points(-d.estimate, d.low, d.high)} points ({bounds(Interval(-d.estimate, -d.high, -d.low))})"
        return f"; with shortcuts the rise is larger by {flipped}"
    return f"; that the shortcuts remove any of it is not shown: {numbers}"


def seeds(pair: Pair) -> str:
    """Write the seeds of a pair: ``3 seeds each``, ``3 and 2 seeds``."""
    deep, shallow = pair.difference.n
    if deep == shallow:
        return f"{deep} seed{'s' * (deep != 1)} each"
    return f"{deep} and {shallow} seeds"


def minus(pair: Pair, metric: str = "training error", *, p: bool = True) -> str:
    """Write a difference: ``plain-56 minus plain-8 is 32.1 points of training error (95% interval ...)``."""
    d = pair.difference
    estimate = size(d)
    return f"{pair.deep_net} minus {pair.shallow_net} is {estimate} points of {metric} ({evidence(pair, p=p)})"


def evidence(pair: Pair, *, p: bool = True) -> str:
    """Write what a difference rests on: interval, p-value and seeds; what is refuted rests on the interval alone."""
    d = pair.difference
    if math.isnan(d.low):
        return seeds(pair)
    return f"95% interval {bounds(d)}, {f'{p_value(pair.p_holm)} after Holm, ' * p}{seeds(pair)}"


def shown_by(finding: Finding, pair: Pair) -> str:
    """Write the evidence for a rise that is shown: of the pair itself, or of the order of all depths."""
    if pair.p_holm < ALPHA:
        return evidence(pair)
    d, rise = pair.difference, finding.trend
    ends = "" if math.isnan(d.low) else f"95% interval {bounds(d)}, "
    return f"{ends}{seeds(pair)}; {p_value(rise.p_holm)} after Holm for the rise over {rise.groups} depths"
