"""Whatever the runs, no two sentences of a page contradict each other, and none contradicts the numbers beside it.

What a contradiction is, is the list of checks below: each takes what the page says of one variant and returns the
sentences that are wrong.
"""

import math
import re
from collections.abc import Callable
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from study.report.figures.final_errors import depth_drawing
from study.report.figures.length import length_drawing
from study.report.figures.style import depth_colours
from study.report.searches import search_facts, sentences
from study.report.text import write
from study.report.why.chapter import Evidence
from study.report.why.overfitting import find_changes
from study.report.why.remedies import arms, doses, find_effects
from study.statistics.resampling import Bootstrap, Permutation
from study.verdict import Verdict, judge
from study.verdict import selection as c
from study.verdict.findings import failed
from study.verdict.rule import Rule
from study.verdict.searches import by_trial

from .made_up import MadeUp, made_up_studies

SMALLEST = 0.5
NUMBER = r"(-?\d[\d.,]*\d|-?\d)"


class Said(NamedTuple):
    """What a page says of a variant: the verdict's sentences, all others, and the study that they are of."""

    study: MadeUp
    verdict: Verdict
    texts: tuple[str, ...]
    others: tuple[str, ...]

    def sentence(self, *words: str) -> str:
        """Return the verdict's first sentence with all these words, empty where there is none."""
        return next((text for text in self.texts if all(word in text for word in words)), "")


def said_of(study: MadeUp) -> Said:
    """Return all that is said of a study with one variant and perhaps longer trainings."""
    (verdict,) = judge(study.runs, trials=study.trials)
    own = c.of_variant(study.runs, "")
    counted = c.counted(own)
    facts = search_facts(own, study.trials, by_trial(study.trials), Rule())
    drawings = [depth_drawing(own), length_drawing(study.runs, "", depth_colours(c.depths(study.runs)))]
    others = [*sentences(facts), *(text for drawing in drawings if drawing for text in drawing.texts)]
    changes = find_changes(counted)
    if changes is not None:
        others += write("why/overfitting", **changes)
    if len(counted):
        evidence = Evidence(counted, study.runs.iloc[:0], counted, {}, SMALLEST)
        others += write("why/remedies", **find_effects(arms(evidence), doses(evidence), 0.1, SMALLEST))
    texts = filter(None, (verdict.line, verdict.how_deep, *verdict.sentences, verdict.next_step))
    return Said(study, verdict, tuple(texts), tuple(others))


def named(text: str) -> set[str]:
    return set(re.findall(r"(?:plain|resnet)-\d+", text))


def intervals(text: str) -> list[tuple[float, float]]:
    found = re.findall(rf"(?:95% interval |\(){NUMBER} to {NUMBER}", text)
    return [(float(low.replace(",", "")), float(high.replace(",", ""))) for low, high in found]


# ---- the list of contradictions ----


def significant_and_not(said: Said) -> list[str]:
    """A net is significantly worse than another in one sentence and not in another one."""
    wrong = []
    for kind in ("plain", "residual"):
        count, turn = said.sentence(f"pairs of {kind} nets"), said.sentence(f"error of {kind} nets is least at")
        least = re.search(r"least at (\S+)", turn)
        if not count or least is None:
            continue
        over = set(re.findall(r"(\S+) over (\S+) by", count))
        worse, _, rest = turn.partition("significantly worse")
        told = named(worse.partition(";")[2]) if "not significantly" not in turn and "no deeper" not in turn else set()
        refused = named(rest) | (named(worse.partition(";")[2]) - told)
        wrong += [turn for net in told if (net, least[1]) not in over]
        wrong += [turn for net in refused if (net, least[1]) in over]
    return wrong


def shown_and_none(said: Said) -> list[str]:
    """A rise is shown though no pair is worse, or none is seen though one is; or its interval says otherwise."""
    wrong = []
    for text in said.texts:
        kind = "residual" if "esidual nets" in text else "plain"
        count, ends = said.sentence(f"pairs of {kind} nets"), intervals(text)
        if "Degradation shown" in text or "nets train worse with depth" in text:
            wrong += [text] * ("none has a deeper net" in count)
            wrong += [text] * (ends[0][0] <= SMALLEST and "one-sided p" not in text)
        if "egradation seen" in text or "egradation refuted" in text or "is refuted" in text:
            wrong += [text] * (" over " in count or ends[0][1] >= SMALLEST)
        if "neither shows nor excludes" in text:
            wrong += [text] * (not ends[0][0] <= SMALLEST <= ends[0][1])
        if "so the deeper net is worse there too" in text:
            wrong += [text] * (ends[0][0] <= 0 and "one-sided p" not in text)
        if "no degradation is seen" in text:
            wrong += [text] * ("shown" in said.verdict.line)
    return wrong


