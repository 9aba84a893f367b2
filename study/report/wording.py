"""The verdict in words: one line for the terminal, and the sentences of the page."""

import math
from typing import NamedTuple

import pandas as pd

from study.report import cells as c
from study.report.pairs import Pair
from study.report.rule import ALPHA, Finding, Remedy, listed


class Facts(NamedTuple):
    """All that a verdict's words may rest on."""

    variant: str
    smallest: float
    findings: tuple[Finding, ...]
    remedy: Remedy | None
    no_remedy: str
    runs: pd.DataFrame
    kept: pd.DataFrame

    def finding(self, architecture: str) -> Finding | None:
        """Return the finding for an architecture, if the study has such nets."""
        return next((one for one in self.findings if one.architecture == architecture), None)


def points(value: float, *others: float) -> str:
    """Write a number of points with as many decimals as it and the numbers beside it need, and never ``-0.0``."""
    decimals = 1 if max(abs(v) for v in (value, *others) if not math.isnan(v)) >= 10 else 2
    return f"{round(value, decimals) + 0.0:.{decimals}f}"


def interval(estimate: float, low: float, high: float) -> str:
    """Write an interval with the estimate's decimals: ``28.0 to 36.2``."""
    return f"{points(low, estimate, high)} to {points(high, estimate, low)}"


def p_value(p: float) -> str:
    """Write a p-value with two significant digits: ``p = 0.0042``."""
    if p < 0.0001:
        return "p < 0.0001"
    if p > 0.99:
        return "p > 0.99"
    return f"p = {p:.2f}" if p >= 0.1 else f"p = {float(f'{p:.2g}'):.6f}".rstrip("0")


def seeds(pair: Pair) -> str:
    """Write the seeds of a pair: ``3 seeds each``, ``3 and 2 seeds``."""
    deep, shallow = pair.difference.n_deep, pair.difference.n_shallow
    if deep == shallow:
        return f"{deep} seed{'s' * (deep != 1)} each"
    return f"{deep} and {shallow} seeds"


def line(facts: Facts) -> str:
    """Return the verdict in one sentence."""
    plain, residual = facts.finding("plain"), facts.finding("residual")
    if plain is None:
        text = "No verdict on depth alone: the study has no plain nets"
        if residual is not None:
            text += f"; {_short(residual, facts.smallest)}"
    else:
        text = _plain_line(plain, facts)
        if plain.status == "shown" and plain.headline is not None:
            text += _beside(plain.headline, residual) + _removed(facts)
    text += "."
    return f"With {facts.variant}: {text[0].lower()}{text[1:]}" if facts.variant else text


def _plain_line(plain: Finding, facts: Facts) -> str:
    pair = plain.headline
    if plain.status == "shown" and pair is not None:
        d = pair.difference
        return (
            f"Degradation shown: {pair.deep_net} ends with {points(d.estimate, d.low, d.high)} points more training "
            f"error than {pair.shallow_net} ({_shown_by(plain, pair)})"
        )
    if plain.status == "not shown" and pair is not None:
        return (
            f"Degradation not shown: {_minus(pair)}, and between no two plain nets "
            f"does the 95% interval reach {facts.smallest:g} points"
        )
    return f"{_VERDICTS[plain.reason]}: {_why(plain, facts.smallest)}"


_VERDICTS = {
    "one seed": "Inconclusive",
    "no result": "Inconclusive",
    "imprecise": "Inconclusive",
    "one depth": "No verdict",
    "unequal training": "Verdict withheld",
    "unequal data": "Verdict withheld",
}


def _why(finding: Finding, smallest: float) -> str:
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
        text = f"{detail} {'have one seed each' if ' and ' in detail else 'has one seed'}"
        if pair is not None and not math.isnan(pair.difference.estimate):
            ending = ", without an interval" if math.isnan(pair.difference.low) else f" ({_evidence(pair)})"
            estimate = points(pair.difference.estimate, pair.difference.low, pair.difference.high)
            text += f"; {pair.deep_net} minus {pair.shallow_net} is {estimate} points of training error{ending}"
        return text
    if pair is None:
        return "no two nets can be compared"
    return f"{_minus(pair)}, which neither shows nor excludes an effect of {smallest:g} points"


