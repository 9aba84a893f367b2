"""The other explanations of a rise in training error, one by one: overfitting, learning rate, training length.

Each is told of an architecture whose training error is shown to rise, and of the pair that the verdict is told with.
"""

import math

import pandas as pd

from study.statistics.interval import Interval
from study.verdict import selection as c
from study.verdict.convergence import SHARE, fall_at_end, trainings_needed
from study.verdict.facts import Explanation, Facts, Outcome
from study.verdict.pairs import Pair
from study.verdict.rate_sensitivity import Choice
from study.verdict.rule import Finding, edge_words
from study.verdict.text import bounds, interval, listed, points, size


def explain(facts: Facts) -> tuple[Explanation, ...]:
    """Return what the numbers say of each explanation, for each architecture with a rise that is shown."""
    out = []
    for finding in facts.findings:
        if finding.status == "shown" and finding.headline is not None:
            made = (_overfitting(finding, finding.headline, facts), _rate(finding, finding.headline, facts),
                    _length(finding, finding.headline, facts))  # fmt: skip
            out += [one for one in made if one is not None]
    return tuple(out)


def _overfitting(finding: Finding, headline: Pair, facts: Facts) -> Explanation | None:
    """Compare the generalisation gaps of the two nets. A net that overfits has a low training error, not a high one."""
    gap = finding.match(headline, finding.gap)
    if gap is None or math.isnan(gap.difference.low):
        return None
    d = gap.difference
    cells = c.with_gap(facts.cells(finding.architecture))
    by_depth = {str(depth): float(values.mean()) for depth in c.depths(cells)
                if len(values := c.values(cells, depth, "generalisation_gap"))}  # fmt: skip
    told = listed([f"{points(mean)} at {depth}" for depth, mean in by_depth.items()])
    rise = f"the rise in {finding.architecture} nets"
    change = f"by {size(d)} points (95% interval {bounds(d)}) from {gap.shallow_net} to {gap.deep_net}"
    if d.high < facts.smallest:
        text = (
            f"Overfitting does not explain {rise}: the deeper net is worse on the images that it was trained on, and "
        )
        text += f"test error minus training error does not grow by {facts.smallest:g} points or more: it changes "
        text += change
    elif d.low > 0:
        text = f"Overfitting adds to {rise} but is not the whole: training error rises, and test error minus training "
        text += f"error grows {change}"
    else:
        text = (
            f"Overfitting alone does not explain {rise}, since training error itself rises; whether it grows as well "
        )
        text += f"is open: test error minus training error changes {change}"
    text += f". In points by depth it is {told}."
    numbers = {"gap_by_depth": by_depth, "change": d.record(), "training_rise": headline.difference.record()}
    return Explanation("overfitting", finding.architecture, "excluded", text, numbers)


def rates_words(cells: pd.DataFrame) -> str:
    """Say how the learning rates of runs were set; empty where there is no run."""
    if cells.empty:
        return ""
    tuned, rates = cells["lr_tuned"].astype(bool), sorted(set(cells["lr"].dropna()))
    if tuned.all():
        return ("The learning rate was tuned for each net apart, so depth is not judged at a rate that suits shallow "
                "nets only.")  # fmt: skip
    if tuned.any():
        return "The learning rate was tuned for some nets and set for others."
    if len(rates) == 1:
        return (f"Every net was trained with a learning rate of {rates[0]:g}, not tuned: a rate that suits one depth "
                "may not suit another.")  # fmt: skip
    return "Learning rates were set by the grid, not tuned: a rate that suits one depth may not suit another."


def _rate(finding: Finding, headline: Pair, facts: Facts) -> Explanation:
    """Say how rates were set, whether one lies on an edge, and what the rise is at rates that all nets share."""
    cells = facts.cells(finding.architecture)
    tuned = bool(cells["lr_tuned"].astype(bool).all())
    names = {depth: c.net_name(cells, finding.architecture, depth) for depth in c.depths(cells)}
    edges = {depth: facts.edges[finding.architecture, depth] for depth in names
             if (finding.architecture, depth) in facts.edges}  # fmt: skip
    parts = [rates_words(cells)]
    if tuned and facts.searched:
        if edges:
            where = edge_words(names, facts.edges, finding.architecture, list(edges))
            parts.append(f"{where[0].upper()}{where[1:]}, which does not touch what is shown.")
        else:
            parts.append(f"No rate of {finding.architecture} nets lies on the edge of what was tried.")
    others = [one for one in facts.choices if one.point is not None and finding.architecture in one.rises
              and not math.isnan(one.rises[finding.architecture].estimate)]  # fmt: skip
    if others:
        parts.append(_other_rates(finding.architecture, cells, others))
    numbers = {
        "tuned": tuned,
        "rates": {names[depth]: sorted(set(cells.loc[cells["depth"] == depth, "lr"].dropna())) for depth in names},
        "edges": {names[depth]: side for depth, side in edges.items()},
        "rise_at_shared_rates": {
            one.name: {"lr": one.point["lr"], "shallow": one.shallow, "deep": one.deep,
                       **one.rises[finding.architecture].record()}
            for one in others if one.point is not None
        },
    }  # fmt: skip
    status: Outcome = "not excluded" if not tuned else "excluded" if facts.searched else "open"
    return Explanation("learning rate", finding.architecture, status, " ".join(parts), numbers)


