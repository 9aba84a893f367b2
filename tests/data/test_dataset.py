import dataclasses

import pytest
import torch

from study.data import Dataset, Split
from study.data.dataset import CHUNK, fingerprint
from study.errors import DataError


def make(count: int = 6, seed: int = 0) -> Split:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (count, 1, 3, 2), dtype=torch.uint8, generator=generator)
    return Split(images, torch.arange(count) % 2)


def test_properties():
    data = Dataset("toy", make(), None, make(2, 1), ("a", "b", "c"), "0" * 20)
    assert (data.num_classes, data.image_shape, len(data.train)) == (3, (1, 3, 2), 6)


def test_to_moves_every_split():
    data = Dataset("toy", make(), make(3), make(2), ("a", "b"), "0" * 20).to("meta")
    assert data.validation is not None
    for split in (data.train, data.validation, data.test):
        assert split.images.is_meta
        assert split.labels.is_meta
    assert dataclasses.replace(data, validation=None).to("meta").validation is None


def test_fingerprint_is_fixed():
    images = torch.arange(12, dtype=torch.uint8).reshape(2, 1, 3, 2)
    split = Split(images, torch.tensor([0, 1]))
    # Written down once: a change makes every stored run a different run.
    assert fingerprint(split, None, split, ("a", "b")) == "5e653fca67b8d5c7d4d0"


def test_fingerprint_changes_with_any_content():
    base = (make(), make(3, 1), make(4, 2), ("a", "b"))
    pixel, label = make().images.clone(), make().labels.clone()
    pixel[5, 0, 2, 1] ^= 1
    label[5] ^= 1
    others = [
        (Split(pixel, base[0].labels), *base[1:]),
        (Split(base[0].images, label), *base[1:]),
        (base[0], None, *base[2:]),
        (base[0], base[2], base[1], base[3]),
        (*base[:3], ("a", "c")),
        (Split(base[0].images.reshape(6, 1, 2, 3), base[0].labels), *base[1:]),
    ]
    marks = {fingerprint(*parts) for parts in [base, *others]}
    assert len(marks) == len(others) + 1


def test_fingerprint_is_of_content_not_of_layout():
    split = make(CHUNK + 2)  # more than is hashed at a time
    view = Split(split.images.repeat_interleave(2, dim=0)[::2], split.labels)
    assert not view.images.is_contiguous()
    assert fingerprint(view, None, view, ("a",)) == fingerprint(split, None, split, ("a",))


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (torch.zeros(2, 1, 2, 2), torch.zeros(2, dtype=torch.int64), r"images must be uint8 .*float32"),
        (torch.zeros(2, 2, 2, dtype=torch.uint8), torch.zeros(2, dtype=torch.int64), r"images .*\(2, 2, 2\)"),
        (torch.zeros(2, 1, 2, 2, dtype=torch.uint8), torch.zeros(3, dtype=torch.int64), r"int64 \(2,\), .*\(3,\)"),
        (torch.zeros(2, 1, 2, 2, dtype=torch.uint8), torch.zeros(2, dtype=torch.int32), "not torch.int32"),
    ],
)
def test_split_of_the_wrong_kind(images, labels, message):
    with pytest.raises(DataError, match=message):
        Split(images, labels)
