"""Whatever the runs, no sentence says what the numbers don't carry."""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, is_dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from study.verdict import judge
from tests.report.frames import Truth, diverge, make_study

errors = st.tuples(st.sampled_from([0.0, 0.3, 1.0, 2.0, 30.0, 88.0]), st.sampled_from([0.0, 0.1, 0.6, 5.0]))
STATED = {95.0, 20.0, 56.0, 32.0, 8.0, 10.0}
"""Numbers that are no measurement: the level of intervals, the last fifth of training, depths."""


@st.composite
def studies(draw):
    depths = draw(st.sampled_from([(8, 20), (8, 20, 32)]))
    kinds = draw(st.sampled_from([("plain",), ("plain", "residual"), ("residual",)]))
    train = {(kind, depth): draw(errors) for kind in kinds for depth in depths}
    truth = Truth(train, seeds=draw(st.integers(1, 4)), overfit=draw(st.sampled_from([0.0, 3.0])), trials=4)
    study = make_study(truth, seed=draw(st.integers(0, 50)))
    if draw(st.booleans()):
        study = diverge(study, str(study.runs["name"].iloc[0]))
    trials = study.trials.copy()
    trials.loc[trials["net"] == draw(st.sampled_from(sorted(set(trials["net"])))), "edge"] = draw(
        st.sampled_from(["", "lowest", "highest"])
    )
    runs = study.runs.assign(lr_tuned=draw(st.booleans()))
    if draw(st.booleans()):
        runs = runs.assign(final_test_error=np.nan)
    return runs, trials


def numbers(value) -> Iterator[float]:
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if is_dataclass(value):
        value = asdict(value)
    if isinstance(value, Mapping):
        value = [*value.values(), *(float(key) for key in value if str(key).isdigit())]
    if isinstance(value, list | tuple):
        for item in value:
            yield from numbers(item)
    elif isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        yield float(value)


def carried(text, known):
    """Return the decimal numbers of a text that no known number rounds to."""
    lost = []
    for word in re.findall(r"(?<![\w.-])-?\d+\.\d+", text):
        digits = len(word.split(".")[1])
        near = 0.5001 * 10**-digits
        if not any(
            abs(abs(float(word)) - abs(one)) <= near
            or float(f"{one:.2g}") == float(word)
            or float(f"{one:.4g}") == float(word)
            for one in known
        ):
            lost.append(word)
    return lost


@given(studies())
@settings(max_examples=40)
def test_sentences_say_what_the_numbers_carry(study):
    runs, trials = study
    (verdict,) = judge(runs, trials=trials)
    texts = [verdict.line, *filter(None, [verdict.how_deep]), *verdict.sentences, verdict.next_step]
    known = [*numbers(verdict), *set(runs["lr"]), 0.5, 0.0001, 0.99, 0.05]
    for text in texts:
        assert "nan" not in text
        assert "inf" not in text
        assert "None" not in text
        assert text.endswith(".")
        assert not carried(text, known), (text, carried(text, known))
    for finding in verdict.findings:
        if finding.status == "shown":
            assert finding.headline.worse
            assert finding.headline.difference.estimate > 0.5
        if finding.status == "not seen":
            assert all(pair.difference.high < 0.5 for pair in finding.train)
    plain = verdict.plain
    assert verdict.line.startswith("Degradation shown") == (plain is not None and plain.status == "shown")
    assert verdict.line.startswith("No degradation seen") == (plain is not None and plain.status == "not seen")
    if runs["seed"].nunique() == 1:
        assert "p =" not in " ".join(texts)
        assert "95% interval" not in " ".join(texts)
        assert "significantly" not in " ".join(texts)


@given(studies())
@settings(max_examples=15)
def test_what_is_significant_is_in_the_pairs(study):
    runs, trials = study
    (verdict,) = judge(runs, trials=trials)
    for finding in verdict.findings:
        significant = {pair.deep_net for pair in finding.train if pair.worse}
        if finding.turn is not None:
            assert set(finding.turn.worse) <= significant
    for text in verdict.sentences:
        if text.startswith("What the shortcuts remove") and "significantly removed" in text:
            assert any(one.p_adjusted < 0.05 and one.contrast.estimate > 0 for one in verdict.remedies)


def test_a_loss_on_test_images_alone_is_not_degradation():
    study = make_study(Truth({("plain", 8): (0.3, 0.05), ("plain", 20): (0.3, 0.05)}))
    runs = study.runs.copy()
    runs.loc[runs["depth"] == 20, "final_test_error"] += 8
    (verdict,) = judge(runs)
    assert verdict.plain.status == "not seen"
    assert any(text.endswith("a loss that training error does not show.") for text in verdict.sentences)


@pytest.mark.parametrize("status", ["shown", "not seen"])
def test_the_order_is_training_test_explanations(digits, status):
    runs = digits.runs if status == "shown" else digits.runs.assign(final_train_error=0.0)
    (verdict,) = judge(runs, trials=digits.trials)
    assert verdict.plain.status == status
    kinds = [text.startswith("On test images") for text in verdict.sentences]
    first = kinds.index(True)
    assert not any("Overfitting" in text for text in verdict.sentences[:first])
    assert all("On test" not in one.sentence for one in verdict.explanations)