def removed_and_not_shown(said: Said) -> list[str]:
    """The shortcuts, or a longer training, remove a rise in one sentence and don't in another one."""
    line, depths = said.verdict.line, said.sentence("What the shortcuts remove of")
    wrong = []
    claim = re.search(rf"the shortcuts remove (?!any){NUMBER} points \({NUMBER} to {NUMBER}", line)
    if claim and float(claim[2]) <= 0:
        wrong.append(line)
    refusal = re.search(rf"not shown([^:]*): {NUMBER} points \({NUMBER} to {NUMBER}", line)
    if refusal and not float(refusal[3]) <= 0 <= float(refusal[4]):
        wrong += [line] * ("once all depths" not in refusal[1] and "edge" not in refusal[1])
    for depth, low, high in re.findall(rf" at (\d+) \((?:95% interval )?{NUMBER} to {NUMBER}\)", depths):
        where = re.split(r";|, (?=significantly|at )", depths.partition("; ")[2])
        parts = [part for part in where if re.search(rf"\b{depth}\b", part)]
        wrong += [depths] * (not float(low) <= 0 <= float(high) and not parts)
        wrong += [depths] * any("significantly removed" in part and float(low) <= 0 for part in parts)
        wrong += [depths] * any("significantly added" in part and float(high) >= 0 for part in parts)
    wrong += [text for text in said.others if "budget=" in text]  # a longer training is told as one, not as a remedy
    return wrong


def most_and_least(said: Said) -> list[str]:
    """The least error isn't the least, or the deepest net isn't the deepest."""
    wrong = []
    counted = c.counted(c.of_variant(said.study.runs, ""))
    for text in said.texts:
        least = re.search(rf"least at ((?:plain|resnet)-\d+) \({NUMBER}%", text)
        if least is None:
            continue
        own = counted[counted["architecture"] == ("plain" if least[1].startswith("plain") else "residual")]
        means = own.groupby("net")["final_train_error"].mean()
        wrong += [text] * bool(means[least[1]] > means.min() + 1e-9 or abs(float(least[2]) - means.min()) > 0.051)
        deepest = own.loc[own["depth"].idxmax(), "net"] == least[1]
        wrong += [text] * (("the deepest" in text) != deepest)
    return wrong


def all_and_some(said: Said) -> list[str]:
    """More than all, or none of some: `4 of 3`, `0 of 5 failed`, `all 0`."""
    wrong = []
    for text in (*said.texts, *said.others):
        for part, whole in re.findall(r"\b(\d+) of (\d+)\b", text):
            wrong += [text] * (int(part) > int(whole))
            wrong += [text] * (int(part) == 0 and "failed" in text)
        wrong += [text] * bool(re.search(r"\ball 0\b|none of 0\b|\b0 have\b", text))
    return wrong


def out_of_range(said: Said) -> list[str]:
    """An error's interval leaves 0 to 100, that of a difference -100 to 100, a probability's 0 to 1."""
    wrong = []
    for text in (*said.texts, *said.others):
        four = "shortcuts" in text or "shrinks by" in text or "minus training error" in text or "The gap" in text
        most = 200 if four else 100
        for low, high in intervals(text):
            wrong += [text] * (not -most <= low <= high <= most)
        for low, high in re.findall(rf"% \({NUMBER} to {NUMBER}\)", text):
            wrong += [text] * (not 0 <= float(low) <= float(high) <= 100)
        for low, high in re.findall(rf"probability [\d.]+ \(95% interval {NUMBER} to {NUMBER}\)", text):
            wrong += [text] * (not 0 <= float(low) <= float(high) <= 1)
    return wrong


def of_one_seed(said: Said) -> list[str]:
    """A probability, a test or an interval rests on one seed of a net."""
    counted = c.counted(c.of_variant(said.study.runs, ""))
    seeds = counted.groupby("net").size()
    wrong = []
    for text in said.texts:
        if "with probability" in text or "one-sided p" in text:
            wrong += [text] * bool(min(seeds[net] for net in named(text)) < 2)
        wrong += [text] * ("one seed each" in text and "95% interval" in text)
    return wrong


