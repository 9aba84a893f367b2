import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from study.data import Split
from study.data.augment import CropFlip, ImageNetCrop, augmentation
from study.data.normalize import Normalizer
from study.errors import DataError


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random_images(*shape: int) -> torch.Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator(9))


def plain_crop(x, top, left, flip):
    """The same by the textbook: pad one image with zeros, slice it, flip it."""
    padded = F.pad(x, (4, 4, 4, 4))
    crop = padded[:, top : top + x.shape[1], left : left + x.shape[2]]
    return crop.flip(-1) if flip else crop


@given(
    st.integers(0, 8), st.integers(0, 8), st.booleans(), st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3])
)
def test_crop_flip_is_pad_slice_flip_after_normalisation(top, left, flip, height, width, channels):
    images = random_images(2, channels, height, width)
    normalizer = Normalizer.fit(Split(images, torch.zeros(len(images), dtype=torch.int64)), "pixel-mean")
    # the second image has draws of its own
    draws = torch.tensor([top, 4]), torch.tensor([left, 4]), torch.tensor([int(flip), 0])
    out = CropFlip().apply(images, draws, normalizer)
    assert torch.equal(out[0], plain_crop(normalizer(images)[0], top, left, flip))
    assert torch.equal(out[1], normalizer(images)[1])
    assert out.is_contiguous(memory_format=torch.channels_last)


@given(st.data())
def test_crop_flip_of_a_batch_is_that_of_its_images_one_by_one(data):
    n, height, width = (data.draw(st.integers(1, most)) for most in (6, 12, 12))
    channels = data.draw(st.sampled_from([1, 2, 3, 5]))
    images = random_images(n, channels, height, width)
    if data.draw(st.booleans()):
        images = images.contiguous(memory_format=torch.channels_last)
    sides = (height, width) if data.draw(st.booleans()) else (1, 1)  # a mean for each pixel, or for each channel
    mean, std = (torch.rand(channels, *size, generator=generator()) for size in (sides, (1, 1)))
    draws = tuple(torch.tensor(data.draw(st.lists(st.integers(0, most), min_size=n, max_size=n))) for most in (8, 8, 1))
    out = CropFlip().apply(images, draws, Normalizer(mean, std + 0.2))
    assert out.is_contiguous(memory_format=torch.channels_last)
    for image, result, top, left, flip in zip(images, out, *(draw.tolist() for draw in draws), strict=True):
        normalised = (image.double() / 255 - mean) / (std + 0.2)
        torch.testing.assert_close(
            result.double(), plain_crop(normalised, top, left, flip).double(), atol=1e-6, rtol=1e-6
        )


def test_padding_is_exactly_the_mean():
    images = random_images(1, 3, 4, 4)
    draws = torch.tensor([0]), torch.tensor([8]), torch.tensor([0])  # the crop of a corner that holds no image
    for kind in ("pixel-mean", "channel", "none"):
        normalizer = Normalizer.fit(Split(images, torch.tensor([0])), kind)
        assert not CropFlip().apply(images, draws, normalizer).any()


def test_every_offset_and_both_flips_are_reached_equally():
    top, left, flip = CropFlip().draw(81_000, (3, 32, 32), generator())
    counts = torch.bincount(top * 9 + left, minlength=81)
    assert len(counts) == 81  # 9 x 9 offsets, none beyond
    # 1,000 expected of each, standard deviation 31
    assert counts.min() > 850
    assert counts.max() < 1150
    assert abs(flip.float().mean() - 0.5) < 0.01
    assert set(flip.tolist()) == {0, 1}


