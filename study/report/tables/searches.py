"""Tables of the searches: good ranges, the winners by two measures, and the rise under three choices of the rate."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import pandas as pd

from study.errors import with_noun
from study.report.metrics import axis
from study.report.tables.pairs import estimate_with_interval
from study.report.tables.writer import BOUNDS, NOTHING, Column, Table, number, or_nothing, wide_table
from study.statistics.expected_best import expected_best
from study.verdict.rate_sensitivity import Choice
from study.verdict.searches import ENDED, Best, Compared, Jump, Searched, Worse
from study.verdict.text import listed, points

FIELDS = {"lr": "rate", "weight_decay": "weight decay"}
OBJECTIVES = {"train_loss": "training loss", "train_error": "training error", "validation_error": "validation error"}

REASONS = {"one seed": "one seed a net", "no result": "a net has no result"}
NO_BEST = Best(math.nan, math.nan, math.nan, 0)
"""Of a search in which no trial has ended."""
STATES = ("complete", "pruned", "diverged", "failed", "open")


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
    worse: tuple[Worse, ...] = ()
    jumps: tuple[Jump, ...] = ()

    def net(self, name: str) -> Searched:
        """Return a net's search."""
        return next(net for net in self.nets if net.net == name)


def rate(value: float) -> str:
    """Write a rate: ``0.03162``."""
    return f"{value:.4g}"


def point_words(point: Mapping[str, float], fields: tuple[str, ...]) -> str:
    """Write a point by its rate and what else varies: ``0.1 with weight decay 0.0003``."""
    others = [f"{FIELDS.get(field, field)} {point[field]:.4g}" for field in fields if field in point]
    return f"{rate(point['lr'])} with {listed(others)}" if others else rate(point["lr"])


def good_words(net: Searched) -> str:
    """Write a net's good range: ``0.03 to 0.5 or more``."""
    if net.good is None:
        return "none"
    if net.good.low == net.good.high:
        return f"{net.good.low:.2g} alone"
    low = f"{net.good.low:.2g}{' or less' * net.good.open_low}"
    return f"{low} to {net.good.high:.2g}{' or more' * net.good.open_high}"


def decades(net: Searched) -> str:
    """Write the width of a net's good range: ``1.2``, of one that is open ``at least 1.2``."""
    if net.good is None:
        return "none"
    return f"{'at least ' * (net.good.open_low or net.good.open_high)}{net.good.decades:.1f}"


def part_words(part: float) -> str:
    """Write a length of training as a part of the runs'."""
    return "the full length" if abs(part - 1) < 0.01 else f"{100 * part:.2g}% of the runs' iterations"


def good_table(facts: Facts) -> Table:
    """Return a row a net: its best rate and how wide its good range is."""
    numbers = pd.DataFrame([_good_row(net) for net in facts.nets])
    columns = [
        Column("Net", "net"),
        Column("Best rate", "best_lr", or_nothing(rate)),
        Column("Training error (%)", "final_train_error", or_nothing(points)),
        Column("Good range", "search", lambda net: NOTHING if net.good is None else good_words(net)),
        Column("Decades", "search", lambda net: NOTHING if net.good is None else decades(net)),
        Column("Trials", "trials"),
        Column("Pruned", "pruned"),
        Column("Diverged", "diverged"),
        *([Column("Note", "search", _note)] if any(map(_note, facts.nets)) else []),
    ]
    return Table.of("good-rates", numbers, columns, {"search": facts.nets}, facts=facts)


def _good_row(net: Searched) -> dict[str, Any]:
    best, good = net.best or NO_BEST, net.good
    return {
        "net": net.net,
        "architecture": net.architecture,
        "depth": net.depth,
        "best_lr": best.rate,
        "final_train_error": best.error,
        "good_low": good.low if good else math.nan,
        "good_high": good.high if good else math.nan,
        "decades": good.decades if good else math.nan,
        "open_low": good.open_low if good else None,
        "open_high": good.open_high if good else None,
        "trials": net.trials,
        **{state: net.counts.get(state, 0) for state in STATES},
        "outside_bounds": net.outside,
        "edge": net.edge,
        "search_ended": net.chosen is not None,
    }


def _note(net: Searched) -> str:
    """Say what is to be known of a net's search."""
    others = net.good.others if net.good is not None else ()
    notes = (
        (net.edge, f"chosen: the {net.edge} tried"),
        (net.outside, f"widened by {net.outside}"),
        (others, f"also good at {listed([rate(other) for other in others])}" if others else ""),
        (net.chosen is None, "no rate chosen yet"),
        (net.counts.get("failed"), f"{net.counts.get('failed')} broke"),
        (net.counts.get("open"), f"{net.counts.get('open')} not ended"),
    )
    return "; ".join(note for wanted, note in notes if wanted)


