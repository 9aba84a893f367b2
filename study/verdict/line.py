"""The verdict in one sentence, for the terminal and for the head of the page."""

import math

from study.verdict.facts import Facts
from study.verdict.pairs import Pair
from study.verdict.rule import Finding
from study.verdict.text import evidence, interval, minus, points, shown_by

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
            f"{kind} nets train worse with depth: {pair.deep_net} ends with {points(d.estimate, d.low, d.high)} points "
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
    estimate = points(d.estimate, d.low, d.high)
    return f"; {pair.deep_net} minus {pair.shallow_net} is {estimate} points of training error{ending}"


def _plain(plain: Finding, facts: Facts) -> str:
    pair = plain.headline
    if plain.status == "shown" and pair is not None:
        d = pair.difference
        return (
            f"Degradation shown: {pair.deep_net} ends with {points(d.estimate, d.low, d.high)} points more training "
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
    numbers = f"{points(d.estimate, d.low, d.high)} points ({interval(d.estimate, d.low, d.high)})"
    if facts.remedies.headline.edge:
        return f"; that the shortcuts change it is not shown, as a rate on the edge of its search may: {numbers}"
    if d.low > 0:
        return f"; the shortcuts remove {numbers}"
    if d.high < 0:
        flipped = f"{points(-d.estimate, d.low, d.high)} points ({interval(-d.estimate, -d.high, -d.low)})"
        return f"; with shortcuts the rise is larger by {flipped}"
    return f"; that the shortcuts remove any of it is not shown: {numbers}"
