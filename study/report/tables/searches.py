"""Tables of the searches: good ranges, the winners by two measures, and the rise under three choices of the rate."""

import math
from typing import Any

import pandas as pd

from study.report.metrics import axis
from study.report.tables.results import NOTHING, Table
from study.report.tuning_words import OBJECTIVES, Facts, decades, good_words, part_words, point_words, rate
from study.statistics.interval import Interval
from study.verdict.rate_sensitivity import Choice
from study.verdict.searches import Best, Searched
from study.verdict.text import interval, listed, points

REASONS = {"one seed": "one seed a net", "no result": "a net has no result"}


def good_table(facts: Facts) -> Table:
    """Return a row a net: its best rate and how wide its good range is."""
    rows = [_good_row(one) for one in facts.nets]
    columns = {
        "Net": [one.net for one in facts.nets],
        "Best rate": [_rate(one.best) for one in facts.nets],
        "Training error (%)": [_error(one.best) for one in facts.nets],
        "Good range": [NOTHING if one.good is None else good_words(one) for one in facts.nets],
        "Decades": [NOTHING if one.good is None else decades(one) for one in facts.nets],
        "Trials": [str(one.trials) for one in facts.nets],
        "Pruned": [str(one.counts.get("pruned", 0)) for one in facts.nets],
        "Diverged": [str(one.counts.get("diverged", 0)) for one in facts.nets],
        "Note": [_note(one) for one in facts.nets],
    }
    if not any(columns["Note"]):
        del columns["Note"]
    how = (
        "the lowest to the highest rate of such trials, since other fields vary too"
        if facts.fields
        else "between neighbouring trials linear in log rate; up to the last trial before a pruned one, which has no "
        "final error and counts as not better; of a diverged one the error of guessing"
    )
    caption = (
        f"Learning rates by final training error of the trials. Best: least error, of equal ones least loss. Good "
        f"range: error within {facts.tolerance:g} point{'s' * (facts.tolerance != 1)} of the best ({how})."
    )
    return Table("good-rates", caption, pd.DataFrame(rows), pd.DataFrame(columns))


def _good_row(one: Searched) -> dict[str, Any]:
    best, good = one.best, one.good
    return {
        "net": one.net, "architecture": one.architecture, "depth": one.depth,
        "best_lr": best.rate if best else math.nan, "final_train_error": best.error if best else math.nan,
        "good_low": good.low if good else math.nan, "good_high": good.high if good else math.nan,
        "decades": good.decades if good else math.nan, "open_low": good.open_low if good else None,
        "open_high": good.open_high if good else None, "trials": one.trials,
        **{state: one.counts.get(state, 0) for state in ("complete", "pruned", "diverged", "failed", "open")},
        "outside_bounds": one.outside, "edge": one.edge, "search_ended": one.chosen is not None,
    }  # fmt: skip


def _note(one: Searched) -> str:
    """Say what is to be known of a net's search."""
    notes = []
    if one.edge:
        notes.append(f"chosen: the {one.edge} tried")
    if one.outside:
        notes.append(f"widened by {one.outside}")
    if one.good is not None and one.good.others:
        notes.append(f"also good at {listed([rate(other) for other in one.good.others])}")
    if one.chosen is None:
        notes.append("no rate chosen yet")
    if one.counts.get("failed"):
        notes.append(f"{one.counts['failed']} broke")
    if one.counts.get("open"):
        notes.append(f"{one.counts['open']} not ended")
    return "; ".join(notes)