def test_draws_depend_on_the_generator_alone():
    for name, shape in (("crop-flip", (3, 8, 8)), ("imagenet", (3, 64, 64))):
        one, same, other = (augmentation(name).draw(50, shape, generator(seed)) for seed in (1, 1, 2))
        assert all(torch.equal(a, b) for a, b in zip(one, same, strict=True))
        assert not any(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def windows(maps: torch.Tensor, size: int) -> torch.Tensor:
    """Top, left and side in held pixels of affine maps (N, 2, 3)."""
    side = maps[:, 1, 1] * size
    top, left = ((maps[:, row, 2] + 1) * size / 2 - side / 2 for row in (1, 0))
    return torch.stack([top, left, side])


def test_imagenet_windows_are_those_of_scales_256_to_480():
    maps, colour = ImageNetCrop().draw(40_000, (3, 256, 256), generator())
    window = windows(maps, 256)
    torch.testing.assert_close(window, window.round(), atol=1e-3, rtol=0)  # whole held pixels
    top, left, side = window.round().int()
    assert (side.min(), side.max()) == (119, 224)  # 256 * 224 / 480 and 256 * 224 / 256
    assert (top.min(), left.min()) == (0, 0)
    assert (top + side).max() == (left + side).max() == 256  # the last position is drawn too
    assert (maps[:, 0, 0] < 0).float().mean() == pytest.approx(0.5, abs=0.01)
    # colour noise: covariance .01 * V diag(l^2) V^T
    vectors, values = torch.tensor(ImageNetCrop.eigenvectors), torch.tensor(ImageNetCrop.eigenvalues)
    covariance = 0.01 * vectors @ torch.diag(values**2) @ vectors.T
    torch.testing.assert_close(torch.cov(colour.T), covariance, atol=1e-5, rtol=0.05)


@pytest.mark.parametrize("flip", [0, 1])
def test_imagenet_window_of_the_crops_size_is_a_slice(flip):
    crop = ImageNetCrop()
    images = random_images(1, 3, 64, 64)
    side = crop.side(64)
    assert side == 56
    corner, window = torch.tensor([[3.0], [7.0]]).double(), torch.tensor([56.0]).double()
    maps = crop._transforms(64, window, corner, torch.tensor([flip]))
    colour = torch.tensor([[0.1, 0.0, -0.2]])
    normalizer = Normalizer.fit(Split(images, torch.zeros(len(images), dtype=torch.int64)), "channel")
    expected = images[:, :, 3:59, 7:63].float() / 255 + colour[:, :, None, None]
    expected = (expected - normalizer.mean) / normalizer.std
    out = crop.apply(images, (maps, colour), normalizer)
    torch.testing.assert_close(out, expected.flip(-1) if flip else expected, atol=2e-4, rtol=0)
    assert out.is_contiguous(memory_format=torch.channels_last)


def test_imagenet_window_is_enlarged_evenly():
    # A ramp across the image stays a ramp, from the window's left edge to its right.
    crop = ImageNetCrop()
    images = torch.arange(0, 256, 4, dtype=torch.uint8).expand(1, 1, 64, 64).contiguous()
    maps = crop._transforms(
        64, torch.tensor([30.0]).double(), torch.tensor([[5.0], [20.0]]).double(), torch.tensor([0])
    )
    out = crop.apply(
        images,
        (maps, torch.zeros(1, 1)),
        Normalizer.fit(Split(images, torch.zeros(len(images), dtype=torch.int64)), "none"),
    )[0, 0]
    columns = 20 + (torch.arange(56) + 0.5) * 30 / 56 - 0.5
    torch.testing.assert_close(out, (columns * 4 / 255).expand(56, 56), atol=1e-4, rtol=0)


def test_imagenet_samples_where_affine_grid_says():
    maps, _ = ImageNetCrop().draw(5, (3, 64, 64), generator())
    expected = F.affine_grid(maps, [5, 3, 56, 56], align_corners=False)
    torch.testing.assert_close(ImageNetCrop()._grid(maps, 56), expected, atol=1e-6, rtol=0)


def test_imagenet_clean_is_the_centre():
    images = random_images(2, 3, 64, 64)
    normalizer = Normalizer.fit(Split(images, torch.zeros(len(images), dtype=torch.int64)), "none")
    assert torch.equal(ImageNetCrop().clean(images, normalizer), normalizer(images)[:, :, 4:60, 4:60])


def test_imagenet_leaves_grey_images_without_colour_noise():
    _, colour = ImageNetCrop().draw(5, (1, 64, 64), generator())
    assert colour.shape == (5, 1)
    assert not colour.any()


def test_bad_input():
    with pytest.raises(DataError, match=r"'crop-flop' \(did you mean 'crop-flip'\?\)"):
        augmentation("crop-flop")
    with pytest.raises(DataError, match="square images, not 8x9"):
        ImageNetCrop().draw(1, (3, 8, 9), generator())
