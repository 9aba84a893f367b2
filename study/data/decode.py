"""From the bytes of an image file to RGB pixels, their sums, and the square image that is trained on.

JPEG is decoded by libjpeg-turbo through simplejpeg (the same pixels as Pillow's, in two thirds of its time) and resized
by PyTorch (Pillow's arithmetic, within two grey levels, in a third of its time); what simplejpeg won't take, and all
other formats, Pillow decodes. `bench/data.py` has the comparison. Legend: H height, W width, S side of the square.
"""

import re
from io import BytesIO
from typing import Literal

import numpy as np
import simplejpeg
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".ppm")
FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "PPM")
"""The only decoders let near a file, whatever its name says."""
JPEG_MARK = b"\xff\xd8\xff"
BLOCK = 256
"""Pixels summed at a time."""
SLAB = 2**14
"""Blocks squared at a time: 100 MiB of float32, where a whole image of the largest size would take 2 GiB."""
MAX_SCANS = 100
"""Scans of a progressive JPEG, which has about ten. Each goes through all of the image, and takes a few bytes."""
UNCOUNTED = 2**36
"""Pixels times bytes up to which no number of scans takes more than seconds: counting takes 7% of decoding."""
SCAN, END = b"\xff\xda", b"\xff\xd9"
MARK = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")

LONGEST_REASON = 200
"""Characters: zipfile, for one, tells names of any length."""

Pixels = NDArray[np.uint8]
Resize = Literal["crop", "pad", "stretch"]


def decode(data: bytes) -> Pixels:
    """Decode a file to RGB (H, W, 3). Orientation marks of cameras (EXIF) aren't followed.

    Raises:
        ValueError: more pixels than Pillow's limit, or scans than ours; Pillow raises others for files that it can't
            read.
    """
    if data.startswith(JPEG_MARK):
        try:
            height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
            _refuse_bomb(width, height, data)
            if colours in ("YCbCr", "RGB", "Gray"):
                rgb: Pixels = simplejpeg.decode_jpeg(data, "RGB")
                return rgb
        except BombError:
            raise
        except ValueError:
            pass  # damaged or unusual: Pillow decides which
    with Image.open(BytesIO(data), formats=FORMATS) as image:
        _refuse_bomb(*image.size, data)
        return np.array(image.convert("RGB"))  # a copy that may be written to, as PyTorch wants it


def _scans(data: bytes) -> int:
    """Count the scans of a JPEG: those before its end, since a camera may have put a film there."""
    most = data.count(SCAN)
    if most <= MAX_SCANS:  # nearly all files
        return most
    scans, place = 0, len(JPEG_MARK) - 1
    while scans <= MAX_SCANS and (found := MARK.search(data, place)) and found[0] != END:
        scans += found[0] == SCAN
        place = found.end() + int.from_bytes(data[found.end() : found.end() + 2], "big")
    return scans


class BombError(ValueError):
    """An image that may be made to fill the memory, or to take hours."""


def _refuse_bomb(width: int, height: int, data: bytes) -> None:
    pixels = width * height
    if Image.MAX_IMAGE_PIXELS is not None and pixels > Image.MAX_IMAGE_PIXELS:
        raise BombError(f"{width}x{height} is more than {Image.MAX_IMAGE_PIXELS:,} pixels")
    if pixels * len(data) > UNCOUNTED and data.startswith(JPEG_MARK) and _scans(data) > MAX_SCANS:
        raise BombError(f"more than {MAX_SCANS} scans in a JPEG: it may be made to take hours")


def sums(rgb: Pixels) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return each channel's sum of values (3,) and of squared values (3,), exact.

    Summed in blocks of 256 pixels, whose squares stay below 2**24, so that float32, the fastest, rounds nothing.
    """
    pixels = torch.from_numpy(rgb).view(-1, 3)
    blocks = len(pixels) // BLOCK
    rest = pixels[BLOCK * blocks :].double()
    total, squares = rest.sum(0), rest.square().sum(0)
    whole = pixels[: BLOCK * blocks].view(BLOCK, 3 * blocks)
    for start in range(0, 3 * blocks, 3 * SLAB):
        x = whole[:, start : start + 3 * SLAB].float()
        total += x.sum(0).view(-1, 3).sum(0, dtype=torch.float64)
        squares += x.square().sum(0).view(-1, 3).sum(0, dtype=torch.float64)
    return total.long().numpy(), squares.long().numpy()


def mean_colour(total: NDArray[np.int64], rgb: Pixels) -> Pixels:
    """Return the mean colour (3,) of an image (H, W, 3), of whose channels `total` (3,) are the sums."""
    return np.rint(total / (rgb.size / 3)).astype(np.uint8)


def square(rgb: Pixels, size: int, resize: Resize, fill: Pixels) -> Pixels:
    """Make an image (H, W, 3) square, (S, S, 3): bilinear, antialiased where it shrinks; untouched at the right size.

    Args:
        rgb: the image.
        size: S.
        resize: `crop` resizes the short side to S and keeps the centre; `pad` resizes the long side to S and fills up
            with `fill`; `stretch` resizes both sides to S.
        fill: a colour (3,).
    """
    height, width, _ = rgb.shape
    if resize == "crop":
        short = min(height, width)
        top, left = (height - short) // 2, (width - short) // 2
        return _resized(rgb[top : top + short, left : left + short], size, size)
    if resize == "stretch":
        return _resized(rgb, size, size)
    long = max(height, width)
    high, wide = (max(1, round(side * size / long)) for side in (height, width))
    out: Pixels = np.empty((size, size, 3), dtype=np.uint8)
    out[:] = fill
    top, left = (size - high) // 2, (size - wide) // 2
    out[top : top + high, left : left + wide] = _resized(rgb, high, wide)
    return out


def _resized(rgb: Pixels, height: int, width: int) -> Pixels:
    if rgb.shape[:2] == (height, width):
        return rgb
    image = torch.from_numpy(rgb).permute(2, 0, 1)[None]  # (1, 3, H, W)
    image = F.interpolate(image, (height, width), mode="bilinear", align_corners=False, antialias=True)
    return image[0].permute(1, 2, 0).numpy()


def reason(error: Exception) -> str:
    """Say in a line why a file couldn't be decoded."""
    if isinstance(error, UnidentifiedImageError):
        return "not an image"
    lines = str(error).strip().splitlines()
    return lines[0][:LONGEST_REASON] if lines else type(error).__name__
