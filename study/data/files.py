"""List and read the image files of a folder, or of an archive in place, and name those that can't be used."""

import heapq
import os
import re
import stat
import threading
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import NamedTuple

from study.data.dataset import BadFile
from study.data.decode import SUFFIXES
from study.errors import DataError, printable, with_noun

SHOWN = 20
"""Maximal bad files in an error's text."""
MAX_FILE_BYTES = 256 * 2**20
"""Larger image files are refused unread."""
READ_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""Compression methods that are read: others unpack without a limit, such as gigabytes from a kilobyte of bzip2."""
SYSTEM = {
    # macOS
    *("__macosx", "icon\r", "network trash folder", "temporary items"),
    # Windows
    *("thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin", "recycler", "system volume information"),
    # Synology, QNAP
    *("@eadir", "@tmp", "#recycle", "#snapshot", "@recycle", "@__thumb", "@recently-snapshot"),
    # Linux
    "lost+found",
}
"""Files that systems and storage devices create in folders, in lower case; their other files are hidden."""
PACKED = (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar")
NAMED = 5
"""Maximal names in a message."""


class ImageFile(NamedTuple):
    """An image file of a folder or an archive."""

    name: str
    """Path below the root, with forward slashes."""
    size_bytes: int
    stamp: int
    """Changes when the content does: the time of change in nanoseconds, or a checksum."""


Read = Callable[[ImageFile], bytes]
"""Returns the bytes of a file; called from several threads."""


@dataclass(frozen=True)
class Listing:
    """The image files of a place, and how to read them; those of a folder or an archive are in no particular order."""

    files: list[ImageFile]
    bad: list[BadFile]
    """Members that are known to be unusable without reading them."""
    unread: list[str]
    """Names of files without an image's suffix, except system files."""
    read: Read
    notes: tuple[str, ...] = ()
    """Lines on which of the place's images these are."""


class TooLargeError(ValueError):
    """A file that is too large to be an image."""

    def __init__(self) -> None:
        super().__init__(f"larger than {MAX_FILE_BYTES // 2**20} MiB")


class BadFilesError(DataError):
    """Of `total` files some can't be used, all listed in `bad`."""

    def __init__(
        self,
        bad: tuple[BadFile, ...],
        total: int,
        skip: str = "'skip_bad: true' under dataset",
        place: str | None = None,
    ) -> None:
        """`skip` is what to give to go on without them, `place` where all are listed; "" if they were just printed."""
        lines = [] if place == "" else listed(bad)
        if place:
            lines.append(f"  all of them stand in {place}")
        elif len(bad) > SHOWN and place is None:
            lines.append(f"  and {len(bad) - SHOWN} more; `study data prepare` lists them all")
        first = f"{len(bad)} of {total} image files can't be used{':' if lines else ''}"
        super().__init__("\n".join([first, *lines, f"mend or remove them, or go on without them: {skip}"]))
        self.bad, self.total = bad, total


def is_system(name: str) -> bool:
    """Whether a file or folder is hidden, or has a name that systems use, such as that of thumbnails."""
    return name.startswith(".") or name.casefold() in SYSTEM


def sort_key(name: str) -> tuple[str, str]:
    """Return a key that sorts names equally on Linux and macOS, which encode accents differently."""
    return unicodedata.normalize("NFC", name), name


def first_names(names: Sequence[str]) -> str:
    """Return the first few of many names, for a message."""
    return f"{printable(', '.join(names[:NAMED]))}{' ...' if len(names) > NAMED else ''}"


def kinds_of(names: Iterable[str]) -> str:
    """Count names by suffix: `3 .heic, 1 .txt`."""
    kinds = Counter(PurePath(name).suffix.lower() or "without suffix" for name in names)
    by_count = sorted(kinds.items(), key=lambda kind: (-kind[1], kind[0]))
    return first_names([f"{count:,} {kind}" for kind, count in by_count])


def not_read(names: Sequence[str]) -> tuple[str, ...]:
    """Return a line with the number, kinds and first names of files that aren't read, if any."""
    files = with_noun(len(names), "file")
    return (f"not read: {files} ({kinds_of(names)}): {first_names(sorted(names, key=sort_key))}",) if names else ()


def listed(bad: Sequence[BadFile]) -> list[str]:
    """Return a line for each of the first bad files, with its reason."""
    return [f"  {file.name}: {file.reason}" for file in bad[:SHOWN]]


