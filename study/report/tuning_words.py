"""What the searches say, in words: from the numbers only, and of trials, not of the study's runs."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from study.verdict.rate_sensitivity import Choice
from study.verdict.searches import Compared, Same, Searched
from study.verdict.text import interval, listed, points

FAR = 2.0
"""Factor between two winners' rates from which on it is told."""
FIELDS = {"lr": "rate", "weight_decay": "weight decay"}
OBJECTIVES = {"train_loss": "training loss", "train_error": "training error", "validation_error": "validation error"}


class Facts(NamedTuple):
    """All that the words on a variant's searches may rest on."""

    nets: tuple[Searched, ...]
    compared: tuple[Compared, ...]
    choices: tuple[Choice, ...]
    fields: tuple[str, ...]
    """What was searched besides the rate."""
    tolerance: float
    smallest: float
    objective: str
    seeds: tuple[int, ...]
    """Of the trials."""

    def net(self, name: str) -> Searched:
        """Return a net's search."""
        return next(one for one in self.nets if one.net == name)


def rate(value: float) -> str:
    """Write a rate: ``0.03162``."""
    return f"{value:.4g}"


def point_words(point: Mapping[str, float], fields: tuple[str, ...]) -> str:
    """Write a point by its rate and what else varies: ``0.1 with weight decay 0.0003``."""
    others = [f"{FIELDS.get(field, field)} {point[field]:.4g}" for field in fields if field in point]
    return f"{rate(point['lr'])} with {listed(others)}" if others else rate(point["lr"])


def good_words(one: Searched) -> str:
    """Write a net's good range: ``0.03 to 0.5 or more``."""
    if one.good is None:
        return "none"
    if one.good.low == one.good.high:
        return f"{one.good.low:.2g} alone"
    low = f"{one.good.low:.2g}{' or less' * one.good.open_low}"
    return f"{low} to {one.good.high:.2g}{' or more' * one.good.open_high}"


def decades(one: Searched) -> str:
    """Write the width of a net's good range: ``1.2``, of one that is open ``at least 1.2``."""
    if one.good is None:
        return "none"
    return f"{'at least ' * (one.good.open_low or one.good.open_high)}{one.good.decades:.1f}"


def sentences(facts: Facts) -> tuple[str, ...]:
    """Return the sentences: own best rates, shared rates, good ranges, choices of the rate, winners, limits."""
    out = []
    for one in facts.compared:
        out += [_own_best(one, facts), _same(one, facts)]
    out += _ranges(facts)
    out += _choices(facts)
    out += _winners(facts)
    return (*out, *_limits(facts))


def _own_best(one: Compared, facts: Facts) -> str:
    """Compare two nets, each at the rate of its own least training error."""
    shallow, deep = facts.net(one.shallow).best, facts.net(one.deep).best
    if shallow is None or deep is None:
        lacking = [name for name in (one.shallow, one.deep) if facts.net(name).best is None]
        return f"{listed(lacking)} {'has' if len(lacking) == 1 else 'have'} no trial that came to its end without \
diverging, so {one.deep} and {one.shallow} can't be compared at their own best rates."
    rise = deep.error - shallow.error
    each = f"Each at its own rate of least training error, {one.deep}"
    numbers = (
        f"({_error(deep.error)} at {rate(deep.rate)} against {_error(shallow.error)} at {rate(shallow.rate)}; "
        f"{_trial_seeds(deep.seeds, shallow.seeds)})"
    )
    if float(points(rise)) == 0:
        return f"{each} and {one.shallow} end with the same training error {numbers}."
    amount, small = "more" if rise > 0 else "less", abs(rise) < facts.smallest
    text = f"{each} ends with {points(abs(rise))} points {amount} training error than {one.shallow} {numbers}"
    return f"{text}{_below(facts) if small else ''}."


def _below(facts: Facts) -> str:
    return f", below the smallest effect of interest, {facts.smallest:g} points"


def _error(value: float) -> str:
    return f"{points(value)}%"


def _trial_seeds(deep: int, shallow: int) -> str:
    if deep == shallow:
        return f"trials of {deep} seed{'s' * (deep != 1)}"
    return f"trials of {deep} and {shallow} seeds"


def _same(one: Compared, facts: Facts) -> str:
    """Compare two nets at every rate that both tried."""
    what = "points" if facts.fields else "rates"
    both = [same.point for same in one.same if same.state == "both"]
    told = [same for same in one.same if same.state != "both"]
    rest = [f"{_named(found, facts)}, where {why}" for found, why in
            ((both, "both diverged"), (one.pruned, "one of the two was pruned")) if found]  # fmt: skip
    after = f" Not compared: {'; '.join(rest)}." if rest else ""
    if not told:
        return f"At no {what[:-1]} can {one.deep} be compared with {one.shallow}.{after}"
    higher = [same for same in told if same.difference > 0]
    clear = sum(same.difference >= facts.smallest for same in higher)
    count, total = len(higher), len(told)
    noun = what if total > 1 else what[:-1]
    others = [_exception(same, facts) for same in told if same.difference <= 0]
    if not count:
        return (
            f"At {f'none of {total}' if total > 1 else 'the one'} shared {noun} does {one.deep} end with more "
            f"training error than {one.shallow}: {listed(others)}.{after}"
        )
    where = f"all {total}" if count == total > 1 else f"{count} of {total}"
    reach = {0: "none", count: "all of them" if count > 1 else "it"}.get(clear, str(clear))
    text = f"At {where} shared {noun}, {one.deep} ends with more training error than {one.shallow}"
    text += f" (by {facts.smallest:g} points or more at {reach})"
    if others:
        text += f"; {'the exception is' if len(others) == 1 else 'the exceptions are'} {listed(others)}"
    return f"{text}.{after}"


