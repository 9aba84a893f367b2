import math

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from study.data.measure import Measures, channel_statistics, measure_images

from .conftest import pixels


def measured(images: list[np.ndarray]) -> Measures:
    wide = [image.reshape(-1, 3).astype(np.int64) for image in images]
    return Measures(
        np.array([image.shape[0] for image in images]),
        np.array([image.shape[1] for image in images]),
        np.stack([values.sum(0) for values in wide]),
        np.stack([(values**2).sum(0) for values in wide]),
    )


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=12), st.randoms())
def test_images_weigh_the_same_whatever_their_size(sizes, random):
    images = [pixels(i, *size) for i, size in enumerate(sizes)]
    found = channel_statistics(measured(images))
    mean = np.mean([image.mean((0, 1)) / 255 for image in images], axis=0)
    variance = np.mean([((image / 255 - mean) ** 2).mean((0, 1)) for image in images], axis=0)
    np.testing.assert_allclose(found.mean, mean, atol=1e-12)
    np.testing.assert_allclose(found.variance, variance, atol=1e-12)
    assert found.std == tuple(map(math.sqrt, found.variance))
    assert found.channels == ("red", "green", "blue")
    random.shuffle(images)
    assert channel_statistics(measured(images)) == found  # to the last bit, in whatever order


def test_images_of_one_size_are_measured_in_any_chunks():
    images = torch.randint(0, 256, (700, 1, 5, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    found = [channel_statistics(measure_images(images.split(size), (1, 5, 4))) for size in (300, 700)]
    np.testing.assert_allclose(found[0].mean, [images.double().mean() / 255], atol=1e-12)
    np.testing.assert_allclose(found[0].variance, [images.double().var(correction=0) / 255**2], atol=1e-12)
    assert found[0] == found[1]
    assert (found[0].images, found[0].channels) == (700, ("grey",))


def test_black_images_have_no_variance():
    assert channel_statistics(measured([np.zeros((3, 3, 3), np.uint8)] * 4)).variance == (0, 0, 0)


def test_rows_and_joining():
    images = [pixels(i, 2 + i, 3) for i in range(5)]
    whole = measured(images)
    again = whole.take([0, 1]).join(whole.take([2, 3, 4]))
    assert channel_statistics(again) == channel_statistics(whole)
    assert len(again) == 5