def open_folder(folder: Path, root: Path) -> Listing:
    """List the files in and below `folder`, named from `root`, without those of systems; none is read.

    Links to folders are followed. Each folder is listed once, by the path with the fewest links. Folders above `folder`
    are never listed: they would lead in a circle, or to other classes.
    """
    files, unread = [], []
    seen = {above.resolve() for place in (folder.absolute(), folder.resolve()) for above in place.parents}
    pending = [(0, "" if folder == root else folder.relative_to(root).as_posix() + "/", str(folder))]
    while pending:
        links, prefix, place = heapq.heappop(pending)
        real = Path(place).resolve()
        if real in seen:
            continue
        seen.add(real)
        with os.scandir(place) as entries:
            for entry in entries:
                name = prefix + entry.name
                if is_system(entry.name):
                    continue
                if entry.is_dir():
                    heapq.heappush(pending, (links + entry.is_symlink(), f"{name}/", entry.path))
                elif is_image(entry.name):
                    files.append(_image_file(entry, name))
                else:
                    unread.append(name)
    return Listing(files, [], unread, lambda file: read_file(root / file.name))


def _image_file(entry: "os.DirEntry[str]", name: str) -> ImageFile:
    try:
        status = entry.stat()
    except OSError:  # a broken link: a later read reports the reason
        return ImageFile(name, 0, 0)
    return ImageFile(name, status.st_size, status.st_mtime_ns)


def read_file(path: Path) -> bytes:
    """Return the bytes of an image file.

    Raises:
        OSError: it can't be read.
        ValueError: it is too large, or a pipe or a device, which might never end.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("a pipe or a device, not a file")
    if status.st_size > MAX_FILE_BYTES:
        raise TooLargeError
    with path.open("rb") as file:
        return file.read(status.st_size + 1)  # no more, even if the file grows


def open_archive(archive: Path) -> Listing:
    """List a zip archive, to be read in place with one handle per thread; nothing is unpacked to disk.

    Raises:
        DataError: it isn't a whole zip archive.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = opened.infolist()
    except (OSError, zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise DataError(f"{archive} can't be read: {printable(str(error))}\ndownload it again") from None
    files: dict[str, ImageFile] = {}
    bad, unread = [], []
    for number, member in enumerate(members, start=1):
        if problem := _name_problem(member):
            bad.append(BadFile(member.filename or f"(member {number})", problem))
        elif member.is_dir() or any(map(is_system, member.filename.split("/"))):
            continue
        elif problem := _problem(member):
            bad.append(BadFile(member.filename, problem))
        elif not is_image(member.filename):
            unread.append(member.filename)
        else:
            if member.filename in files:
                bad.append(BadFile(member.filename, "appears twice in the archive; the first is used"))
            files.setdefault(member.filename, ImageFile(member.filename, member.file_size, member.CRC))
    places = {member.filename: member for member in reversed(members)}  # of members with the same name, take the first
    local = threading.local()

    def read(file: ImageFile) -> bytes:
        if not hasattr(local, "opened"):
            local.opened = zipfile.ZipFile(archive)
        return _content(local.opened, places[file.name])

    return Listing(list(files.values()), bad, unread, read)


def _content(opened: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """Return a member's content, at most its declared size, which may be false."""
    if member.file_size > MAX_FILE_BYTES:
        raise TooLargeError
    with opened.open(member) as file:
        return file.read(member.file_size + 1)


def _name_problem(member: zipfile.ZipInfo) -> str:
    """Return why a member's name is refused, or an empty text."""
    if leaves_folder(member.orig_filename):
        return "would land outside the folder"
    return "" if member.filename else "has no name"  # or begins with a NUL, which ends it


def leaves_folder(name: str) -> bool:
    """Whether a path within a folder leads out of it, on any system."""
    return name.startswith(("/", "\\")) or ".." in re.split(r"[/\\]", name) or bool(re.match(r"[A-Za-z]:", name))


def _problem(member: zipfile.ZipInfo) -> str:
    """Return why a member of an archive is refused unread, or an empty text."""
    if stat.S_ISLNK(member.external_attr >> 16):
        return "is a link, not a file"
    if member.flag_bits & 1 and is_image(member.filename):
        return "is encrypted"
    if member.compress_type not in READ_METHODS and is_image(member.filename):
        return f"is packed by method {member.compress_type}: pack it again with deflate, as is usual"
    return ""


def subfolders(folder: Path) -> list[Path]:
    """Return the folders in `folder`, links to folders included, system folders excluded, sorted by name."""
    entries = (entry for entry in folder.iterdir() if not is_system(entry.name) and entry.is_dir())
    return sorted(entries, key=lambda entry: sort_key(entry.name))


def is_image(name: str) -> bool:
    """Whether a file has the suffix of an image."""
    return name.lower().endswith(SUFFIXES)


def is_packed(name: str) -> bool:
    """Whether a file has the suffix of an archive, which is to be unpacked."""
    return name.lower().endswith(PACKED)
