"""Decode the bytes of an image file to RGB pixels, their sums, and the square image for training.

JPEG is decoded by libjpeg-turbo through simplejpeg (the same pixels as Pillow's, in two thirds of its time) and resized
by PyTorch (Pillow's arithmetic, within two grey levels, in a third of its time); what simplejpeg won't take, and all
other formats, Pillow decodes. `bench/data.py` has the comparison. Legend: C channels, H height, W width, S side of
the square.
"""

import re
from contextlib import suppress
from io import BytesIO
from typing import Literal

import numpy as np
import simplejpeg
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

SUFFIXES = tuple(".jpg .jpeg .jpe .jfif .png .bmp .dib .webp .gif .tif .tiff .ppm .pgm .pbm .pnm".split())
FORMATS = ("JPEG", "PNG", "BMP", "DIB", "WEBP", "GIF", "TIFF", "PPM")
"""The only decoders that are tried; a file's name doesn't matter."""
JPEG_MARK = b"\xff\xd8\xff"
ORIENTED = (b"Exif\0\0", b"tiff:Orientation")
"""Marks in a JPEG that has an orientation: EXIF, or XMP."""
UPRIGHT = {2: (True, 0), 3: (False, 2), 4: (True, 2), 5: (True, 1), 6: (False, 3), 7: (True, 3), 8: (False, 1)}
"""By EXIF's orientation: whether to mirror an image, and then how many quarter turns to make to the left."""
WHITE_16, WHITE_12 = 2**16 - 1, 2**12 - 1
BITS, PHOTOMETRIC, TILE_WIDTH, TILE_LENGTH, SAMPLE_FORMAT = 258, 262, 322, 323, 339
"""Tags of TIFF: bits of each channel; 0 if 0 is white; the size of a tile; 2 if values are signed."""
BLOCK = 2**20
"""Pixels summed at a time: 24 MiB of float64, where a whole image of the largest size would take 4 GiB."""
MAX_SCANS = 100
"""Maximal scans of a progressive JPEG, which has about ten. Each covers the whole image, perhaps in few bytes."""
UNCOUNTED_WORK = 2**36
"""Pixels times bytes up to which scans aren't counted: decoding takes seconds at most, and counting 7% of it."""
SCAN, END = b"\xff\xda", b"\xff\xd9"
MARK = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")

LONGEST_REASON = 200
"""Maximal characters of a reason: zipfile, for example, includes names of any length."""

Pixels = NDArray[np.uint8]
Resize = Literal["crop", "pad", "stretch"]


def decode(data: bytes) -> Pixels:
    """Decode a file to RGB (H, W, 3) of 8 bits, upright by its EXIF orientation; of several frames the first.

    Grey of 16 bits becomes v / 257, rounded; of colours of 16 bits, Pillow gives v // 256. Transparent parts become
    white, but an image that is transparent everywhere counts as opaque. Colour profiles aren't followed.

    Raises:
        ValueError: more pixels than Pillow's limit, more scans than `MAX_SCANS`, or values without a known white;
            Pillow raises other errors for files that it can't read.
    """
    if data.startswith(JPEG_MARK):
        try:
            height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
            _refuse_bomb(width, height, data)
            if colours in ("YCbCr", "RGB", "Gray"):
                return _upright(simplejpeg.decode_jpeg(data, "RGB"), _jpeg_orientation(data))
        except BombError:
            raise
        except ValueError:
            pass  # damaged or unusual: Pillow decides which
    with Image.open(BytesIO(data), formats=FORMATS) as image:
        _refuse_bomb(*image.size, data)
        tile = (*_tag(image, TILE_WIDTH), *_tag(image, TILE_LENGTH))
        if len(tile) == 2:  # libtiff allocates a whole tile, which may be large in a small image
            _refuse_bomb(*tile, data)
        image.load()
        return _upright(_rgb(image), _orientation(image))


def _rgb(image: Image.Image) -> Pixels:
    """Return a loaded image of any mode as RGB (H, W, 3)."""
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM")):
        return _grey(image)
    if image.mode in ("I", "F") or 2 in _tag(image, SAMPLE_FORMAT):
        raise ValueError(f"which value is white isn't known (mode {image.mode}): save it with 8 or 16 bits, unsigned")
    if image.has_transparency_data:
        image = _on_white(image.convert("LA") if image.mode == "La" else image)
    return np.array(image.convert("RGB"))  # a copy that may be written to, as PyTorch wants it


def _grey(image: Image.Image) -> Pixels:
    """Return an image of 12 or 16 bits as RGB (H, W, 3)."""
    white = WHITE_12 if 12 in _tag(image, BITS) else WHITE_16
    levels = np.rint(np.arange(white + 1) * 255 / white).astype(np.uint8)
    values = np.asarray(image)
    grey: Pixels = levels[values]
    if "transparency" in image.info:
        grey[values == image.info["transparency"]] = 255
    if 0 in _tag(image, PHOTOMETRIC):
        grey = 255 - grey
    return grey[:, :, None].repeat(3, axis=2)


