"""Parts of batches: together they are what one process sees, to the last bit, wherever the images lie."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from study.data import Normalizer, Shard, Split, TrainBatches, evaluation_batches
from study.data import stream as stream_module
from study.errors import DataError

AUGMENTATIONS = ("none", "crop-flip", "imagenet")
SPLIT = Split(
    torch.randint(0, 256, (50, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(5)),
    torch.arange(50),  # the label tells the image
)


def make(split: Split, augment: str, batch_size: int, shard: Shard) -> TrainBatches:
    normalizer = Normalizer.fit(SPLIT, "channel", augment=augment)
    return TrainBatches(split, normalizer, batch_size=batch_size, augment=augment, seed=1, shard=shard)


@given(st.integers(0, 1000), st.integers(0, 1000), st.integers(1, 16))
def test_parts_lie_one_after_another(start, count, size):
    parts = [Shard(rank, size).of(slice(start, start + count)) for rank in range(size)]
    assert [i for part in parts for i in range(part.start, part.stop)] == list(range(start, start + count))
    lengths = {part.stop - part.start for part in parts}
    assert max(lengths) - min(lengths) <= 1


@settings(max_examples=40)
@given(st.sampled_from(AUGMENTATIONS), st.integers(1, 4), st.integers(1, 20), st.lists(st.integers(0, 30), max_size=5))
def test_parts_of_training_batches_are_the_batch(augment, size, images, steps):
    whole = make(SPLIT, augment, images * size, Shard())
    parts = [make(SPLIT, augment, images * size, Shard(rank, size)) for rank in range(size)]
    if whole.batch_size % size:
        return  # fewer images than a batch: then the parts are made equal
    assert {part.iterations_per_epoch for part in parts} == {whole.iterations_per_epoch}
    for step in steps:
        found = [torch.cat(pieces) for pieces in zip(*(part.batch(step) for part in parts), strict=True)]
        assert all(map(torch.equal, found, whole.batch(step)))


@settings(max_examples=40)
@given(st.sampled_from(AUGMENTATIONS), st.integers(1, 7), st.integers(1, 60), st.integers(1, 50))
def test_parts_of_evaluations_are_each_image_once(augment, size, batch_size, count):
    split = SPLIT.take(torch.arange(count))
    normalizer = Normalizer.fit(SPLIT, "channel", augment=augment)

    def passes(shard: Shard, size: int) -> list:
        clean = evaluation_batches(split, normalizer, augment=augment, batch_size=size, shard=shard)
        return [*clean, *evaluation_batches(split, normalizer, augment=augment, seed=2, batch_size=size, shard=shard)]

    whole = passes(Shard(), count)
    parts = [passes(Shard(rank, size), batch_size) for rank in range(size)]
    assert len({len(part) for part in parts}) == 1  # as many batches each, for whoever asks something between them
    batches = [torch.cat(pieces) for turn in zip(*parts, strict=True) for pieces in zip(*turn, strict=True)]
    half = len(batches) // 2
    for expected, found in zip(whole, (batches[:half], batches[half:]), strict=True):
        assert torch.equal(torch.cat(found[::2]), expected[0])
        assert torch.equal(torch.cat(found[1::2]), expected[1])


class Watched(Split):
    """A split that tells which images were read."""

    def gather(self, index):
        self.reads.extend(index.tolist())
        return super().gather(index)


@pytest.mark.parametrize("augment", AUGMENTATIONS)
def test_streamed_parts_are_those_of_a_resident_split_and_nothing_else_is_read(augment, monkeypatch):
    shards = [Shard(rank, 2) for rank in range(2)]
    resident = [make(SPLIT, augment, 8, shard) for shard in shards]
    expected = [[batches.batch(step) for step in range(6)] for batches in resident]
    monkeypatch.setattr(stream_module, "on_device", lambda split, device: False)
    seen = []
    for shard, parts in zip(shards, expected, strict=True):
        watched = Watched(SPLIT.pixels, SPLIT.labels)
        object.__setattr__(watched, "reads", [])
        streamed = make(watched, augment, 8, shard)
        for step, part in enumerate(parts):
            assert all(map(torch.equal, streamed.batch(step), part))
        assert sorted(watched.reads) == sorted(label for _, labels in parts for label in labels.tolist())
        seen += watched.reads
    assert len(seen) == len(set(seen)) == 48  # each image of a pass is read by one of them, once


def test_parts_of_a_small_split_are_equal():
    parts = [make(SPLIT, "none", 64, Shard(rank, 4)) for rank in range(4)]
    assert {part.batch_size for part in parts} == {48}  # 50 images, of which two are left out of each pass
    assert {len(part.batch(0)[1]) for part in parts} == {12}
    with pytest.raises(DataError, match="no batch of 64 in 4 equal parts can be made of 3 images"):
        make(SPLIT.take(torch.arange(3)), "none", 64, Shard(0, 4))
