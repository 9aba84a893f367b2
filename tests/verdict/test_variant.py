import pytest

from study.verdict.variant import Variant, is_of_study, labelled


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("", {}),
        ("width=2", {"width": "2"}),
        ("shortcut=A, width=2", {"shortcut": "A", "width": "2"}),
        ("milestones=[0.5, 0.75]", {"milestones": "[0.5, 0.75]"}),
        ("milestones=[0.5, 0.75], width=2", {"milestones": "[0.5, 0.75]", "width": "2"}),
        ("study=day, night, epochs=20", {"study": "day, night", "epochs": "20"}),
    ],
)
def test_a_variant_is_its_fields_in_their_order(text, fields):
    variant = Variant.parse(text)
    assert dict(variant) == fields
    assert list(variant) == list(fields)
    assert str(variant) == text


def test_without_some_of_its_fields():
    variant = Variant.parse("epochs=20, shortcut=A, milestones=[0.5, 0.75]")
    assert str(variant.without("shortcut")) == "epochs=20, milestones=[0.5, 0.75]"
    assert str(variant.without("epochs", "iterations", "milestones")) == "shortcut=A"
    assert variant.without("width") == variant


def test_a_study_is_a_field_of_its_variants():
    assert labelled("a", "width=2") == "study=a, width=2"
    assert is_of_study("study=a, width=2", "a")
    assert is_of_study("study=a", "a")
    assert is_of_study("width=2", "")
    assert not is_of_study("study=ab", "a")
