import pytest
import torch

from study.data import Normalizer, Split
from study.data.measure import sum_images
from study.errors import DataError


def split(images):
    return Split(images, torch.zeros(len(images), dtype=torch.int64))


@pytest.fixture(scope="module")
def images():
    generator = torch.Generator().manual_seed(1)
    spread = torch.tensor([255, 120, 40])[None, :, None, None]
    return (torch.rand(300, 3, 6, 5, generator=generator) * spread).to(torch.uint8)


def test_channel_statistics_are_those_of_all_pixels(images):
    x = images.double() / 255
    normalizer = Normalizer.fit(split(images), "channel")
    torch.testing.assert_close(normalizer.mean.double().flatten(), x.mean(dim=(0, 2, 3)), atol=1e-7, rtol=0)
    std = x.transpose(0, 1).flatten(1).std(dim=1, correction=0)
    torch.testing.assert_close(normalizer.std.double().flatten(), std, atol=1e-7, rtol=0)
    out = normalizer(images)
    assert out.dtype == torch.float32
    torch.testing.assert_close(out.mean(dim=(0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(out.std(dim=(0, 2, 3)), torch.ones(3), atol=1e-3, rtol=0)


def test_pixel_mean_is_subtracted_and_nothing_divided(images):
    normalizer = Normalizer.fit(split(images), "pixel-mean")
    assert normalizer.mean.shape == (3, 6, 5)
    expected = images.float() / 255 - (images.double() / 255).mean(dim=0).float()
    torch.testing.assert_close(normalizer(images), expected, atol=1e-6, rtol=0)


def test_pixel_mean_with_moving_crops_is_the_channels(images):
    normalizer = Normalizer.fit(split(images), "pixel-mean", augment="imagenet")
    assert normalizer.mean.shape == (3, 1, 1)
    torch.testing.assert_close(normalizer.mean, Normalizer.fit(split(images), "channel").mean)
    assert normalizer.std.flatten().tolist() == [1]


def test_none_only_scales(images):
    torch.testing.assert_close(Normalizer.fit(split(images), "none")(images), images.float() / 255)


@pytest.mark.parametrize("kind", ["channel", "pixel-mean", "none"])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_layout_changes_nothing_but_the_result_is_channels_last(images, kind, layout):
    normalizer = Normalizer.fit(split(images), kind)
    out = normalizer(images.contiguous(memory_format=layout))
    assert out.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(out, (images.float() / 255 - normalizer.mean) / normalizer.std)
    assert torch.equal(normalizer.scaled(images.float() / 255), out)


def test_terms_as_images(images):
    normalizer = Normalizer.fit(split(images), "channel")
    for term, image in zip((normalizer.mean, normalizer.std), normalizer.as_images((3, 6, 5)), strict=True):
        assert torch.equal(image, term.expand(1, 3, 6, 5))
        assert image.is_contiguous(memory_format=torch.channels_last)


def test_images_are_left_as_they_were(images):
    before = images.clone()
    Normalizer.fit(split(images), "channel")(images)
    assert torch.equal(images, before)


def test_sums_are_exact_across_chunks():
    # bright odd values: the largest sums there can be, which float32 would round beyond 2**24
    bright = torch.randint(250, 256, (300_003, 1, 1, 1), generator=torch.Generator().manual_seed(0))
    assert torch.equal(sum_images(bright.to(torch.uint8).split(4096)).long(), bright.sum(dim=0))
    assert bright.sum() > 2**24


def test_constant_images_stay_finite():
    grey = torch.full((4, 1, 3, 3), 77, dtype=torch.uint8)
    assert Normalizer.fit(split(grey), "channel")(grey).abs().max() < 1e-4


def test_bad_input():
    with pytest.raises(DataError, match="'chanel'"):
        Normalizer.fit(split(torch.zeros(1, 1, 1, 1, dtype=torch.uint8)), "chanel")
    with pytest.raises(DataError, match="no images"):
        Normalizer.fit(split(torch.zeros(0, 1, 1, 1, dtype=torch.uint8)), "channel")
