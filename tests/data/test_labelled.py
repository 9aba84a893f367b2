import pytest
from hypothesis import given
from hypothesis import strategies as st

from study.data.files import ImageFile
from study.data.labelled import Labelled, divided, in_order, refuse_too_many, role_of
from study.errors import DataError


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("data/train-00000-of-00002.parquet", "train"),
        ("TRAINING.parquet", "train"),
        ("default/test/0000.parquet", "test"),
        ("valid_1.parquet", "validation"),
        ("trains.parquet", None),
        ("contest-0.parquet", None),
        ("", None),
    ],
)
def test_roles_are_whole_words(name, role):
    assert role_of(name) == role


@given(st.lists(st.integers(0, 10**25)))
def test_numbers_are_in_the_order_of_their_values(numbers):
    short = [number for number in numbers if number < 10**18]
    assert in_order(map(str, short)) == tuple(map(str, sorted(set(short))))
    assert set(in_order(map(str, numbers))) == set(map(str, numbers))


@given(st.lists(st.text(max_size=3)))
def test_the_order_of_classes_is_one_for_any_order_of_images(names):
    assert in_order(names) == in_order(reversed(names))
    assert len(in_order(names)) == len(set(names))


def part(name):
    return Labelled(name, [ImageFile("a", 1, 1)], ["x"])


@pytest.mark.parametrize(
    ("roles", "test", "notes"),
    [
        (["train"], None, ()),
        (["train", "test"], "test", ("test: the images of test",)),
        (["train", "validation"], "validation", ("test: the images of validation",)),
        (["train", "test", "validation"], "test", ("test: the images of test", "not used: validation")),
    ],
)
def test_test_goes_before_validation(roles, test, notes):
    train, chosen, told = divided({role: part(role) for role in roles})
    assert (train.name, chosen and chosen.name, told) == ("train", test, notes)


def test_a_file_has_a_byte_an_image_at_least():
    refuse_too_many(100, 100, "a.npz")
    with pytest.raises(DataError, match=r"a.npz says that it has 1,001 images in 1,000 bytes"):
        refuse_too_many(1001, 1000, "a.npz")
