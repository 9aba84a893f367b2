import struct
import warnings
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageOps

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


def tiff(photometric: int, bits: list[int], data: bytes, **tags: list[int]) -> bytes:
    """Return a TIFF file with a row of pixels, of kinds that Pillow reads and doesn't write."""
    width = 8 * len(data) // sum(bits)
    short = {256: [width], 257: [1], 258: bits, 259: [1], 262: [photometric], 277: [len(bits)], 278: [1]}
    short |= {{"extra": 338, "sample_format": 339, "palette": 320}[name]: values for name, values in tags.items()}
    entries = {tag: ("H", values) for tag, values in short.items()} | {273: ("I", [8]), 279: ("I", [len(data)])}
    start = 8 + len(data) + 2 + 12 * len(entries) + 4
    directory, rest = struct.pack("<H", len(entries)), b""
    for tag, (code, values) in sorted(entries.items()):
        packed = struct.pack(f"<{len(values)}{code}", *values)
        where = packed.ljust(4, b"\0") if len(packed) <= 4 else struct.pack("<I", start + len(rest))
        directory += struct.pack("<HHI", tag, {"H": 3, "I": 4}[code], len(values)) + where
        rest += packed if len(packed) > 4 else b""
    return struct.pack("<2sHI", b"II", 42, 8 + len(data)) + data + directory + bytes(4) + rest


def raw(mode: str, values: bytes, kind: str, **options) -> bytes:
    width = len(values) // len(Image.new(mode, (1, 1)).tobytes()) if mode != "1" else 8 * len(values)
    return encoded(Image.frombytes(mode, (width, 1), values), kind, **options)


def palette(kind: str, **options) -> bytes:
    image = Image.frombytes("P", (3, 1), bytes([0, 1, 2]))
    image.putpalette([9, 8, 7, 0, 0, 0, 90, 80, 70])
    return encoded(image, kind, **options)


