"""Image files from strangers: whatever one holds, it is an image, or soon a `BadFile` of one line."""

import os
import pickle
import random
import struct
import subprocess
import sys
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from study.config import DatasetSpec
from study.data import BadFile, BadFilesError, Dataset, load_dataset
from study.data.decode import MAX_SCANS, decode
from study.data.decode_all import GOOD, PENDING, Target, decode_all, holds, record_type
from study.data.files import ImageFile, open_folder
from study.errors import DataError

from .harm import Harm
from .images import damaged, put, saved, valid
from .limits import below, within
from .scale import injections

BATCH = 250
SIDE = 12


def check(data: list[bytes], resize: str) -> int:
    """Send files through decoding as a data set does, check every outcome, and return how many were good."""
    target = Target(np.zeros((len(data), SIDE, SIDE, 3), np.uint8), np.zeros(len(data), record_type(3)), resize)
    files = [ImageFile(str(row), len(content), 0) for row, content in enumerate(data)]
    with within(60):
        failures = decode_all(files, lambda file: data[int(file.name)], target, None)
    for row, record in enumerate(target.records):
        assert record["state"] == (PENDING if row in failures else GOOD)
        if row in failures:
            bad = BadFile(files[row].name, failures[row])
            assert bad.reason.isprintable()
            assert 0 < len(failures[row]) <= 200
            assert not target.pixels[row].any()
        else:
            assert holds(target.pixels[row], record)
            assert record["height"] * record["width"] <= Image.MAX_IMAGE_PIXELS
    return len(data) - len(failures)


