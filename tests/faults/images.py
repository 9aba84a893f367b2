"""Real image files of every format that is read, and ways to damage any file."""

import random
import struct
from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

EXTREMES = [0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]
"""What a field of a header is set to."""


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@cache
def valid() -> dict[str, list[bytes]]:
    """Return small files as Pillow writes them, in every mode and way of packing that may meet a different decoder."""
    y, x = np.mgrid[0:21, 0:26]
    rgb = Image.fromarray(np.stack([9 * x, 11 * y, (x * y) % 256], axis=2).astype(np.uint8))
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "words"
    alpha, palette = rgb.convert("RGBA"), rgb.quantize(16)
    return {
        "jpg": [
            saved(rgb, "JPEG"),
            saved(rgb, "JPEG", progressive=True, subsampling=2),
            saved(rgb.convert("L"), "JPEG"),
            saved(rgb.convert("CMYK"), "JPEG"),
            saved(rgb, "JPEG", exif=exif, restart_marker_blocks=1, dpi=(9, 9)),
            saved(rgb, "JPEG", optimize=True, comment="words", icc_profile=b"profile"),
        ],
        "png": [
            saved(rgb, "PNG"),
            saved(alpha, "PNG"),
            saved(palette, "PNG", transparency=1),
            saved(Image.fromarray((257 * x).astype(np.uint16)), "PNG"),
            saved(rgb.convert("LA"), "PNG", exif=exif),
            saved(rgb.convert("1"), "PNG"),
            saved(rgb, "PNG", save_all=True, append_images=[rgb.rotate(9)]),
        ],
        "bmp": [saved(rgb, "BMP"), saved(palette, "BMP"), saved(rgb.convert("1"), "BMP"), saved(alpha, "BMP")],
        "webp": [
            saved(rgb, "WEBP"),
            saved(alpha, "WEBP", lossless=True),
            saved(rgb, "WEBP", save_all=True, append_images=[rgb.rotate(9)], exif=exif),
        ],
        "ppm": [
            saved(rgb, "PPM"),
            saved(rgb.convert("L"), "PPM"),
            saved(rgb.convert("1"), "PPM"),
            b"P3 2 2 255\n" + b"1 2 3 " * 4,
            b"P2 # a word\n2 2 65535\n1 2 3 4",
        ],
        "gif": [
            saved(palette, "GIF", transparency=1),
            saved(rgb.convert("L"), "GIF", interlace=1),
            saved(palette, "GIF", save_all=True, append_images=[palette.rotate(9)]),
        ],
        "tif": [
            saved(rgb, "TIFF", exif=exif),
            saved(alpha, "TIFF", compression="tiff_lzw"),
            saved(palette, "TIFF"),
            saved(rgb, "TIFF", compression="tiff_adobe_deflate", save_all=True, append_images=[rgb.rotate(9)]),
            saved(rgb, "TIFF", compression="jpeg"),
            saved(rgb.convert("1"), "TIFF", compression="group4"),
            saved(Image.fromarray((257 * x).astype(np.uint16)), "TIFF", compression="packbits"),
            saved(rgb.convert("CMYK"), "TIFF"),
            saved(rgb.convert("LAB"), "TIFF"),
            saved(rgb.convert("YCbCr"), "TIFF"),
        ],
    }


def put(path: Path, data: bytes) -> Path:
    """Write a file anew: where there was one of that name, writing over it would wait for the disk."""
    path.unlink(missing_ok=True)
    path.write_bytes(data)
    return path


def damaged(data: bytes, draw: random.Random, others: list[bytes]) -> bytes:
    """Return a file with one to four faults: bits turned, fields of its header set, parts cut, doubled or mixed up."""
    for _ in range(draw.choice([1, 1, 2, 4])):
        data = draw.choice(FAULTS)(data, draw, others)
    return data


def _bits(data: bytes, draw: random.Random, others: list[bytes]) -> bytes:
    changed = bytearray(data)
    for _ in range(draw.choice([1, 1, 8]) if data else 0):
        changed[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    return bytes(changed)


def _header(data: bytes, draw: random.Random, others: list[bytes]) -> bytes:
    return _field(data, draw, min(len(data), 64))


def _anywhere(data: bytes, draw: random.Random, others: list[bytes]) -> bytes:
    return _field(data, draw, len(data))


def _field(data: bytes, draw: random.Random, end: int) -> bytes:
    code = draw.choice(["B", "<H", ">H", "<I", ">I"])
    value = draw.choice(EXTREMES) % 2 ** (8 * struct.calcsize(code))
    place = draw.randrange(end) if end else 0
    return data[:place] + struct.pack(code, value) + data[place + struct.calcsize(code) :]


def _cut(data: bytes, draw: random.Random, others: list[bytes]) -> bytes:
    return data[: draw.randint(0, len(data))]


def _splice(data: bytes, draw: random.Random, others: list[bytes]) -> bytes:
    other = draw.choice(others)
    return data[: draw.randint(0, len(data))] + other[draw.randint(0, len(other)) :]


def _double(data: bytes, draw: random.Random, others: list[bytes]) -> bytes:
    start, end = sorted(draw.randint(0, len(data)) for _ in range(2))
    return data[:end] + data[start:]


def _insert(data: bytes, draw: random.Random, others: list[bytes]) -> bytes:
    place = draw.randint(0, len(data))
    return data[:place] + draw.randbytes(draw.randint(1, 20)) + data[place:]


FAULTS = (_bits, _bits, _header, _header, _anywhere, _cut, _splice, _double, _insert)