def winners_table(facts: Facts) -> Table | None:
    """Return the rate of least training loss beside the rate of least validation error, where there is one."""
    nets = [net for net in facts.nets if net.by_loss is not None]
    if not any(net.by_validation for net in nets):
        return None
    numbers = pd.DataFrame([_winners_row(net) for net in nets])
    columns = [
        Column("Net", "net"),
        Column("Chosen", "chosen_lr", or_nothing(rate)),
        Column("A (loss)", "train_loss_lr", or_nothing(rate)),
        Column("B (validation)", "validation_error_lr", or_nothing(rate)),
        Column("Factor", "factor", number(".2g")),
        Column("Training error at A, B (%)", ("train_loss_train", "validation_error_train"), _two_errors),
        Column("Validation error at A, B (%)", ("train_loss_validation", "validation_error_validation"), _two_errors),
    ]
    objective = OBJECTIVES.get(facts.objective, axis(facts.objective))
    return Table.of("winners", numbers, columns, objective=objective)


def _winners_row(net: Searched) -> dict[str, Any]:
    row: dict[str, Any] = {"net": net.net, "chosen_lr": net.chosen.rate if net.chosen else math.nan}
    for name, winner in (("train_loss", net.by_loss), ("validation_error", net.by_validation)):
        best = winner or NO_BEST
        row |= {f"{name}_lr": best.rate, f"{name}_train": best.error, f"{name}_validation": best.validation}
    factor = row["train_loss_lr"] / row["validation_error_lr"]
    return row | {"factor": max(factor, 1 / factor) if factor > 0 else math.nan}


def expected_table(trials: pd.DataFrame) -> Table | None:
    """Return the expected best training error of a net after so many trials; `trials` are rows of `by_trial`."""
    rows = []
    for net, tried in trials[trials["state"].isin(ENDED)].groupby("net", sort=False):
        errors = tried["error"].fillna(tried["error"].max())
        counts = [2**power for power in range(10) if 2**power < len(tried)] + [len(tried)]
        rows += [(net, len(tried), count, expected_best(errors, count)) for count in counts if errors.notna().all()]
    numbers = pd.DataFrame(rows, columns=["net", "trials", "after", "expected_best"])
    if numbers.empty:
        return None

    def columns(count: int) -> list[Column]:
        return [Column(with_noun(count, "trial"), "expected_best", points)]

    return wide_table("expected-best", numbers, "after", columns)


def robustness_table(facts: Facts) -> Table | None:
    """Return the rise with depth under each choice of the rate, a row each."""
    if not facts.choices:
        return None
    first = facts.choices[0]
    numbers = pd.DataFrame([_choice_row(choice) for choice in facts.choices])
    kinds = [kind for kind in ("plain", "residual") if f"{kind}_estimate" in numbers]
    rises = {f"{kind.capitalize()} nets": kind for kind in kinds} | (
        {"Difference in differences": "contrast"} if len(kinds) > 1 else {}
    )
    columns = [
        Column("Rates", "choice", lambda choice: _name(choice, facts)),
        Column(
            f"Rise in {first.judged} nets",
            ("status", "reason"),
            lambda status, reason: status or f"no claim: {REASONS.get(reason, reason)}",
        ),
        *(
            Column(heading, [f"{rise}_{part}" for part in BOUNDS], estimate_with_interval)
            for heading, rise in rises.items()
        ),
        Column("Seeds", "choice", _seeds),
        Column("Trained for", "part_of_training", or_nothing(part_words)),
    ]
    return Table.of("robustness", numbers, columns, {"choice": facts.choices}, first=first)


def _choice_row(choice: Choice) -> dict[str, Any]:
    row: dict[str, Any] = {"rates": choice.name, **(choice.point or {}), "shallow": choice.shallow, "deep": choice.deep}
    for kind, rise in (*choice.rises.items(), ("contrast", choice.contrast)):
        row |= {f"{kind}_{part}": value for part, value in rise.record().items()} if rise is not None else {}
    status = {"judged": choice.judged, "status": choice.status, "reason": choice.reason}
    return row | status | {"part_of_training": choice.part}


def _name(choice: Choice, facts: Facts) -> str:
    if choice.point is None:
        return "tuned for each net"
    name = "best shared" if choice.name == "shared" else "the paper's"
    return f"{name}: {point_words(choice.point, facts.fields)}"


def _seeds(choice: Choice) -> str:
    """Write the fewest and the most seeds of the nets whose rise is shown."""
    rises = [choice.rises[kind] for kind in ("plain", "residual") if kind in choice.rises]
    counts = sorted({n for rise in rises for n in rise.n})
    return " to ".join(str(n) for n in dict.fromkeys((counts[0], counts[-1]))) if counts else NOTHING


def _two_errors(first: float, second: float) -> str:
    error = or_nothing(points)
    return f"{error(first)}, {error(second)}"