def test_damaged_images():
    """Bits turned, headers that lie, files cut, mixed and doubled: each is decoded, or told with a reason."""
    draw, formats = random.Random(1), valid()
    everything = [content for contents in formats.values() for content in contents]
    good, total = 0, injections(3000)
    for start in range(0, total, BATCH):
        data = [
            damaged(draw.choice(draw.choice(list(formats.values()))), draw, everything)
            for _ in range(min(BATCH, total - start))
        ]
        good += check(data, ("crop", "pad", "stretch")[start // BATCH % 3])
    assert 0.05 * total < good < 0.95 * total  # some faults do no harm, and most do


def test_undamaged_images():
    """The files that the faults are put into are good, or the test above would show nothing."""
    data = [content for contents in valid().values() for content in contents]
    assert check(data, "crop") == len(data)


def test_folders_of_damaged_images(tmp_path):
    """A whole folder of them is a data set without the bad ones, or a `DataError`."""
    draw, formats = random.Random(2), valid()
    everything = [content for contents in formats.values() for content in contents]
    outcomes = set()
    for number in range(max(3, injections(300) // 200)):
        root = tmp_path / str(number)
        for part in ("train", "test"):
            for label in ("a", "b"):
                (root / part / label).mkdir(parents=True)
                for i in range(5):
                    suffix = draw.choice(list(formats))
                    content = damaged(draw.choice(formats[suffix]), draw, everything)
                    (root / part / label / f"{i}.{suffix}").write_bytes(content)
        outcomes.add(outcome(root, skip_bad=number % 3 > 0))
    assert outcomes <= {Dataset, DataError, BadFilesError}
    assert len(outcomes) > 1


def outcome(root: Path, **fields: object) -> type:
    spec = DatasetSpec(name="image-folder", root=str(root), image_size=SIDE, validation=0, **fields)
    with within(30):
        try:
            return type(load_dataset(spec))
        except DataError as error:
            told = error
    assert all(line.isprintable() for line in str(told).splitlines())
    return type(told)


def png(width: int, height: int, packed: bytes) -> bytes:
    """Return a PNG of grey whose header says this size, with pixels that are packed already."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 0, 0, 0, 0])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def jpeg_of_size(width: int, height: int) -> bytes:
    data = bytearray(saved(Image.new("RGB", (16, 16)), "JPEG"))
    place = data.index(b"\xff\xc0") + 5
    data[place : place + 4] = height.to_bytes(2, "big") + width.to_bytes(2, "big")
    return bytes(data)


def tiff_of_a_tile(side: int) -> bytes:
    """Return a TIFF of 16 by 16 pixels in one packed tile that says it has this side."""
    packed = zlib.compress(bytes(2**20))
    tags = {256: 16, 257: 16, 258: 8, 259: 8, 262: 1, 277: 1, 322: side, 323: side, 324: 8, 325: len(packed)}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    start = struct.pack("<2sHI", b"II", 42, 8 + len(packed)) + packed
    return start + struct.pack("<H", len(tags)) + entries + bytes(4)


BMP = saved(Image.new("RGB", (4, 4)), "BMP")
GIF = saved(Image.new("RGB", (4, 4)), "GIF")
BOMBS = {
    "gif": GIF[:6] + b"\xff" * 4 + GIF[10:],
    "tif": tiff_of_a_tile(40_000),
    "pgm": b"P5 99999 99999 65535\n" + bytes(30),
    "png": png(60_000, 60_000, zlib.compress(bytes(10**6))),
    "jpg": jpeg_of_size(65_500, 65_500),
    "bmp": BMP[:18] + (30_000).to_bytes(4, "little") * 2 + BMP[26:],
    "webp": saved(Image.new("RGB", (16_000, 6_000)), "WEBP", method=0),
    "ppm": b"P6 99999 99999 255\n" + bytes(30),
}


@pytest.mark.parametrize("suffix", BOMBS)
def test_image_bombs(suffix, tmp_path):
    """A small file of billions of pixels is refused by its header, before memory is taken for it."""
    (tmp_path / f"bomb.{suffix}").write_bytes(BOMBS[suffix])
    listing = open_folder(tmp_path, tmp_path)
    target = Target(np.zeros((1, 4, 4, 3), np.uint8), np.zeros(1, record_type(3)), "crop")
    with below(20), within(10):
        (why,) = decode_all(listing.files, listing.read, target, None).values()
    assert "pixels" in why


def test_progressive_jpeg_of_many_scans():
    """Each scan takes a few bytes and goes through the whole image: a megabyte of them would take minutes."""
    data = saved(Image.new("RGB", (3000, 3000)), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    assert decode(data[:-2] + data[last:-2] * 10 + data[-2:]).shape == (3000, 3000, 3)
    film = data + b"\xff\xda" * 1000  # as phones put it behind a picture
    assert np.array_equal(decode(film), decode(data))
    with pytest.raises(ValueError, match=f"more than {MAX_SCANS} scans"):
        decode(data[:-2] + data[last:-2] * MAX_SCANS + data[-2:])


def pickled() -> bytes:
    buffer = BytesIO()
    np.save(buffer, np.array([Harm()], dtype=object), allow_pickle=True)
    return buffer.getvalue()


OTHERS = {
    "empty": b"",
    "cut": b"\x93NUMPY",
    "zip": b"PK\3\4",
    "empty zip": b"PK\5\6" + bytes(18),
    "list": b"[1]",
    "other": b'{"0": "x"}',
    "nested": b"[" * 10**5,
    "pickle": pickle.dumps(Harm()),
    "array of objects": pickled(),
}


@pytest.mark.parametrize("name", ["images.npy", "records.npy", "bad.json"])
@pytest.mark.parametrize("content", OTHERS.values(), ids=OTHERS)
def test_decoded_images_that_are_not_what_was_written(name, content, tmp_path, monkeypatch):
    """What lies in the cache is checked and never unpickled: of anything else, the images are decoded again."""
    monkeypatch.chdir(tmp_path)
    for part in ("train", "test"):
        for label in ("a", "b"):
            (tmp_path / part / label).mkdir(parents=True)
            (tmp_path / part / label / "0.png").write_bytes(valid()["png"][0])
    spec = DatasetSpec(name="image-folder", root=str(tmp_path), image_size=SIDE, validation=0)
    before = load_dataset(spec).fingerprint
    (damaged_file,) = (tmp_path / "cache").rglob(name)
    put(damaged_file, content)
    assert load_dataset(spec).fingerprint == before
    assert not (tmp_path / "harm").exists()


PEAK = """
import sys
from pathlib import Path
import numpy as np
from study.data.decode_all import record_type, Target, decode_all
from study.data.files import ImageFile

def decoded(path):
    records = np.zeros(1, record_type(3))
    target = Target(np.zeros((1, 64, 64, 3), np.uint8), records, "crop")
    assert not decode_all([ImageFile("a", 1, 0)], lambda file: path.read_bytes(), target, None)

def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))

decoded(Path(sys.argv[1]))  # what the libraries take when they are first called isn't the image's
before = peak()
decoded(Path(sys.argv[2]))
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads memory from /proc")
def test_the_largest_image_takes_little_more_than_its_pixels(tmp_path):
    """A hundred kilobytes may unpack to the most pixels allowed: they are summed in parts, not copied as floats."""
    side = 5_000  # 25 million pixels, a quarter of the most: 75 MB as RGB
    path = tmp_path / "large.png"
    path.write_bytes(png(side, side, zlib.compress(bytes((side + 1) * side), 1)))
    assert path.stat().st_size < 200_000
    small = tmp_path / "small.png"
    small.write_bytes(saved(Image.new("RGB", (900, 900)), "PNG"))
    words = [sys.executable, "-c", PEAK, str(small), str(path)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120, env=dict(os.environ))
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 450


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes")
def test_what_is_no_file_is_not_read(tmp_path):
    """Of a pipe or a device, reading might never end; a file beyond all sense is left alone."""
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "zeros.png").symlink_to("/dev/zero")
    with (tmp_path / "large.bmp").open("wb") as file:
        file.truncate(2**40)
    (tmp_path / "gone.ppm").symlink_to(tmp_path / "nowhere")
    listing = open_folder(tmp_path, tmp_path)
    target = Target(np.zeros((4, 4, 4, 3), np.uint8), np.zeros(4, record_type(3)), "crop")
    with below(20), within(10):
        failures = decode_all(listing.files, listing.read, target, None)
    told = {listing.files[row].name: why for row, why in failures.items()}
    assert told["pipe.jpg"] == told["zeros.png"] == "a pipe or a device, not a file"
    assert told["large.bmp"] == "larger than 256 MiB"
    assert "No such file" in told["gone.ppm"]
