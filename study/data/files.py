"""Image files of a data set, where they lie (a folder, or an archive that is read in place), and those that are bad."""

import os
import re
import stat
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from study.data.dataset import BadFile
from study.data.decode import SUFFIXES
from study.errors import DataError, printable

SHOWN = 20
"""Bad files that an error names."""
MAX_FILE_BYTES = 256 * 2**20
"""Of an image file: a larger one is refused unread."""
READ_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""Of the others, zipfile unpacks whatever comes at once: of bzip2, gigabytes from a kilobyte."""


class ImageFile(NamedTuple):
    """An image file of a folder or an archive."""

    name: str
    """Path below the root, with forward slashes."""
    size_bytes: int
    stamp: int
    """Changes when the content does: the time of change in nanoseconds, or a checksum."""


Read = Callable[[ImageFile], bytes]
"""Gives the bytes of a file; called from several threads."""


@dataclass(frozen=True)
class Listing:
    """The image files of a folder or an archive, in no particular order, and how to read them."""

    files: list[ImageFile]
    bad: list[BadFile]
    """Members that can't be used, seen without reading them."""
    read: Read


class TooLargeError(ValueError):
    """A file with more bytes than an image has."""

    def __init__(self) -> None:
        super().__init__(f"larger than {MAX_FILE_BYTES // 2**20} MiB")


class BadFilesError(DataError):
    """A data set with files that can't be used; `bad` has all of them."""

    def __init__(self, bad: tuple[BadFile, ...], total: int) -> None:
        lines = [f"  {one.name}: {one.reason}" for one in bad[:SHOWN]]
        if len(bad) > SHOWN:
            lines.append(f"  and {len(bad) - SHOWN} more; `study data prepare` lists them all")
        super().__init__(
            "\n".join(
                [
                    f"{len(bad)} of {total} image files can't be used:",
                    *lines,
                    "mend or remove them, or go on without them: 'skip_bad: true' under dataset",
                ]
            )
        )
        self.bad = bad


def list_folder(folder: Path, root: Path) -> Iterator[ImageFile]:
    """Yield the image files in and below `folder`, named from `root`; hidden ones are passed over. Reads none."""
    prefix = "" if folder == root else folder.relative_to(root).as_posix() + "/"
    pending = [(str(folder), prefix)]
    while pending:
        place, prefix = pending.pop()
        with os.scandir(place) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    pending.append((entry.path, f"{prefix}{entry.name}/"))
                elif entry.name.lower().endswith(SUFFIXES):
                    yield _image_file(entry, prefix)


def _image_file(entry: "os.DirEntry[str]", prefix: str) -> ImageFile:
    try:
        status = entry.stat()
    except OSError:  # a link to nowhere: reading it will say so
        return ImageFile(prefix + entry.name, 0, 0)
    return ImageFile(prefix + entry.name, status.st_size, status.st_mtime_ns)


def open_folder(folder: Path, root: Path) -> Listing:
    """List a folder."""
    return Listing(list(list_folder(folder, root)), [], lambda file: read_file(root / file.name))


def read_file(path: Path) -> bytes:
    """Return the bytes of an image file.

    Raises:
        OSError: it can't be read.
        ValueError: it is too large, or no file but a pipe or a device, of which reading might never end.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("a pipe or a device, not a file")
    if status.st_size > MAX_FILE_BYTES:
        raise TooLargeError
    with path.open("rb") as file:
        return file.read(status.st_size + 1)  # and no more, should it grow


def open_archive(archive: Path) -> Listing:
    """List a zip archive, which is then read in place, with a handle a thread; nothing is ever unpacked from it.

    Raises:
        DataError: it isn't a whole zip archive.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = opened.infolist()
    except (OSError, zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise DataError(f"{archive} can't be read: {printable(str(error))}\ndownload it again") from None
    files: dict[str, ImageFile] = {}
    bad = []
    for member in members:
        problem = _problem(member)
        if problem:
            bad.append(BadFile(member.filename, problem))
        elif _is_image(member.filename):
            if member.filename in files:
                bad.append(BadFile(member.filename, "appears twice in the archive; the first is used"))
            files.setdefault(member.filename, ImageFile(member.filename, member.file_size, member.CRC))
    places = {member.filename: member for member in reversed(members)}  # of the same names, the first
    local = threading.local()

    def read(file: ImageFile) -> bytes:
        if not hasattr(local, "opened"):
            local.opened = zipfile.ZipFile(archive)
        opened: zipfile.ZipFile = local.opened
        return _content(opened, places[file.name])

    return Listing(list(files.values()), bad, read)


def _content(opened: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """Return what a member holds; its real size is bounded like the one it declares, which may be a lie."""
    if member.file_size > MAX_FILE_BYTES:
        raise TooLargeError
    with opened.open(member) as file:
        return file.read(member.file_size + 1)


def _problem(member: zipfile.ZipInfo) -> str:
    """Say why a member of an archive is refused unread, or nothing."""
    name = member.orig_filename
    if name.startswith(("/", "\\")) or re.match(r"[A-Za-z]:", name) or ".." in re.split(r"[/\\]", name):
        return "would land outside the folder"
    if stat.S_ISLNK(member.external_attr >> 16):
        return "is a link, not a file"
    if member.flag_bits & 1 and _is_image(name):
        return "is encrypted"
    if member.compress_type not in READ_METHODS and _is_image(name):
        return f"is packed by method {member.compress_type}: pack it again with deflate, as is usual"
    return ""


def _is_image(name: str) -> bool:
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))
    return name.lower().endswith(SUFFIXES) and not hidden