def _on_white(image: Image.Image) -> Image.Image:
    image = image.convert("RGBA")
    if not image.getchannel("A").getbbox():  # as some programs write pixels of 32 bits
        return image
    white = Image.new("RGBA", image.size, "white")
    white.alpha_composite(image)
    return white


def _tag(image: Image.Image, tag: int) -> tuple[int, ...]:
    """Return the values of a tag of a TIFF file; of other files, none."""
    value = getattr(image, "tag_v2", {}).get(tag, ())
    return value if isinstance(value, tuple) else (value,)


def _jpeg_orientation(data: bytes) -> int:
    if any(mark in data for mark in ORIENTED):
        with suppress(Exception), Image.open(BytesIO(data), formats=("JPEG",)) as image:  # as below
            return _orientation(image)
    return 1


def _orientation(image: Image.Image) -> int:
    """Return EXIF's orientation; 1, upright, where there is none. Pillow has turned TIFF files already."""
    with suppress(Exception):  # with damaged metadata Pillow may raise any error, and the pixels may be good
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    return 1


def _upright(rgb: Pixels, orientation: int) -> Pixels:
    mirror, quarters = UPRIGHT.get(orientation, (False, 0))
    return np.ascontiguousarray(np.rot90(rgb[:, ::-1] if mirror else rgb, quarters))


def _scans(data: bytes) -> int:
    """Count the scans of a JPEG before its end, after which a camera may have stored a film."""
    scans_at_most = data.count(SCAN)
    if scans_at_most <= MAX_SCANS:  # nearly all files
        return scans_at_most
    scans, place = 0, len(JPEG_MARK) - 1
    while scans <= MAX_SCANS and (mark := MARK.search(data, place)) and mark[0] != END:
        scans += mark[0] == SCAN
        place = mark.end() + int.from_bytes(data[mark.end() : mark.end() + 2], "big")
    return scans


class BombError(ValueError):
    """An image that may be meant to fill the memory, or to take hours."""


def _refuse_bomb(width: int, height: int, data: bytes) -> None:
    pixels = width * height
    if Image.MAX_IMAGE_PIXELS is not None and pixels > Image.MAX_IMAGE_PIXELS:
        raise BombError(f"{width}x{height} is more than {Image.MAX_IMAGE_PIXELS:,} pixels")
    if pixels * len(data) > UNCOUNTED_WORK and data.startswith(JPEG_MARK) and _scans(data) > MAX_SCANS:
        raise BombError(f"more than {MAX_SCANS} scans in a JPEG: it may be made to take hours")


def sums(rgb: Pixels) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the sums of values (C,) and of squared values (C,) of each channel of an image (H, W, C), exact."""
    channels = rgb.shape[2]
    total, squares = torch.zeros(2, channels, dtype=torch.float64)
    for block in torch.split(torch.from_numpy(rgb).view(-1, channels), BLOCK):
        x = block.double()
        total += x.sum(0)
        squares += x.square().sum(0)
    return total.long().numpy(), squares.long().numpy()


def mean_colour(total: NDArray[np.int64], rgb: Pixels) -> Pixels:
    """Return the mean colour (C,) of an image (H, W, C) from the sums of its channels, `total` (C,)."""
    return np.rint(total / (rgb.size / len(total))).astype(np.uint8)


def square(rgb: Pixels, size: int, resize: Resize, fill: Pixels) -> Pixels:
    """Make an image (H, W, C) square, (S, S, C): bilinear, antialiased where it shrinks; untouched at the right size.

    `crop` resizes the short side to `size` (S) and keeps the centre; `pad` resizes the long side to S and fills up with
    the colour `fill` (C,); `stretch` resizes both sides to S.
    """
    height, width, channels = rgb.shape
    if resize == "crop":
        short = min(height, width)
        top, left = (height - short) // 2, (width - short) // 2
        return _resized(rgb[top : top + short, left : left + short], size, size)
    if resize == "stretch":
        return _resized(rgb, size, size)
    long = max(height, width)
    high, wide = (max(1, round(side * size / long)) for side in (height, width))
    out: Pixels = np.empty((size, size, channels), dtype=np.uint8)
    out[:] = fill
    top, left = (size - high) // 2, (size - wide) // 2
    out[top : top + high, left : left + wide] = _resized(rgb, high, wide)
    return out


def _resized(rgb: Pixels, height: int, width: int) -> Pixels:
    if rgb.shape[:2] == (height, width):
        return rgb
    image = torch.from_numpy(rgb).permute(2, 0, 1)[None]  # (1, C, H, W)
    image = F.interpolate(image, (height, width), mode="bilinear", align_corners=False, antialias=True)
    return image[0].permute(1, 2, 0).numpy()


def reason(error: Exception) -> str:
    """Return a line on why a file couldn't be decoded."""
    if isinstance(error, UnidentifiedImageError):
        return "not an image"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    lines = str(error).strip().splitlines()
    return lines[0][:LONGEST_REASON] if lines else type(error).__name__
