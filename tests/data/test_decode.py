from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from study.data import decode as module
from study.data.decode import ImageFile, decode, decode_all, threads
from study.errors import DataError

from .conftest import pixels


def encoded(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "BMP", "PPM"])
def test_right_size_is_untouched(kind):
    image = pixels(0, 9, 9)
    assert np.array_equal(decode(encoded(Image.fromarray(image), kind), 9).transpose(1, 2, 0), image)


@pytest.mark.parametrize(("height", "width"), [(20, 40), (40, 20)])
def test_resized_and_cropped_to_the_centre(height, width):
    image = Image.fromarray(pixels(0, height, width))
    whole = np.asarray(image.resize((width // 2, height // 2), Image.Resampling.BILINEAR))
    centre = whole[5:15] if height > width else whole[:, 5:15]
    assert np.abs(decode(encoded(image), 10).transpose(1, 2, 0).astype(int) - centre).max() <= 1


def test_resizing_is_antialiased():
    # A checkerboard shrunk eight times is grey everywhere; taking single pixels would leave black and white.
    board = np.indices((64, 64)).sum(axis=0) % 2 * 255
    small = decode(encoded(Image.fromarray(board.astype(np.uint8))), 8)
    assert small.min() > 115
    assert small.max() < 140


def test_large_jpeg_is_close_to_full_decoding():
    ramp = np.broadcast_to(np.linspace(0, 255, 512).astype(np.uint8)[None, :, None], (512, 512, 3))
    image = Image.fromarray(np.ascontiguousarray(ramp))
    full = np.asarray(image.resize((16, 16), Image.Resampling.BILINEAR)).transpose(2, 0, 1)
    assert np.abs(decode(encoded(image, "JPEG", quality=95), 16).astype(int) - full).max() <= 2


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "CMYK", "1"])
def test_every_mode_becomes_rgb(mode):
    image = Image.new("RGB", (6, 6), (255, 255, 255)).convert(mode)
    out = decode(encoded(image, "JPEG" if mode == "CMYK" else "PNG"), 6)
    assert out.shape == (3, 6, 6)
    assert out.min() > 250


def test_only_known_formats_are_tried():
    with pytest.raises(OSError, match="cannot identify"):
        decode(encoded(Image.new("RGB", (6, 6)), "GIF"), 6)


def test_progress_and_order():
    images = [pixels(i, 4, 4) for i in range(module.CHUNK * 3 + 5)]
    data = {str(i): encoded(Image.fromarray(image)) for i, image in enumerate(images)}
    out = np.zeros((len(images), 3, 4, 4), np.uint8)
    told: list[tuple[str, float]] = []
    files = [ImageFile(name, len(content), 0) for name, content in data.items()]
    decode_all(files, lambda file: data[file.name], out, lambda what, part: told.append((what, part)))
    assert np.array_equal(out.transpose(0, 2, 3, 1), np.stack(images))
    parts = [part for _, part in told]
    assert parts == sorted(parts)
    assert told[-1] == ("decoding images", 1.0)


def test_huge_files_are_not_read():
    def read(file):
        raise RuntimeError("was read")

    with pytest.raises(DataError, match=r"a.png \(larger than 256 MiB\)"):
        decode_all([ImageFile("a.png", 2**40, 0)], read, np.zeros((1, 3, 4, 4), np.uint8), None)


def test_small_files_are_decoded_by_one_thread():
    # Python's own part of decoding is most of it then, and threads only wait for each other.
    assert threads([ImageFile("a", 2000, 0)] * 9) == 1


@pytest.mark.parametrize(("processors", "expected"), [(1, 1), (8, 8), (200, 16)])
def test_photographs_are_decoded_by_as_many_threads_as_there_are_processors(monkeypatch, processors, expected):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(processors)), raising=False)
    assert threads([ImageFile("a", 40_000, 0)] * 9) == expected


def test_stop_is_prompt():
    """An interrupt in the middle drops what isn't begun."""
    content = encoded(Image.fromarray(pixels(0, 4, 4)))
    files = [ImageFile(str(i), 1, 0) for i in range(module.CHUNK * 200)]
    read = []

    def stop(what, part):
        raise KeyboardInterrupt

    def slow(file):
        read.append(file)
        return content

    with pytest.raises(KeyboardInterrupt):
        decode_all(files, slow, np.zeros((len(files), 3, 4, 4), np.uint8), stop)
    assert len(read) < len(files)
