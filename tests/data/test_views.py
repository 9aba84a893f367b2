from typing import get_args

import pytest
import torch
from PIL import Image

from study.config import Recipe
from study.data import Normalizer, Split, named_views
from study.data.augment import augmentation
from study.data.views import VIEWS
from study.errors import DataError

NOTHING = Normalizer(torch.zeros(1, 1, 1), torch.ones(1, 1, 1))


def random_images(*shape: int) -> torch.Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(3))


def fitted(images: torch.Tensor) -> Normalizer:
    return Normalizer.fit(Split(images, torch.zeros(len(images), dtype=torch.int64)), "channel", augment="imagenet")


def shown(name: str, images: torch.Tensor, normalizer: Normalizer = NOTHING) -> list[torch.Tensor]:
    views = named_views(name, "imagenet")
    found = list(views.of(images, normalizer))
    assert all(view.is_contiguous(memory_format=torch.channels_last) for view in found)
    assert views.side(images.shape[-1]) == max(view.shape[-1] for view in found)
    return found


@pytest.mark.parametrize(("size", "side"), [(256, 224), (32, 28), (31, 27), (9, 8)])
def test_ten_crops_are_slices_and_their_mirror_images(size: int, side: int) -> None:
    images = random_images(3, 3, size, size)
    normalizer = fitted(images)
    whole, last = normalizer(images), size - side
    expected = []
    for top, left in ((0, 0), (0, last), (last, 0), (last, last), (last // 2, last // 2)):
        crop = whole[:, :, top : top + side, left : left + side]
        expected += [crop, crop.flip(-1)]
    found = shown("ten-crop", images, normalizer)
    assert len(found) == 10
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))
    assert torch.equal(found[8], augmentation("imagenet").clean(images, normalizer))  # the centre is that of the curves


@pytest.mark.parametrize(
    ("size", "sides"), [(256, [224, 256, 384, 480, 640]), (32, [28, 32, 48, 60, 80]), (8, [7, 8, 12, 15, 20])]
)
def test_scales_are_the_papers_in_held_pixels(size: int, sides: list[int]) -> None:
    images = random_images(1, 3, size, size)
    found = shown("multi-scale", images)
    assert [view.shape[-1] for view in found] == [side for side in sides for _ in (0, 1)]
    assert all(torch.equal(one.flip(-1), other) for one, other in zip(found[::2], found[1::2], strict=True))
    assert torch.equal(found[2], NOTHING(images))  # a short side of 256 is the image as it is held


@pytest.mark.parametrize("size", [32, 60])
def test_scales_are_those_of_another_program(size: int) -> None:
    """Pillow's bilinear resize also widens its filter where it shrinks; it rounds each pixel to a byte."""
    images = random_images(1, 3, size, size)
    picture = Image.fromarray(images[0].permute(1, 2, 0).numpy())
    for view in shown("multi-scale", images)[::2]:
        side = view.shape[-1]
        resized = picture.resize((side, side), Image.Resampling.BILINEAR).tobytes()
        expected = torch.tensor(list(resized)).view(side, side, 3).permute(2, 0, 1)
        torch.testing.assert_close(255 * view[0], expected.float(), atol=1.01, rtol=0)


def test_normalising_commutes_with_resizing() -> None:
    images = random_images(2, 3, 32, 32)
    normalizer = fitted(images)
    for view, plain in zip(shown("multi-scale", images, normalizer), shown("multi-scale", images), strict=True):
        torch.testing.assert_close(view, normalizer.scaled(plain.clone()), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("augment", ["none", "crop-flip", "imagenet"])
def test_the_centre_is_the_clean_view(augment: str) -> None:
    images = random_images(2, 3, 16, 16)
    (view,) = named_views("center", augment).of(images, NOTHING)
    assert torch.equal(view, augmentation(augment).clean(images, NOTHING))


def test_the_recipe_has_these_names() -> None:
    assert get_args(Recipe.model_fields["test_views"].annotation) == tuple(VIEWS)


@pytest.mark.parametrize(
    ("name", "augment", "message"),
    [
        ("tencrop", "imagenet", r"no views are called 'tencrop' \(did you mean 'ten-crop'\?\): there are center,"),
        ("ten-crop", "none", "'ten-crop' views need augment 'imagenet': with 'none', nets are only shown whole"),
        ("multi-scale", "crop-flip", "'multi-scale' views need augment 'imagenet': with 'crop-flip'"),
        ("center", "crop-flop", "no augmentation is called 'crop-flop'"),
    ],
)
def test_what_there_is_not(name: str, augment: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        named_views(name, augment)


@pytest.mark.parametrize("name", ["ten-crop", "multi-scale"])
def test_only_squares_have_crops_and_scales(name: str) -> None:
    with pytest.raises(DataError, match="crops and scales need square images, not 8x9"):
        shown(name, random_images(1, 3, 8, 9))