def seeds_without_a_spread(said: Said) -> list[str]:
    """More seeds are asked for because of a spread that isn't there."""
    text = said.verdict.next_step
    if "spread" not in text:
        return []
    counted = c.counted(c.of_variant(said.study.runs, ""))
    spreads = counted.groupby(["architecture", "net"])["final_train_error"].std()
    kind = "residual" if "resnet" in text or "residual" in text else "plain"
    nets = named(text)
    own = spreads.loc[kind] if not nets else spreads.loc[kind][sorted(nets)]
    return [text] * (not bool((own > 0).any()))


def tried_and_not_tried(said: Said) -> list[str]:
    """Longer trainings were made, and are said not to be or advised."""
    if not (c.counted(said.study.runs)["variant"] == "budget=3").any():
        return []
    return [text for text in said.texts if "were not tried" in text or "`budgets: [1, 3]`" in text]


def advice_without_its_reason(said: Said) -> list[str]:
    """The next step rests on what isn't so: a rise to undo, nets to deepen that learn nothing, a study to repeat."""
    text, plain, counted = said.verdict.next_step, said.verdict.plain, c.counted(c.of_variant(said.study.runs, ""))
    status = plain.status if plain is not None else "none"
    lost = {kind: bool(failed(runs).all()) for kind, runs in counted.groupby("architecture")}
    wrong = [text] * (status != "shown" and ("undo" in text or text.startswith("Repeat")))
    wrong += [text] * ("deeper nets" in text and (status not in ("not seen", "refuted") or lost["plain"]))
    none_learned = re.search(r"all runs of (.*) nets", text)
    wrong += [text] * (none_learned is not None and not all(lost[kind] for kind in none_learned[1].split(" and ")))
    wrong += [text] * (none_learned is None and any(lost.values()) and not text.startswith("Run the study again"))
    return wrong


def deep_and_worse(said: Said) -> list[str]:
    """A net is without loss, or undecided, that another sentence or a pair shows to be worse than a shallower one."""
    text, counted, wrong = said.verdict.how_deep, c.counted(c.of_variant(said.study.runs, "")), []
    for finding in said.verdict.findings:
        kind, own = finding.architecture, counted[counted["architecture"] == finding.architecture]
        nets, level = list(dict.fromkeys(own["net"])), finding.status in ("not seen", "refuted")
        over = {pair.deep_net for pair in finding.train if pair.worse}
        over |= set(re.findall(r"(\S+) over \S+ by", said.sentence(f"pairs of {kind} nets")))
        parts = [part for part in text.split("; ") if named(part) & set(nets)]
        if not parts:
            wrong += [text] * (level and not failed(own).any())
            continue
        limit, undecided = parts[0], {net for part in parts if "undecided" in part for net in named(part)}
        (net,) = named(limit)
        within = nets[: nets.index(net) + 1]
        wrong += [text] * bool(over & {*within, *undecided} or undecided & set(within))
        wrong += [text] * (level != ("no limit" in limit) or level != (net == nets[-1]))
        wrong += [text] * (("the shallowest" in limit) != (net == nets[0]))
        wrong += [text] * bool(failed(own[own["net"].isin(within)]).any() or own.groupby("net").size().min() < 2)
        wrong += [text] * any(pair.difference.high >= SMALLEST for pair in finding.train if pair.deep_net in within)
    return wrong


CHECKS: tuple[Callable[[Said], list[str]], ...] = (
    significant_and_not,
    shown_and_none,
    removed_and_not_shown,
    most_and_least,
    all_and_some,
    out_of_range,
    of_one_seed,
    seeds_without_a_spread,
    tried_and_not_tried,
    advice_without_its_reason,
    deep_and_worse,
)


@pytest.fixture
def without_resampling(monkeypatch):
    """Leave out what no sentence says and what takes most of the time."""
    nothing = math.nan
    monkeypatch.setattr("study.verdict.pairs.bootstrap_interval", lambda *_: Bootstrap(nothing, nothing, ""))
    monkeypatch.setattr("study.verdict.pairs.permutation_test", lambda *_: Permutation(nothing, nothing, False))


@given(made_up_studies())
@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # to shrink a study takes minutes and tells no more
    report_multiple_bugs=False,
)
def test_no_sentence_contradicts_another(without_resampling, study):
    said = said_of(study)
    for check in CHECKS:
        wrong = check(said)
        assert not wrong, f"{check.__doc__} {wrong}\n{study.cells}\n" + "\n".join(said.texts)