SIXTEEN = np.array([0, 1000, 20000, 65535], dtype="<u2")
GREY_16 = [0, 4, 78, 255]  # v / 257
COLOURS = bytes([9, 8, 7, 255, 0, 0, 0, 0, 100, 50, 0, 128])  # opaque; transparent black; half transparent
ON_WHITE = [[9, 8, 7], [255, 255, 255], [177, 152, 127]]
MODES = {
    "1 PNG": (raw("1", b"\xa0", "PNG"), [255, 0, 255, 0, 0, 0, 0, 0]),
    "1 TIFF": (raw("1", b"\xa0", "TIFF"), [255, 0, 255, 0, 0, 0, 0, 0]),
    "1 PBM": (b"P4 8 1\n\x5f", [255, 0, 255, 0, 0, 0, 0, 0]),
    "1 PNG, black transparent": (raw("1", b"\xa0", "PNG", transparency=0), [255] * 8),
    "L PNG": (raw("L", bytes([0, 100, 255]), "PNG"), [0, 100, 255]),
    "L GIF": (raw("L", bytes([0, 100, 255]), "GIF"), [0, 100, 255]),
    "L PGM": (raw("L", bytes([0, 100, 255]), "PPM"), [0, 100, 255]),
    "L PGM of 16 values": (b"P2 3 1 15\n0 6 15", [0, 102, 255]),
    "L PNG, 100 transparent": (raw("L", bytes([0, 100, 200]), "PNG", transparency=100), [0, 255, 200]),
    "L TIFF, white is 0": (tiff(0, [8], bytes([0, 100, 255])), [255, 155, 0]),
    "I;16 PNG": (encoded(Image.fromarray(SIXTEEN[None]), "PNG"), GREY_16),
    "I;16 PNG, 1000 transparent": (
        encoded(Image.fromarray(SIXTEEN[None]), "PNG", transparency=1000),
        [0, 255, 78, 255],
    ),
    "I;16 TIFF": (encoded(Image.fromarray(SIXTEEN[None]), "TIFF"), GREY_16),
    "I;16 TIFF, white is 0": (tiff(0, [16], SIXTEEN.tobytes()), [255, 251, 177, 0]),
    "I;16 TIFF of 12 bits": (tiff(1, [12], bytes([0x00, 0x0F, 0xFF, 0x80, 0x00, 0x10])), [0, 255, 128, 1]),
    "I;16B TIFF": (raw("I;16B", SIXTEEN.astype(">u2").tobytes(), "TIFF"), GREY_16),
    "I PGM": (b"P5 4 1 65535\n" + SIXTEEN.astype(">u2").tobytes(), GREY_16),
    "I PGM of 1024 values": (b"P2 4 1 1023\n0 4 512 1023", [0, 1, 128, 255]),
    "LA PNG": (raw("LA", bytes([9, 255, 0, 0, 100, 128]), "PNG"), [9, 255, 177]),
    "LA TIFF": (raw("LA", bytes([9, 255, 0, 0, 100, 128]), "TIFF"), [9, 255, 177]),
    "La TIFF": (tiff(1, [8, 8], bytes([9, 255, 0, 0, 50, 128]), extra=[1]), [9, 255, 177]),
    "P PNG": (palette("PNG"), [[9, 8, 7], [0, 0, 0], [90, 80, 70]]),
    "P GIF": (palette("GIF"), [[9, 8, 7], [0, 0, 0], [90, 80, 70]]),
    "P TIFF": (palette("TIFF"), [[9, 8, 7], [0, 0, 0], [90, 80, 70]]),
    "P BMP": (palette("BMP"), [[9, 8, 7], [0, 0, 0], [90, 80, 70]]),
    "P PNG, a colour transparent": (palette("PNG", transparency=1), [[9, 8, 7], [255, 255, 255], [90, 80, 70]]),
    "P GIF, a colour transparent": (palette("GIF", transparency=1), [[9, 8, 7], [255, 255, 255], [90, 80, 70]]),
    "P PNG with alpha": (palette("PNG", transparency=bytes([255, 0, 255])), [[9, 8, 7], [255, 255, 255], [90, 80, 70]]),
    "PA TIFF": (
        tiff(3, [8, 8], bytes([9, 255, 0, 0, 100, 128]), extra=[2], palette=[257 * i for i in range(256)] * 3),
        [9, 255, 177],
    ),
    "RGB PNG, a colour transparent": (
        raw("RGB", bytes([9, 8, 7, 0, 0, 0]), "PNG", transparency=(0, 0, 0)),
        ON_WHITE[:2],
    ),
    "RGB PPM of 16 bits": (b"P6 1 1 65535\n" + SIXTEEN[1:].astype(">u2").tobytes(), [[4, 78, 255]]),
    "RGB TIFF of 16 bits": (tiff(2, [16] * 3, SIXTEEN[1:].tobytes()), [[3, 78, 255]]),
    "RGBX TIFF": (tiff(2, [8] * 4, COLOURS, extra=[0]), [[9, 8, 7], [0, 0, 0], [100, 50, 0]]),
    "RGBA PNG": (raw("RGBA", COLOURS, "PNG"), ON_WHITE),
    "RGBA TIFF": (raw("RGBA", COLOURS, "TIFF"), ON_WHITE),
    "RGBA WebP": (raw("RGBA", COLOURS, "WEBP", lossless=True), ON_WHITE),
    "RGBa TIFF": (tiff(2, [8] * 4, bytes([9, 8, 7, 255, 0, 0, 0, 0, 50, 25, 0, 128]), extra=[1]), ON_WHITE),
    "RGBA PNG, all transparent": (raw("RGBA", bytes([9, 8, 7, 0]), "PNG"), [[9, 8, 7]]),
    "CMYK JPEG": (raw("CMYK", bytes([0, 0, 0, 255]), "JPEG"), [0]),
    "CMYK TIFF": (raw("CMYK", bytes([0, 0, 0, 0, 255, 0, 0, 0]), "TIFF"), [[255, 255, 255], [0, 255, 255]]),
    "YCbCr TIFF": (
        raw("YCbCr", bytes([0, 128, 128, 200, 128, 128, 76, 85, 255]), "TIFF"),
        [[0] * 3, [200] * 3, [254, 0, 0]],
    ),
    "LAB TIFF": (tiff(8, [8] * 3, bytes([255, 0, 0, 0, 0, 0, 136, 80, 67])), [[255] * 3, [0] * 3, [250, 3, 11]]),
}