def winners_table(facts: Facts) -> Table:
    """Return the rate of least training loss beside the rate of least validation error, where there is one."""
    nets = [one for one in facts.nets if one.by_loss is not None]
    if not any(one.by_validation for one in nets):
        return Table("winners", "", pd.DataFrame(), pd.DataFrame())
    rows, shown = [], []
    for one in nets:
        loss, held_out = one.by_loss, one.by_validation
        factor = loss.rate / held_out.rate if loss and held_out else math.nan
        factor = max(factor, 1 / factor) if factor > 0 else math.nan
        rows.append({
            "net": one.net, "chosen_lr": one.chosen.rate if one.chosen else math.nan, **_winner("train_loss", loss),
            **_winner("validation_error", held_out), "factor": factor,
        })  # fmt: skip
        shown.append({
            "Net": one.net, "Chosen": _rate(one.chosen), "A (loss)": _rate(loss),
            "B (validation)": _rate(held_out), "Factor": NOTHING if math.isnan(factor) else f"{factor:.2g}",
            "Training error at A, B (%)": f"{_error(loss)}, {_error(held_out)}",
            "Validation error at A, B (%)": f"{_error(loss, 'validation')}, {_error(held_out, 'validation')}",
        })  # fmt: skip
    caption = (
        "The rate of least training loss (A) and that of least validation error (B) among the same trials; of rates "
        "with equal validation errors the one nearest to A. Factor: between the two rates. The study's runs have the "
        f"chosen rate, that of least {OBJECTIVES.get(facts.objective, axis(facts.objective))}."
    )
    return Table("winners", caption, pd.DataFrame(rows), pd.DataFrame(shown))


def _winner(by: str, best: Best | None) -> dict[str, float]:
    found = best or Best(math.nan, math.nan, math.nan, 0)
    return {f"{by}_lr": found.rate, f"{by}_train": found.error, f"{by}_validation": found.validation}


def robustness_table(facts: Facts) -> Table:
    """Return the rise with depth under each choice of the rate, a row each."""
    rows, shown = [], []
    kinds = [kind for kind in ("plain", "residual") if any(kind in one.rises for one in facts.choices)]
    for one in facts.choices:
        rows.append(_choice_row(one))
        known = [one.rises.get(kind) for kind in kinds]
        cells = {f"{kind.capitalize()} nets": _difference(one.rises.get(kind)) for kind in kinds}
        if len(kinds) > 1:
            cells["Difference in differences"] = _difference(one.contrast)
        counts = sorted({n for rise in known if rise is not None for n in rise.n})
        shown.append({
            "Rates": _name(one, facts), f"Rise in {one.judged} nets": _status(one), **cells,
            "Seeds": " to ".join(str(n) for n in dict.fromkeys((counts[0], counts[-1]))) if counts else NOTHING,
            "Trained for": NOTHING if math.isnan(one.part) else part_words(one.part),
        })  # fmt: skip
    caption = ""
    if facts.choices:
        first = facts.choices[0]
        caption = (
            f"Training error at {first.deep} layers minus that at {first.shallow}, in points, with 95% intervals where "
            "there are two seeds or more. Tuned rates: the study's runs. The others: trials, with the tuning seeds. "
            "The best shared rate has the least mean training error over all nets, of the rates that every net trained "
            "to the end (a diverged trial counts with the error of guessing), and is picked on the trials that it is "
            "judged by. The rise over all depths is judged by the rule below; without enough seeds nothing is claimed."
        )
    return Table("robustness", caption, pd.DataFrame(rows), pd.DataFrame(shown))


def _choice_row(one: Choice) -> dict[str, Any]:
    row: dict[str, Any] = {"rates": one.name, **(one.point or {}), "shallow": one.shallow, "deep": one.deep}
    for kind, rise in one.rises.items():
        row |= {f"{kind}_{part}": value for part, value in rise.record().items()}
    if one.contrast is not None:
        row |= {f"contrast_{part}": value for part, value in one.contrast.record().items()}
    return row | {"judged": one.judged, "status": one.status, "reason": one.reason, "part_of_training": one.part}


def _name(one: Choice, facts: Facts) -> str:
    if one.point is None:
        return "tuned for each net"
    name = "best shared" if one.name == "shared" else "the paper's"
    return f"{name}: {point_words(one.point, facts.fields)}"


def _difference(found: Interval | None) -> str:
    if found is None or math.isnan(found.estimate):
        return NOTHING
    estimate = points(found.estimate, found.low, found.high)
    return estimate if math.isnan(found.low) else f"{estimate} ({interval(found.estimate, found.low, found.high)})"


def _status(one: Choice) -> str:
    return one.status or f"no claim: {REASONS.get(one.reason, one.reason)}"


def _rate(best: Best | None) -> str:
    return NOTHING if best is None else rate(best.rate)


def _error(best: Best | None, which: str = "error") -> str:
    value = math.nan if best is None else getattr(best, which)
    return NOTHING if math.isnan(value) else points(value)
