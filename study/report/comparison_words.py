"""The comparison of two studies in words, from its numbers alone."""

import math

from study.report.comparison import Comparison, DepthChange, NetChange
from study.verdict.pairs import ALPHA
from study.verdict.text import interval, listed, p_value, points

SHOWN = 6
"""Fields or nets that a sentence names, before it counts the rest."""
ERRORS = {"final_train_error": "training error", "final_test_error": "test error"}


def conclusions(found: Comparison) -> tuple[str, ...]:
    """Return what the comparison comes to: a sentence for each architecture and couple of variants."""
    a, b = found.names
    if not found.nets:
        return (f"{a} and {b} have no net in common, so nothing is compared.",)
    if not found.depths:
        text = f"{a} and {b} have no two depths of an architecture in common."
        return (f"{text} {_nets(found, 'final_train_error')}".strip(),)
    return tuple(_depth(found, one) for one in found.depths)


def sentences(found: Comparison) -> tuple[str, ...]:
    """Return what the page says below the conclusion."""
    out = [_settings(found)]
    if found.shared:
        runs = "run is" if found.shared == 1 else "runs are"
        out.append(f"{found.shared} {runs} the same training in both (equal keys), so no difference can show there.")
    if found.nets:
        out += [
            text
            for metric in ERRORS
            for text in [_nets(found, metric)]
            if text and (found.depths or metric != "final_train_error")
        ]
        lone = [one.net for one in found.of("final_train_error") if min(one.a.seeds, one.b.seeds) == 1]
        if lone:
            out.append(
                f"With one seed in a study there is no interval and no test: {_some(list(dict.fromkeys(lone)))}."
            )
    return tuple(out)


def warnings(found: Comparison) -> tuple[str, ...]:
    """Return why differences between the two may come from something else than their settings."""
    a, b = found.names
    by_name = {one.name: one for one in found.differing}
    out = []
    if "dataset" in by_name:
        out.append(f"the data sets differ ({a}: {by_name['dataset'].a}; {b}: {by_name['dataset'].b}).")
    elif "fingerprint" in by_name or "train_images" in by_name:
        both = by_name.get("train_images")
        counts = f" ({a}: {both.a}; {b}: {both.b} training images)" if both else ""
        out.append(f"the images aren't the same{counts}.")
    if "total_iterations" in by_name:
        both = by_name["total_iterations"]
        out.append(f"the nets were trained for different lengths ({a}: {both.a}; {b}: {both.b} iterations).")
    rate = by_name.get("learning rate")
    if rate is not None and ("tuned" in rate.a) != ("tuned" in rate.b):
        out.append(f"learning rates were found in different ways ({a}: {rate.a}; {b}: {rate.b}).")
    return tuple(out)


def _settings(found: Comparison) -> str:
    a, b = found.names
    mine = [one for one in found.differing if one.kind == "setting"]
    agree = f"{found.agreeing} {'agrees' if found.agreeing == 1 else 'agree'}"
    if not mine:
        return f"No setting differs between {a} and {b}; {agree}."
    told = _some([f"{one.name.replace('_', ' ')} ({one.a}; {one.b})" for one in mine])
    if len(mine) == 1:
        return f"One setting differs between {a} and {b}: {told}; {agree}."
    return (
        f"{len(mine)} settings differ between {a} and {b}: {told}; {agree}. No difference can be put down to one of "
        "them alone."
    )


def _depth(found: Comparison, one: DepthChange) -> str:
    a, b = found.names
    kind = f"{one.architecture} nets" + (f" ({one.variant})" if one.variant else "")
    text = f"From {one.shallow_net} to {one.deep_net}, training error of {kind} changes by"
    text += f" {_with_bounds(one.a.estimate, one.a.low, one.a.high)} points in {a} and by"
    text += f" {_with_bounds(one.b.estimate, one.b.low, one.b.high)} in {b}"
    d = one.change
    if math.isnan(d.estimate):
        return f"{text}; a cell without a result leaves the difference open."
    if math.isnan(d.low):
        return f"{text}; {b} minus {a} is {points(d.estimate)} points, without an interval: a cell has one seed."
    evidence = f"95% interval {interval(d.estimate, d.low, d.high)}, {p_value(one.p_holm)} after Holm"
    text += f"; {b} minus {a} is {points(d.estimate, d.low, d.high)} points ({evidence})"
    return f"{text}: {_meaning(found, one)}."


def _meaning(found: Comparison, one: DepthChange) -> str:
    a, b, d, least = *found.names, one.change, found.smallest_effect
    if one.p_holm < ALPHA and abs(d.estimate) >= least:
        return f"depth costs {'more' if d.estimate > 0 else 'less'} in {b} than in {a}"
    if -least < d.low and d.high < least:
        return f"depth costs the same in both, within {least:g} points"
    return "whether depth costs more in one of them is open"


def _with_bounds(estimate: float, low: float, high: float) -> str:
    if math.isnan(estimate):
        return "an unknown number of"
    bounds = "" if math.isnan(low) else f" ({interval(estimate, low, high)})"
    return f"{points(estimate, low, high)}{bounds}"


def _nets(found: Comparison, metric: str) -> str:
    """Count the nets that end with more or less error in B."""
    mine = found.of(metric)
    tested = [one for one in mine if not math.isnan(one.p_holm)]
    if not tested:
        return ""
    hits = [one for one in tested if one.p_holm < ALPHA and abs(one.change.estimate) >= found.smallest_effect]
    b, what = found.names[1], ERRORS[metric]
    total = f"Of {len(mine)} common nets" + (
        f", of which {len(tested)} could be tested" if len(tested) < len(mine) else ""
    )
    if not hits:
        return f"{total}, none differs significantly in {what} by {found.smallest_effect:g} points or more."
    parts = []
    for word, group in (
        ("more", [h for h in hits if h.change.estimate > 0]),
        ("less", [h for h in hits if h.change.estimate < 0]),
    ):
        if group:
            group.sort(key=lambda one: -abs(one.change.estimate))
            told = _some([f"{_name(one)} by {points(abs(one.change.estimate))}" for one in group])
            parts.append(f"{len(group)} {'ends' if len(group) == 1 else 'end'} with significantly {word} ({told})")
    return f"{total}, {' and '.join(parts)} {what} in {b}, in points, after Holm."


def _name(one: NetChange) -> str:
    return f"{one.net} ({one.variant})" if one.variant else one.net


def _some(words: list[str]) -> str:
    return listed(words) if len(words) <= SHOWN else f"{', '.join(words[:SHOWN])} and {len(words) - SHOWN} more"
