"""Zip archives in Kaggle's layout, packed in every way that is read, and faults of what their directories say."""

import random
import struct
import zipfile
from functools import cache
from io import BytesIO

from .images import EXTREMES, FAULTS, valid

METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
NAMES = (
    "../cat.1.jpg",
    "/etc/cat.1.jpg",
    "C:/cat.1.jpg",
    "..\\cat.1.jpg",
    "\\\\host\\cat.1.jpg",
    "train/../../cat.1.jpg",
    "train/cat.1.jpg\0.exe",
    "train/\x1b[2J/cat.1.jpg",
    "train/cat.1\n.jpg",
    "train/\u202egpj.1.jpg",
    "",
    ".",
    "~/cat.1.jpg",
    "train/" * 300 + "cat.1.jpg",
    "train/cat.1.jpg/",
    "train/cat.99999999999.jpg",
    "train/cat.0.jpg",
)
DIRECTORY = {
    "flags": (8, "<H"),
    "method": (10, "<H"),
    "crc": (16, "<I"),
    "packed": (20, "<I"),
    "size": (24, "<I"),
    "name length": (28, "<H"),
    "extra length": (30, "<H"),
    "comment length": (32, "<H"),
    "disk": (34, "<H"),
    "attributes": (38, "<I"),
    "offset": (42, "<I"),
    "version": (6, "<H"),
}
LOCAL = {
    "flags": (6, "<H"),
    "method": (8, "<H"),
    "size": (22, "<I"),
    "name length": (26, "<H"),
    "extra length": (28, "<H"),
}
END = {
    "entries": (8, "<H"),
    "all entries": (10, "<H"),
    "size": (12, "<I"),
    "offset": (16, "<I"),
    "comment length": (20, "<H"),
}
PARTS = {b"PK\1\2": DIRECTORY, b"PK\3\4": LOCAL, b"PK\5\6": END}


def packed(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED, **options: bool) -> bytes:
    """Return an archive of files by name."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as made:
        for name, content in members.items():
            member = zipfile.ZipInfo("x")
            member.filename, member.compress_type = name, method  # past its tidying of names
            with made.open(member, "w", **options) as file:
                file.write(content)
    return buffer.getvalue()


def kaggle(**others: bytes) -> dict[str, bytes]:
    """Return three cats and three dogs below `train/`."""
    first, second, *_ = valid()["jpg"]
    pictures = {"cat.0": first, "cat.1": second, "cat.10": first, "dog.0": second, "dog.1": first, "dog.10": second}
    return {f"train/{name}.jpg": content for name, content in pictures.items()} | others


@cache
def archives() -> list[bytes]:
    """Return whole archives of every kind."""
    mixed = BytesIO()
    with zipfile.ZipFile(mixed, "w") as made:
        made.mkdir("train")
        made.comment = b"a comment"
        for i, (name, content) in enumerate(kaggle().items()):
            made.writestr(name, content, METHODS[i % 2])
    return [*(packed(kaggle(), method) for method in METHODS), packed(kaggle(), force_zip64=True), mixed.getvalue()]


def damaged_archive(data: bytes, draw: random.Random) -> bytes:
    """Return an archive with one to three faults, most of them in what its directories say."""
    for _ in range(draw.choice([1, 1, 2, 3])):
        kind = draw.randrange(4)
        if kind == 0:
            data = draw.choice(FAULTS)(data, draw, archives())
        elif kind == 1:
            data = renamed(data, draw)
        else:
            data = with_field(data, draw)
    return data


def places(data: bytes, mark: bytes) -> list[int]:
    """Return where a part of an archive begins, each time it does."""
    found, place = [], data.find(mark)
    while place >= 0:
        found.append(place)
        place = data.find(mark, place + 1)
    return found


def with_field(data: bytes, draw: random.Random) -> bytes:
    mark, fields = draw.choice([*PARTS.items()])
    found = places(data, mark)
    if not found:
        return data
    offset, code = draw.choice([*fields.values()])
    value = draw.choice([*EXTREMES, draw.randrange(2**32), 0o120777 << 16, 8, 12, 14, 93, 99, len(data)])
    return set_field(data, draw.choice(found) + offset, code, value)


def set_field(data: bytes, place: int, code: str, value: int) -> bytes:
    size = struct.calcsize(code)
    return data[:place] + struct.pack(code, value % 2 ** (8 * size)) + data[place + size :]


def renamed(data: bytes, draw: random.Random) -> bytes:
    """Put a name in the place of a member's, cut or filled up to its length, in the directory and mostly before it."""
    old = draw.choice(list(kaggle())).encode()
    new = draw.choice(NAMES).encode()[: len(old)].ljust(len(old), b"_")
    return data.replace(old, new, draw.choice([1, 2, 2, 2]))