def _minus(pair: Pair, metric: str = "training error") -> str:
    d = pair.difference
    estimate = points(d.estimate, d.low, d.high)
    return f"{pair.deep_net} minus {pair.shallow_net} is {estimate} points of {metric} ({_evidence(pair)})"


def _evidence(pair: Pair) -> str:
    d = pair.difference
    if math.isnan(d.low):
        return seeds(pair)
    bounds = interval(d.estimate, d.low, d.high)
    return f"95% interval {bounds}, {p_value(pair.p_holm)} after Holm, {seeds(pair)}"


def _shown_by(finding: Finding, pair: Pair) -> str:
    """Return the evidence for a rise that is shown: of the pair itself, or of the order of all depths."""
    if pair.p_holm < ALPHA:
        return _evidence(pair)
    d, rise = pair.difference, finding.trend
    bounds = "" if math.isnan(d.low) else f"95% interval {interval(d.estimate, d.low, d.high)}, "
    return f"{bounds}{seeds(pair)}; {p_value(rise.p_holm)} after Holm for the rise over {rise.groups} depths"


def _beside(headline: Pair, residual: Finding | None) -> str:
    """Say what residual nets do at the depths of the plain headline."""
    pair = residual.match(headline, residual.train) if residual is not None else None
    if pair is None or math.isnan(pair.difference.estimate):
        return ""
    estimate = pair.difference.estimate
    word = "less" if points(estimate).startswith("-") else "more"
    return f"; {pair.deep_net} with {points(abs(estimate))} {word} than {pair.shallow_net}"


def _removed(facts: Facts) -> str:
    if facts.remedy is None:
        return ""
    d = facts.remedy.contrast
    numbers = f"{points(d.estimate, d.low, d.high)} points ({interval(d.estimate, d.low, d.high)})"
    if d.low > 0:
        return f"; the shortcuts remove {numbers}"
    if d.high < 0:
        flipped = f"{points(-d.estimate, d.low, d.high)} points ({interval(-d.estimate, -d.high, -d.low)})"
        return f"; with shortcuts the rise is larger by {flipped}"
    return f"; that the shortcuts remove any of it is not shown: {numbers}"


def _short(finding: Finding, smallest: float) -> str:
    """Say in half a sentence what holds for an architecture."""
    kind, pair = finding.architecture, finding.headline
    if finding.status == "shown" and pair is not None:
        d = pair.difference
        return (
            f"{kind} nets train worse with depth: {pair.deep_net} ends with {points(d.estimate, d.low, d.high)} points "
            f"more training error than {pair.shallow_net} ({_shown_by(finding, pair)})"
        )
    if finding.status == "not shown" and pair is not None:
        return f"{kind} nets show no such rise: {_minus(pair)}"
    verdict = _VERDICTS[finding.reason]
    return f"{verdict[0].lower()}{verdict[1:]} for {kind} nets: {_why(finding, smallest)}"


def sentences(facts: Facts) -> tuple[str, ...]:
    """Return the sentences of the page: training error, test error, then what stands behind the numbers."""
    out = []
    for finding in facts.findings:
        if finding.trend.p_holm < ALPHA and finding.headline is not None:
            out.append(
                f"Over {finding.trend.groups} depths, training error of {finding.architecture} nets rises with depth "
                f"(Jonckheere-Terpstra, {p_value(finding.trend.p_holm)} after Holm)."
            )
        tested = any(not math.isnan(pair.p_holm) for pair in finding.train)
        if len(finding.train) > 1 and tested and (finding.architecture == "plain" or finding.status == "shown"):
            out.append(_count(finding, facts.smallest))
        if finding.architecture != "plain" and facts.finding("plain") is not None:
            text = _short(finding, facts.smallest)
            out.append(f"{text[0].upper()}{text[1:]}.")
    out += _rises(facts)
    if facts.no_remedy:
        out.append(f"What the shortcuts remove was not computed: {facts.no_remedy}.")
    for finding in facts.findings:
        out += _test(finding, facts.smallest)
    out += _conditions(facts)
    return tuple(out)


