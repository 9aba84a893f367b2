import pytest
import torch

from study.data import Normalizer, Split, TrainBatches, evaluation_batches
from study.errors import DataError
from tests.gpu.sync import never_waited_for

AUGMENTATIONS = ("none", "crop-flip", "imagenet")


@pytest.fixture(scope="module")
def split() -> Split:
    generator = torch.Generator().manual_seed(5)
    images = torch.randint(0, 256, (50, 3, 16, 16), dtype=torch.uint8, generator=generator)
    return Split(images, torch.arange(50))  # the label tells the image


def make(split, augment="none", batch_size=8, seed=0):
    normalizer = Normalizer.fit(split, "channel", augment=augment)
    return TrainBatches(split, normalizer, batch_size=batch_size, augment=augment, seed=seed)


@pytest.mark.parametrize("augment", AUGMENTATIONS)
def test_any_step_can_be_made_again(split, augment):
    through = make(split, augment)
    in_order = [through.batch(step) for step in range(15)]
    for step in (14, 3, 6, 0):  # epochs end at steps 6 and 12
        images, labels = make(split, augment).batch(step)
        assert torch.equal(images, in_order[step][0])
        assert torch.equal(labels, in_order[step][1])


@pytest.mark.parametrize("augment", AUGMENTATIONS)
def test_global_generator_is_neither_used_nor_moved(split, augment):
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = make(split, augment).batch(0)[0]
    list(evaluation_batches(split, Normalizer.fit(split, "none"), augment=augment, seed=0, batch_size=20))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(make(split, augment).batch(0)[0], first)


def test_an_epoch_shows_each_image_at_most_once_in_a_new_order(split):
    batches = make(split)
    assert batches.iterations_per_epoch == 6  # 50 // 8: two images are left out of each pass
    epochs = [torch.cat([batches.batch(e * 6 + i)[1] for i in range(6)]) for e in range(2)]
    for labels in epochs:
        assert len(labels) == len(set(labels.tolist())) == 48
    assert not torch.equal(*epochs)


def test_seed_changes_order_and_augmentation(split):
    one, other = make(split, "crop-flip", seed=0), make(split, "crop-flip", seed=1)
    assert not torch.equal(one.batch(0)[1], other.batch(0)[1])
    single = Split(split.images[:1], split.labels[:1])  # one image: no order to draw, only its crop
    seen = {make(single, "crop-flip", seed=seed).batch(0)[0].sum().item() for seed in range(20)}
    assert len(seen) > 10


def test_every_epoch_has_an_augmentation_of_its_own(split):
    single = make(Split(split.images[:1], split.labels[:1]), "crop-flip")
    seen = {single.batch(epoch)[0].sum().item() for epoch in range(20)}
    assert len(seen) > 10


def test_images_go_with_their_labels(split):
    images, labels = make(split).batch(4)
    normalizer = Normalizer.fit(split, "channel")
    assert torch.equal(images, normalizer(split.images[labels]))
    assert images.is_contiguous(memory_format=torch.channels_last)


def test_fewer_images_than_a_batch(split):
    batches = make(split, batch_size=128)
    assert (batches.batch_size, batches.iterations_per_epoch) == (50, 1)
    assert sorted(batches.batch(7)[1].tolist()) == list(range(50))


@pytest.mark.parametrize(("augment", "side"), [("none", 16), ("crop-flip", 16), ("imagenet", 14)])
def test_evaluation_shows_every_image_once_clean_and_in_the_size_of_training(split, augment, side):
    normalizer = Normalizer.fit(split, "pixel-mean", augment=augment)
    batches = list(evaluation_batches(split, normalizer, augment=augment, batch_size=20))
    assert [len(labels) for _, labels in batches] == [20, 20, 10]
    assert torch.equal(torch.cat([labels for _, labels in batches]), split.labels)
    edge = (16 - side) // 2
    clean = normalizer(split.images[:, :, edge : edge + side, edge : edge + side])
    assert torch.equal(torch.cat([images for images, _ in batches]), clean)
    assert make(split, augment).batch(0)[0].shape[1:] == (3, side, side)
    assert all(images.is_contiguous(memory_format=torch.channels_last) for images, _ in batches)


def test_augmented_pass_is_whole_in_order_and_its_own(split):
    normalizer = Normalizer.fit(split, "channel")

    def once(seed, batch_size):
        batches = list(evaluation_batches(split, normalizer, augment="crop-flip", seed=seed, batch_size=batch_size))
        assert torch.equal(torch.cat([labels for _, labels in batches]), split.labels)
        return torch.cat([images for images, _ in batches])

    assert torch.equal(once(0, 20), once(0, 7))  # draws belong to images, not to batches
    assert not torch.equal(once(0, 20), once(1, 20))
    changed = (once(0, 20) != normalizer(split.images)).flatten(1).any(dim=1)
    assert changed.sum() > 40  # one in 162 stays as it is


def test_no_batch_of_nothing(split):
    empty = Split(split.images[:0], split.labels[:0])
    with pytest.raises(DataError, match="batch of 8 can be made of 0 images"):
        TrainBatches(empty, Normalizer.fit(split, "none"), batch_size=8, augment="none", seed=0)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("augment", AUGMENTATIONS)
def test_device_sees_the_same_batches_and_is_never_waited_for(split, augment):
    here, there = make(split, augment), make(split.to("cuda"), augment)
    there.batch(0)
    with never_waited_for():
        images, labels = there.batch(3)
    expected, expected_labels = here.batch(3)
    assert torch.equal(labels.cpu(), expected_labels)
    torch.testing.assert_close(images.cpu(), expected, atol=1e-4, rtol=1e-4)