def _named(found: Sequence[Mapping[str, float]], facts: Facts) -> str:
    return listed([point_words(point, facts.fields) for point in found])


def _exception(same: Same, facts: Facts) -> str:
    at = point_words(same.point, facts.fields)
    lost = ", the shallower diverged" if same.state == "shallow" else ""
    if same.difference == 0:
        return f"{at} (equal{lost})"
    return f"{at} ({points(same.difference)} points{lost})"


def _ranges(facts: Facts) -> list[str]:
    """Tell how wide the good ranges of the compared nets are."""
    nets = [facts.net(name) for one in facts.compared for name in (one.shallow, one.deep)]
    told = [f"{decades(net)} decades for {net.net} ({good_words(net)})" for net in nets if net.good is not None]
    if not told:
        return []
    return [f"Training error stays within {facts.tolerance:g} point{'s' * (facts.tolerance != 1)} of a net's best over "
            f"{listed(told)}."]  # fmt: skip


def _choices(facts: Facts) -> list[str]:
    """Tell the rise in plain nets (or residual ones) under each choice of the rate."""
    told, signs, bounded = [], set(), False
    for one in facts.choices:
        rise = one.rises.get(one.judged)
        if rise is None or math.isnan(rise.estimate):
            continue
        bounds = "" if math.isnan(rise.low) else f" ({interval(rise.estimate, rise.low, rise.high)})"
        told.append(f"{points(rise.estimate, rise.low, rise.high)}{bounds} {choice_words(one, facts.fields)}")
        signs.add(rise.estimate > 0)
        bounded |= bool(bounds)
    if len(told) < 2:
        return []
    first = facts.choices[0]
    deep, shallow = (
        next(net.net for net in facts.nets if (net.architecture, net.depth) == (first.judged, depth))
        for depth in (first.deep, first.shallow)
    )
    text = f"Training error of {deep} minus that of {shallow}, in points{' (95% interval)' * bounded}: {listed(told)}"
    if len(signs) > 1:
        return [f"{text}; its sign depends on the choice."]
    return [f"{text}; {'positive' if signs == {True} else 'not positive'} under each choice."]


def choice_words(one: Choice, fields: tuple[str, ...]) -> str:
    """Name a choice of the rate in a sentence."""
    if one.point is None:
        return "at the tuned rates"
    name = "best shared" if one.name == "shared" else "paper's"
    return f"at the {name} rate ({point_words(one.point, fields)})"


def _winners(facts: Facts) -> list[str]:
    """Say where the rate of least training loss isn't that of least validation error."""
    both = [(one.net, one.by_loss, one.by_validation) for one in facts.nets
            if one.by_loss is not None and one.by_validation is not None]  # fmt: skip
    if not both:
        return []
    far = [
        f"{net} ({rate(loss.rate)} and {rate(held_out.rate)})"
        for net, loss, held_out in both
        if not 1 / FAR <= loss.rate / held_out.rate <= FAR
    ]
    text = "The rates of least training loss and of least validation error among the same trials"
    if not far:
        return [f"{text} differ by no more than a factor of {FAR:g} for any net."]
    return [f"{text} differ by more than a factor of {FAR:g} for {listed(far)}."]


def _limits(facts: Facts) -> list[str]:
    """Say what the searches leave open, and how trials differ from runs."""
    out = []
    for side, word in (("lowest", "a lower"), ("highest", "a higher")):
        names = [one.net for one in facts.nets if one.edge == side]
        if names:
            out.append(f"The rate chosen for {listed(names)} is the {side} tried: {word} one may do better.")
    off = [one.net for one in facts.nets if _is_off(one, facts.tolerance)]
    if off:
        out.append(
            f"The rate chosen for {listed(off)}, by {OBJECTIVES.get(facts.objective, facts.objective)}, is more than "
            f"{facts.tolerance:g} points of training error above the best of its trials."
        )
    going = [one.net for one in facts.nets if one.chosen is None]
    if len(going) == len(facts.nets):
        out.append("No search has ended: what is said is of the trials so far.")
    elif going:
        them = "them" if len(going) > 1 else "it"
        out.append(f"No rate is chosen yet for {listed(going)}: what is said of {them} is of the trials so far.")
    if any(one.counts.get("pruned") for one in facts.nets):
        out.append("A pruned trial has no final error: it counts as not better than its net's best, and is not "
                   "compared with another net's.")  # fmt: skip
    if facts.fields:
        words = listed([FIELDS.get(field, field) for field in facts.fields])
        verb = "vary" if len(facts.fields) > 1 else "varies"
        out.append(f"Besides the rate, {words} {verb} between trials, so a good range is that of the trials within the "
                   "tolerance, without interpolation, and nets are compared at equal points.")  # fmt: skip
    return [*out, _training(facts)]


def _is_off(one: Searched, tolerance: float) -> bool:
    return one.chosen is not None and one.best is not None and one.chosen.error > one.best.error + tolerance


def _training(facts: Facts) -> str:
    """Say with which seeds and for how long trials were trained."""
    seeds = f"seed{'s' * (len(facts.seeds) > 1)} {listed([str(seed) for seed in facts.seeds])}"
    parts = [one.part for one in facts.choices if one.point is not None and not math.isnan(one.part)]
    length = "" if not parts else f" for {part_words(parts[0])}"
    return f"Trials are trainings of their own{length}, with {seeds}; they aren't among the study's runs."


def part_words(part: float) -> str:
    """Write a length of training as a part of the runs'."""
    return "the full length" if abs(part - 1) < 0.01 else f"{100 * part:.2g}% of the runs' iterations"