@pytest.mark.parametrize("kind", MODES)
def test_every_mode_has_its_values(kind):
    content, values = MODES[kind]
    with Image.open(BytesIO(content)) as image:
        assert image.mode in (kind.split()[0], {"L GIF": "P", "RGBX TIFF": "RGB", "RGBa TIFF": "RGBA"}.get(kind))
    expected = np.array([value if isinstance(value, list) else [value] * 3 for value in values])
    near = kind in ("LAB TIFF", "YCbCr TIFF", "La TIFF", "RGBa TIFF")  # their arithmetic rounds
    assert np.abs(decode(content)[0].astype(int) - expected).max() <= int(near)


@pytest.mark.parametrize(
    "content",
    [
        tiff(1, [32], np.array([0, 255], "<u4").tobytes()),
        tiff(1, [16], np.array([-5, 300], "<i2").tobytes(), sample_format=[2]),
        tiff(1, [8], bytes([0, 255]), sample_format=[2]),
        encoded(Image.fromarray(np.array([[0, 0.5]], np.float32)), "TIFF"),
    ],
    ids=["32 bits", "16 bits, signed", "8 bits, signed", "floating point"],
)
def test_values_of_which_none_is_known_to_be_white_are_refused(content):
    with pytest.raises(ValueError, match=r"which value is white isn't known \(mode [ILF]\): save it with 8 or 16 bits"):
        decode(content)


def oriented(kind: str, orientation: int) -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    return encoded(Image.fromarray(smooth(24, 40)), kind, exif=exif, **({"lossless": True} if kind == "WEBP" else {}))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(10))
def test_images_stand_upright(kind, orientation):
    content = oriented(kind, orientation)
    with Image.open(BytesIO(content)) as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    out = decode(content)
    assert out.shape == ((40, 24, 3) if 5 <= orientation <= 8 else (24, 40, 3))
    assert np.array_equal(out, expected)
    assert out.flags.c_contiguous


def test_orientation_in_xmp_is_followed():
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    content = encoded(Image.fromarray(smooth(24, 40)), "JPEG", xmp=xmp)
    assert decode(content).shape == (40, 24, 3)


def test_damaged_metadata_harm_no_pixels():
    content = oriented("JPEG", 6)
    start = content.index(b"Exif\0\0") + 6
    damaged = content[:start] + b"\xff" * 20 + content[start + 20 :]
    assert np.array_equal(decode(damaged), decode(encoded(Image.fromarray(smooth(24, 40)), "JPEG")))


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "WEBP", "PNG"])
def test_of_several_frames_the_first_is_read(kind):
    first, second = (Image.new("L", (6, 6), value).convert("P") for value in (40, 200))
    content = encoded(first, kind, save_all=True, append_images=[second])
    assert abs(int(decode(content).max()) - 40) <= 1


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
        decode(encoded(Image.new("RGB", (6, 6)), "TGA"))


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
    st.binary(max_size=300),
    st.sampled_from([b"", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"BM", b"P6 3 3 255\n", b"GIF89a"]),
)
@settings(max_examples=300)
def test_no_bytes_do_worse_than_an_error(content, start):
    why = None
    try:
        out = decode(start + content)
    except Exception as error:
        why = reason(error)
    assert out.ndim == 3 if why is None else why and "\n" not in why
