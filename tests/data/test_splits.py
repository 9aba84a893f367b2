import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from study.data.dataset import Split
from study.data.splits import class_shares, divide, hold_out, limit, stratified_choice, take_test
from study.errors import DataError

counts = st.lists(st.integers(1, 60), min_size=1, max_size=12)


def numbered(class_counts: list[int], shuffle_seed: int = 0) -> Split:
    """A split whose images are their own positions, so that they can be told apart."""
    labels = np.repeat(np.arange(len(class_counts)), class_counts)
    labels = np.random.default_rng(shuffle_seed).permutation(labels)
    images = torch.arange(len(labels)).to(torch.int32).view(torch.uint8).reshape(-1, 1, 2, 2)
    return Split(images, torch.from_numpy(labels))


def positions(split: Split) -> list[int]:
    return split.images.contiguous().view(-1, 4).view(torch.int32).flatten().tolist()


@given(counts, st.data())
def test_shares_are_exact_and_proportional(class_counts, data):
    total = data.draw(st.integers(0, sum(class_counts)))
    shares = class_shares(np.array(class_counts), total)
    assert shares.sum() == total
    quotas = np.array(class_counts) * total / sum(class_counts)
    assert (np.abs(shares - quotas) < 1).all()  # the largest-remainder method stays within the quota
    assert (shares <= class_counts).all()


def test_largest_remainder_wins_and_ties_go_to_the_first():
    assert class_shares(np.array([50, 30, 20]), 7).tolist() == [4, 2, 1]  # quotas 3.5, 2.1, 1.4
    assert class_shares(np.array([10, 10, 10]), 4).tolist() == [2, 1, 1]


@given(counts, st.integers(0, 2**63 - 1), st.data())
def test_two_parts_are_disjoint_whole_stratified_and_in_order(class_counts, seed, data):
    split = numbered(class_counts)
    count = data.draw(st.integers(1, len(split)))
    left, taken = divide(split, stratified_choice(split.labels.numpy(), count, seed))
    assert len(taken) == count
    assert sorted(positions(left) + positions(taken)) == list(range(len(split)))
    assert positions(taken) == sorted(positions(taken))
    shares = class_shares(np.array(class_counts), count)
    assert torch.bincount(taken.labels, minlength=len(class_counts)).tolist() == shares.tolist()
    for part in (left, taken):  # labels went with their images
        assert torch.equal(part.labels, split.labels[torch.tensor(positions(part), dtype=torch.int64)])


def test_choice_depends_on_the_seed_alone():
    labels = np.tile(np.arange(4), 50)
    assert stratified_choice(labels, 40, 1).tolist() == stratified_choice(labels, 40, 1).tolist()
    assert stratified_choice(labels, 40, 1).tolist() != stratified_choice(labels, 40, 2).tolist()


def test_choice_is_fixed():
    # Written down once: a change would silently give every study other validation images.
    assert stratified_choice(np.tile(np.arange(2), 10), 6, 7).tolist() == [3, 4, 6, 11, 12, 13]


def test_smaller_limit_is_part_of_a_larger_one():
    split = numbered([100, 100])
    small, large = (limit(split, count, classes=2, seed=3, field="train_limit") for count in (20, 60))
    assert set(positions(small)) < set(positions(large))


def test_limit_above_the_images_uses_all():
    split = numbered([5, 5])
    assert limit(split, 11, classes=2, seed=0, field="train_limit") is split
    assert limit(split, None, classes=2, seed=0, field="train_limit") is split


def test_limit_below_the_classes_is_an_error():
    with pytest.raises(DataError, match=r"train_limit: 3 is fewer than the 4 classes"):
        limit(numbered([9] * 4), 3, classes=4, seed=0, field="train_limit")


@pytest.mark.parametrize(("amount", "held"), [(0.1, 20), (0.5, 100), (1.0, 1), (30, 30), (0.0126, 3)])
def test_validation_is_a_part_or_a_number(amount, held):
    train, validation = hold_out(numbered([100, 100]), amount, classes=2, seed=0)
    assert validation is not None
    assert (len(train), len(validation)) == (200 - held, held)


def test_seed_chooses_the_validation_images():
    one, same, other = (hold_out(numbered([50, 50]), 20, classes=2, seed=seed)[1] for seed in (0, 0, 1))
    assert positions(one) == positions(same) != positions(other)


def test_no_validation():
    split = numbered([4, 4])
    train, validation = hold_out(split, 0, classes=2, seed=0)
    assert train is split
    assert validation is None


@pytest.mark.parametrize(
    ("amount", "message"),
    [
        (20, "20 of 20 training images leaves nothing"),
        (0.99, "0.99 of 20 training images leaves nothing"),
        (19, r"leaves 1 to train on, fewer than the 2 classes"),
        (0.01, "0.01 of 20 training images is none"),
    ],
)
def test_validation_that_cannot_be_made(amount, message):
    with pytest.raises(DataError, match=message):
        hold_out(numbered([10, 10]), amount, classes=2, seed=0)


@pytest.mark.parametrize("counts", [[2, 2], [2, 50], [3, 3, 400], [100, 50]])
def test_both_parts_have_images_of_every_class(counts):
    whole = numbered(counts)
    train, test = take_test(whole, 0.2, classes=["x"] * len(counts), seed=0)
    assert sorted(positions(train) + positions(test)) == list(range(sum(counts)))
    for part in (train, test):
        assert torch.bincount(part.labels, minlength=len(counts)).min() >= 1
    assert abs(len(test) - 0.2 * sum(counts)) < len(counts)


def test_a_class_of_a_single_image_cannot_be_split():
    with pytest.raises(
        DataError, match="test: fewer than two images in b: one to train on and one to test with are needed; add images"
    ):
        take_test(numbered([5, 1]), 0.2, classes=["a", "b"], seed=0)
