"""The verdict's sentences on the page: training error, test error, other explanations, then what was left out."""

import math
from collections.abc import Sequence

from study.verdict import selection as c
from study.verdict.explanations import rates_words
from study.verdict.facts import Explanation, Facts
from study.verdict.line import minus, short
from study.verdict.pairs import ALPHA
from study.verdict.rule import Finding
from study.verdict.shortcut_effect import Remedy
from study.verdict.text import bounds, capital, listed, p_value, points, probability, size


def sentences(facts: Facts, explanations: Sequence[Explanation]) -> tuple[str, ...]:
    """Return the sentences of the page, in order; each is written from the numbers alone."""
    out = []
    for finding in facts.findings:
        if finding.architecture != "plain" and facts.finding("plain") is not None:
            out.append(f"{capital(short(finding, facts.smallest))}.")
        out += _training(finding, facts.smallest)
    out += _shortcuts(facts)
    for finding in facts.findings:
        out += _test(finding, facts.smallest)
    out += [one.sentence for one in explanations]
    out += _conditions(facts, told=any(one.name == "learning rate" for one in explanations))
    return tuple(out)


def _training(finding: Finding, smallest: float) -> list[str]:
    """Say which pairs differ, whether error rises along the depths, how often, and where the curve turns."""
    out = []
    main = finding.architecture == "plain" or finding.status == "shown"
    tested = any(not math.isnan(pair.p_holm) for pair in finding.train)
    if len(finding.train) > 1 and tested and main:
        out.append(_count(finding, smallest))
    if finding.trend.p_holm < ALPHA and finding.headline is not None:
        out.append(
            f"Over {finding.trend.groups} depths, training error of {finding.architecture} nets rises with depth "
            f"(Jonckheere-Terpstra, {p_value(finding.trend.p_holm)} after Holm)."
        )
    pair = finding.headline
    if main and pair is not None and not math.isnan(pair.probability.low):
        out.append(
            f"A run of {pair.deep_net} ends with more training error than one of {pair.shallow_net} with probability "
            f"{probability(pair.probability)}."
        )
    if main and len(finding.train) > 1:
        out += _turn(finding, smallest)
    return out


def _count(finding: Finding, smallest: float) -> str:
    hits = sorted((pair for pair in finding.train if pair.worse(smallest)), key=lambda pair: -pair.difference.estimate)
    total = f"Of {len(finding.train)} pairs of {finding.architecture} nets"
    tested = sum(not math.isnan(pair.p_holm) for pair in finding.train)
    if tested < len(finding.train):
        total += f", of which {tested} could be tested"
    if not hits:
        return f"{total}, none has a deeper net with significantly more training error, by {smallest:g} points or more."
    told = [f"{p.deep_net} over {p.shallow_net} by {points(p.difference.estimate)}" for p in hits]
    verb = "has a deeper net" if len(hits) == 1 else "have a deeper net"
    return f"{total}, {len(hits)} {verb} with significantly more training error (in points: {listed(told)})."


def _turn(finding: Finding, smallest: float) -> list[str]:
    """Say at which depth the training error is least and whether deeper nets are told apart from it."""
    found = finding.turn
    if found is None:
        return []
    same = f", as at {listed(list(found.equal))}" if found.equal else ""
    text = f"Training error of {finding.architecture} nets is least at {found.net} ({points(found.error)}%{same})"
    if not found.deeper:
        return [f"{text}, the deepest: the curve does not turn."]
    if not found.tested:
        return [f"{text}."]
    rest = [net for net in found.tested if net not in found.worse]
    by = f"by {smallest:g} points or more"
    if not found.worse:
        if len(rest) == len(found.deeper):
            return [f"{text}; no deeper net is significantly worse {by}."]
        return [f"{text}; {listed(rest)} {'is' if len(rest) == 1 else 'are'} not significantly worse {by}."]
    text += f"; {listed(list(found.worse))} {'is' if len(found.worse) == 1 else 'are'} significantly worse {by}"
    return [f"{text}, {listed(rest)} {'is' if len(rest) == 1 else 'are'} not." if rest else f"{text}."]


def _shortcuts(facts: Facts) -> list[str]:
    """Say what the shortcuts change at each depth; of a single depth the line may have said it."""
    found, plain = facts.remedies, facts.finding("plain")
    if found.lacking:
        return [f"What the shortcuts remove was not computed: {found.lacking}."]
    if not found.depths or (len(found.depths) == 1 and plain is not None and plain.status == "shown"):
        return []
    told = []
    for rank, one in enumerate(found.depths):
        d = one.contrast
        ends = f"{'95% interval ' * (rank == 0)}{bounds(d)}"
        told.append(f"{size(d)}{' points' * (rank == 0)} at {one.deep} ({ends})")
    text = "What the shortcuts remove of the training error"
    if min(one.contrast.estimate for one in found.depths) < -0.005:
        text += " (below zero: add to it)"
    text += f", against {found.depths[0].shallow} layers: {listed(told)}"
    return [f"{text}; {_beyond(found.depths)}."]


def _beyond(depths: Sequence[Remedy]) -> str:
    """Say at which depths the shortcuts' effect is significant."""
    parts = []
    for word, sign in (("removed", 1), ("added", -1)):
        sure = [one for one in depths if one.p_holm < ALPHA and sign * one.contrast.estimate > 0]
        clear = [str(one.deep) for one in sure if not one.edge]
        if clear:
            parts.append(f"significantly {word} at {listed(clear)}")
    edge = [str(one.deep) for one in depths if one.edge]
    if edge:
        parts.append(f"at {listed(edge)} a rate on the edge of its search may explain it")
    return ", ".join(parts) if parts else "at no depth significantly"


def _test(finding: Finding, smallest: float) -> list[str]:
    """Say what the test error does at the headline pair."""
    headline = finding.headline
    test = finding.match(headline, finding.test) if headline is not None else None
    if test is None or math.isnan(test.difference.estimate):
        return []
    ending = ""
    if finding.status == "shown" and test.worse(smallest):
        ending = ", so the deeper net is worse there too"
    elif finding.status == "shown" and test.harmless(smallest):
        ending = ", so what it loses in training does not reach them"
    elif finding.status == "refuted" and test.worse(smallest):
        ending = ", a loss that is not in training error: overfitting, not degradation"
    return [f"On test images, {minus(test, 'error')}{ending}."]


def _conditions(facts: Facts, *, told: bool) -> list[str]:
    """Say how learning rates were set, unless that is told, what diverged and what is left out."""
    out, kept = [], facts.kept
    if len(kept) and not told:
        out.append(rates_words(kept))
    diverged = kept[kept["outcome"] == "diverged"]
    if len(diverged):
        names = listed([str(name) for name in diverged["name"]])
        counts = "counts" if len(diverged) == 1 else "count"
        out.append(f"{names} diverged and {counts} with the error of guessing.")
    left = c.excluded(facts.runs)
    if left:
        reasons = listed([f"{run.name} ({run.reason})" for run in left])
        out.append(f"{len(left)} of {len(facts.runs)} runs {'is' if len(left) == 1 else 'are'} not counted: {reasons}.")
    return out