def _rises(facts: Facts) -> list[str]:
    """Compare the rises of plain and residual nets where the line doesn't."""
    plain = facts.finding("plain")
    if facts.remedy is None or plain is None or plain.status == "shown":
        return []
    d = facts.remedy.contrast
    estimate, bounds = points(d.estimate, d.low, d.high), interval(d.estimate, d.low, d.high)
    return [
        f"From {facts.remedy.shallow} to {facts.remedy.deep} layers, the change of training error in plain nets minus "
        f"that in residual nets is {estimate} points (95% interval {bounds}, {p_value(d.p)})."
    ]


def _count(finding: Finding, smallest: float) -> str:
    hits = [p for p in finding.train if p.p_holm < ALPHA and p.difference.estimate >= smallest]
    hits.sort(key=lambda pair: -pair.difference.estimate)
    total = f"Of {len(finding.train)} pairs of {finding.architecture} nets"
    tested = sum(not math.isnan(pair.p_holm) for pair in finding.train)
    if tested < len(finding.train):
        total += f", of which {tested} could be tested"
    if not hits:
        return f"{total}, none has a deeper net with significantly more training error, by {smallest:g} points or more."
    told = [f"{p.deep_net} over {p.shallow_net} by {points(p.difference.estimate)}" for p in hits]
    verb = "has a deeper net" if len(hits) == 1 else "have a deeper net"
    return f"{total}, {len(hits)} {verb} with significantly more training error (in points: {listed(told)})."


def _test(finding: Finding, smallest: float) -> list[str]:
    """Say what the test error does at the headline pair, and whether overfitting grows with depth."""
    headline = finding.headline
    test = finding.match(headline, finding.test) if headline is not None else None
    gap = finding.match(headline, finding.gap) if headline is not None else None
    if test is None or gap is None or math.isnan(test.difference.estimate):
        return []
    out = [f"On test images, {_minus(test, 'error')}."]
    d = gap.difference
    if finding.status != "shown" or math.isnan(d.low):
        return out
    rise = f"the rise in {finding.architecture} nets"
    change = f"{points(d.estimate, d.low, d.high)} points (95% interval {interval(d.estimate, d.low, d.high)})"
    gaps = f"by {change} from {gap.shallow_net} to {gap.deep_net}"
    if d.high < smallest:
        out.append(
            f"Overfitting does not explain {rise}: test error minus training error changes {gaps}, so the deeper net "
            "loses on the images it was trained on."
        )
    elif d.low > 0:
        out.append(
            f"Overfitting adds to {rise} but is not the whole: test error minus training error grows {gaps}, while "
            "training error rises too."
        )
    else:
        out.append(
            f"Overfitting alone does not explain {rise}, since training error itself rises; whether overfitting grows "
            f"as well is open: test error minus training error changes {gaps}."
        )
    return out


def _conditions(facts: Facts) -> list[str]:
    """Say how learning rates were set, what diverged and what is left out."""
    out, kept = [], facts.kept
    if len(kept):
        tuned = kept["lr_tuned"].astype(bool)
        rates = sorted(set(kept["lr"].dropna()))
        if tuned.all():
            out.append("The learning rate was tuned for each net apart, so depth is not judged at a rate that suits "
                       "shallow nets only.")  # fmt: skip
        elif not tuned.any() and len(rates) == 1:
            out.append(f"Every net was trained with a learning rate of {rates[0]:g}, not tuned: a rate that suits one "
                       "depth may not suit another.")  # fmt: skip
        elif not tuned.any():
            out.append("Learning rates were set by the grid, not tuned: a rate that suits one depth may not suit "
                       "another.")  # fmt: skip
        else:
            out.append("The learning rate was tuned for some nets and set for others.")
    diverged = kept[kept["outcome"] == "diverged"]
    if len(diverged):
        names = listed([str(name) for name in diverged["name"]])
        counts = "counts" if len(diverged) == 1 else "count"
        out.append(f"{names} diverged and {counts} with the error of guessing.")
    left = c.excluded(facts.runs)
    if left:
        told = listed([f"{run.name} ({run.reason})" for run in left])
        out.append(f"{len(left)} of {len(facts.runs)} runs {'is' if len(left) == 1 else 'are'} not counted: {told}.")
    return out