def _other_rates(architecture: str, cells: pd.DataFrame, others: list[Choice]) -> str:
    """Tell the rise at rates that all nets share, where searches tried them."""
    told = []
    for one in others:
        d = one.rises[architecture]
        ends = "" if math.isnan(d.low) else f" (95% interval {bounds(d)})"
        seeds = f", {d.seeds} seed{'s' * (d.seeds != 1)}" if math.isnan(d.low) else ""
        name = "best shared" if one.name == "shared" else "paper's"
        rate = one.point["lr"] if one.point is not None else math.nan
        told.append(f"{size(d)}{ends} at the {name} rate ({rate:.4g}{seeds})")
    deep, shallow = (c.net_name(cells, architecture, depth) for depth in (others[0].deep, others[0].shallow))
    return f"Where both have the same rate, {deep} minus {shallow} is, in points, {listed(told)}."


def _length(finding: Finding, headline: Pair, facts: Facts) -> Explanation | None:
    """Hold the fall of training error at the end against the difference, and name longer trainings of the study."""
    fall = None
    if facts.curves is not None and not facts.curves.empty:
        fall = fall_at_end(facts.curves, facts.kept, finding.architecture, headline.deep)
    parts, numbers, d = [], dict[str, object](), headline.difference
    if fall is not None:
        numbers |= {
            "share_of_training": SHARE,
            "fall": {key: value for key, value in fall.record().items() if key != "sd"},
            "difference": d.record(),
        }
        parts.append(_fall_words(headline, fall))
        numbers["trainings_needed_at_least"] = trainings_needed(d.estimate, fall.high)
    statuses = []
    for one in facts.longer:
        other = next((found for found in one.findings if found.architecture == finding.architecture), None)
        pair = finding.match(headline, other.train) if other is not None else None
        if other is None or pair is None or math.isnan(pair.difference.low):
            continue
        statuses.append(other.status)
        e = pair.difference
        verdict = other.status if other.status != "inconclusive" else "not settled"
        parts.append(
            f"With {one.times:.3g} times the iterations ({one.variant}) the difference is {size(e)} points "
            f"({bounds(e)}): degradation is {verdict} there."
        )
        numbers.setdefault("longer", []).append(  # type: ignore[attr-defined]
            {"variant": one.variant, "times": one.times, "status": other.status, **e.record()}
        )
    if not parts:
        return None
    if not statuses:
        parts.append("Longer trainings were not tried.")
    status: Outcome = "not excluded" if "refuted" in statuses else "excluded" if "shown" in statuses else "open"
    return Explanation("training length", finding.architecture, status, " ".join(parts), numbers)


def _fall_words(headline: Pair, fall: Interval) -> str:
    """Say how much the deep net still learned, and how long the difference would take at the fastest pace of that."""
    falls = fall.estimate >= 0
    low, high = (fall.low, fall.high) if falls else (-fall.high, -fall.low)
    text = f"Over the last {SHARE:.0%} of training, the running training error of {headline.deep_net} "
    text += f"{'fell' if falls else 'rose'} by {points(abs(fall.estimate), low, high)} points"
    if math.isnan(fall.low):
        return f"{text} (1 seed)."
    text += f" (95% interval {interval(abs(fall.estimate), low, high)})"
    pace = trainings_needed(headline.difference.estimate, fall.high)
    if math.isinf(pace):
        return f"{text}; it does not fall any more."
    end = f"at the {'upper' if falls else 'lower'} end of that, and without slowing,"
    times = f"{pace:.0f}" if pace >= 10 else f"{pace:.1f}"
    return (
        f"{text}{'' if fall.low > 0 else ', no clear fall'}; {end} the {points(headline.difference.estimate)} points "
        f"would take {times} more trainings of the same length."
    )
