import warnings
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from study.data.decode import decode, reason, square, sums

from .conftest import pixels

GREY = np.full(3, 128, dtype=np.uint8)


def encoded(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def smooth(height: int, width: int) -> np.ndarray:
    """An image such as photographs are, that JPEG keeps well."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([127 + 120 * np.sin(x / 9), 127 + 120 * np.cos(y / 7), (x + y) % 256], axis=2).astype(np.uint8)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "PPM"])
def test_lossless_files_give_their_pixels(kind):
    image = pixels(0, 9, 7)
    assert np.array_equal(decode(encoded(Image.fromarray(image), kind)), image)


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"quality": 30}])
def test_jpeg_gives_pillows_pixels(subsampling, options):
    content = encoded(Image.fromarray(smooth(61, 47)), "JPEG", subsampling=subsampling, **options)
    assert np.array_equal(decode(content), np.asarray(Image.open(BytesIO(content))))


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "CMYK", "1"])
def test_every_mode_becomes_rgb(mode):
    image = Image.new("RGB", (6, 6), (255, 255, 255)).convert(mode)
    for kind in ("JPEG",) if mode in ("CMYK",) else ("PNG", "JPEG") if mode == "L" else ("PNG",):
        out = decode(encoded(image, kind))
        assert out.shape == (6, 6, 3)
        assert out.min() > 250


@pytest.mark.parametrize("quality", [40, 95])
def test_cut_short_at_any_place_is_an_error_or_a_full_image(quality):
    content = encoded(Image.fromarray(smooth(64, 64)), "JPEG", quality=quality)
    whole = decode(content)
    for length in range(0, len(content) - 2, 7):  # without the last two bytes, all pixels are there
        try:
            out = decode(content[:length])
        except (OSError, ValueError, SyntaxError):
            continue
        assert np.array_equal(out, whole)


def test_only_known_formats_are_tried():
    with pytest.raises(OSError, match="cannot identify"):
        decode(encoded(Image.new("RGB", (6, 6)), "GIF"))


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_too_many_pixels(monkeypatch, kind):
    content = encoded(Image.new("RGB", (20, 10)), kind)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 199)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow itself only warns up to twice its limit
        with pytest.raises(ValueError, match="20x10 is more than 199 pixels"):
            decode(content)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 9))
def test_sums_are_exact(height, width, seed):
    image = pixels(seed, height, width)
    total, squares = sums(image)
    wide = image.reshape(-1, 3).astype(np.int64)
    assert total.tolist() == wide.sum(0).tolist()
    assert squares.tolist() == (wide**2).sum(0).tolist()


def test_right_size_is_untouched():
    image = pixels(0, 9, 9)
    for resize in ("crop", "pad", "stretch"):
        assert np.array_equal(square(image, 9, resize, GREY), image)


@pytest.mark.parametrize(("height", "width"), [(20, 40), (40, 20), (41, 20)])
def test_crop_keeps_the_centre(height, width):
    image = pixels(0, height, width)
    short, top, left = min(height, width), (height - min(height, width)) // 2, (width - min(height, width)) // 2
    centre = Image.fromarray(np.ascontiguousarray(image[top : top + short, left : left + short]))
    expected = np.asarray(centre.resize((10, 10), Image.Resampling.BILINEAR))
    assert np.abs(square(image, 10, "crop", GREY).astype(int) - expected).max() <= 1


@pytest.mark.parametrize(("height", "width", "band"), [(20, 40, np.s_[:3]), (40, 20, np.s_[:, :3])])
def test_pad_keeps_all_and_fills_up(height, width, band):
    image = pixels(0, height, width)
    out = square(image, 12, "pad", GREY)
    assert (out[band] == 128).all()
    assert (out[::-1, ::-1][band] == 128).all()
    inner = out[3:9] if height < width else out[:, 3:9]
    expected = np.asarray(Image.fromarray(image).resize(inner.shape[1::-1], Image.Resampling.BILINEAR))
    assert np.abs(inner.astype(int) - expected).max() <= 1


def test_stretch_resizes_both_sides():
    image = smooth(20, 40)
    expected = np.asarray(Image.fromarray(image).resize((10, 10), Image.Resampling.BILINEAR))
    assert np.abs(square(image, 10, "stretch", GREY).astype(int) - expected).max() <= 1


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 20), st.sampled_from(["crop", "pad", "stretch"]))
def test_any_shape_becomes_square(height, width, size, resize):
    image = np.full((height, width, 3), 77, dtype=np.uint8)
    out = square(image, size, resize, image[0, 0])
    assert out.shape == (size, size, 3)
    assert (out == 77).all()


def test_resizing_is_antialiased():
    # A checkerboard shrunk eight times is grey everywhere; taking single pixels would leave black and white.
    board = np.indices((64, 64)).sum(axis=0)[:, :, None].repeat(3, axis=2) % 2 * 255
    small = square(board.astype(np.uint8), 8, "crop", GREY)
    assert small.min() > 115
    assert small.max() < 140


@given(
    st.binary(max_size=300), st.sampled_from([b"", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"BM", b"P6 3 3 255\n"])
)
@settings(max_examples=300)
def test_no_bytes_do_worse_than_an_error(content, start):
    why = None
    try:
        out = decode(start + content)
    except Exception as error:
        why = reason(error)
    assert out.ndim == 3 if why is None else why and "\n" not in why
