"""Archives of NumPy arrays, `.npz`, with images and labels by the names that Keras or MedMNIST give them.

An archive is read in place: its rows are handed to the decoder of image files as PGM or PPM files. Nothing in it is
unpickled. Legend: N images, H height, W width.
"""

import math
import threading
import warnings
import zipfile
import zlib
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from study.data.files import READ_METHODS, BadFilesError, ImageFile, Listing, Read, first_names
from study.data.labelled import (
    MAX_LABEL_BYTES,
    ROW,
    Catalogue,
    Labelled,
    Role,
    divided,
    in_order,
    load_catalogue,
    refuse_too_many,
    to_predict,
)
from study.data.source import Progress, Source, given_file
from study.errors import DataError, printable

if TYPE_CHECKING:
    from study.config import DatasetSpec

NAMES: dict[Role, tuple[tuple[str, str], ...]] = {
    "train": (("x_train", "y_train"), ("train_images", "train_labels"), ("x", "y"), ("images", "labels")),
    "test": (("x_test", "y_test"), ("test_images", "test_labels")),
    "validation": (("x_val", "y_val"), ("val_images", "val_labels")),
}
"""Names of the arrays of each split, images and labels, in lower case."""
EXPECTED = "arrays x_train and y_train, or train_images and train_labels"
SIDES = range(4, 1025)
"""Sides in pixels that a data set may have: `DatasetSpec.image_size`."""
HEADER_BYTES = 10_000
"""Maximal bytes of an array's header; NumPy's own limit."""
BLOCK = 2**20


class _Array(NamedTuple):
    """An array of an archive, of which only the header is read."""

    name: str
    place: str
    """Its name and its archive's, for messages."""
    member: zipfile.ZipInfo
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    start: int
    """Bytes before the first value."""

    @property
    def row_bytes(self) -> int:
        return math.prod(self.shape[1:]) * self.dtype.itemsize

    @property
    def sizes(self) -> str:
        return "x".join(map(str, self.shape))


def load(spec: "DatasetSpec", progress: Progress | None = None) -> Source:
    """Return the images of an archive: uint8 (N, H, W), grey, or (N, H, W, 3), with a label each, (N,) or (N, 1).

    Without `spec.image_size`, they have to be square and stay as they are. Classes are the labels, in their order.

    Raises:
        DataError: no such arrays, others than these, or a damaged archive.
    """
    path = given_file(spec.name, spec.root)
    if spec.skip_bad:
        raise DataError("npz: 'skip_bad' is for image files: an archive is read as a whole; leave it out")
    with _opened(path) as opened:
        catalogue = _catalogue(path, opened, needs_square=spec.image_size is None)
    try:
        return load_catalogue(catalogue, spec, progress)
    except BadFilesError as error:
        first = error.bad[0]
        raise DataError(f"{path} is damaged at {first.name}: {first.reason}\nmake or download it again") from None


def list_arrays(path: Path) -> Listing:
    """List the images of an archive that are to be predicted: those of its test, if it has one; labels aren't needed.

    Raises:
        DataError: no array of images, or a damaged archive.
    """
    with _opened(path) as opened:
        members = _members(opened)
        by_role: dict[Role | None, str] = {role: names[0] for role in NAMES if (names := _pair(path, members, role))}
        if not by_role and len(members) != 1:
            raise DataError(f"{path} needs images as x_test or test_images, or one array alone; {_has(members)}")
        name = by_role[to_predict(by_role)] if by_role else next(iter(members))
        array = _checked_images(_header(path, opened, name, members[name]))
        _refuse_damaged(opened, array.member)
    return Listing(_rows(array, path), [], [], _reader(path, [array]), (f"the images of {printable(name)}",))


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open an archive.

    Raises:
        DataError: it can't be read.
    """
    try:
        with zipfile.ZipFile(path) as opened:
            yield opened
    except (OSError, EOFError, ValueError, RuntimeError, zlib.error, zipfile.BadZipFile) as error:
        raise DataError(f"{path} can't be read: {printable(str(error))}\nmake or download it again") from None


def _members(opened: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """Return the arrays of an archive by name."""
    return {
        member.filename.removesuffix(".npy"): member for member in opened.infolist() if member.filename.endswith(".npy")
    }


def _has(members: Collection[str]) -> str:
    return f"it has {first_names(sorted(members)) or 'none'}"


def _catalogue(path: Path, opened: zipfile.ZipFile, *, needs_square: bool) -> Catalogue:
    members = _members(opened)
    parts: dict[Role, Labelled] = {}
    images: list[_Array] = []
    unlabelled: list[str] = []
    for role in NAMES:
        names = _pair(path, members, role)
        if len(names) == 2:
            array, labels = (_header(path, opened, name, members[name]) for name in names)
            array = _checked_images(array)
            parts[role] = Labelled(array.name, _rows(array, path), _labels(opened, labels, array.shape[0]))
            images.append(array)
        unlabelled += names if len(names) == 1 else []
    if "train" not in parts:
        raise DataError(f"{path} needs {EXPECTED}; {_has(members)}")
    shapes = {array.shape[1:] for array in images}
    if len(shapes) > 1:
        listed = ", ".join(f"{array.name} {'x'.join(map(str, array.shape[1:]))}" for array in images)
        raise DataError(f"{path}: images of all splits must have one shape: {listed}")
    (height, width, *colours), *_ = shapes
    if needs_square and (height != width or height not in SIDES):
        raise DataError(f"{path}: images of {height}x{width} pixels have to be made square: give image_size, from 4 on")
    train, test, notes = divided(parts)
    if unlabelled:
        notes += (f"not used: {first_names(unlabelled)}, without labels",)
    classes = in_order(train.labels)
    channels: Literal[1, 3] = 3 if colours == [3] else 1
    return Catalogue(path, train, test, classes, _reader(path, images), notes, min(height, width), channels)


def _pair(path: Path, names: Collection[str], role: Role) -> list[str]:
    """Return the names of a split's images and of their labels, if any; none where it has no images.

    Raises:
        DataError: there are several arrays for the same split.
    """
    pairs = [[[name for name in names if name.lower() == word] for word in words] for words in NAMES[role]]
    pairs = [pair for pair in pairs if pair[0]]
    named = [name for pair in pairs for group in pair for name in group]
    if len(pairs) > 1 or any(len(group) > 1 for pair in pairs for group in pair):
        raise DataError(f"{path} has several arrays for one split: {first_names(named)}: keep one pair")
    return named


def _header(path: Path, opened: zipfile.ZipFile, name: str, member: zipfile.ZipInfo) -> _Array:
    """Read the header of an array.

    Raises:
        DataError: it isn't one that can be read row by row, or has another length than it says.
    """
    place = f"{printable(name)} in {path}"
    if member.flag_bits & 1 or member.compress_type not in READ_METHODS:
        raise DataError(f"{place} is encrypted, or packed otherwise than by np.savez: save it anew")
    with opened.open(member) as file:
        start = BytesIO(file.read(HEADER_BYTES))
    try:
        read = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[np.lib.format.read_magic(start)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of arrays that Python 2 wrote
            shape, by_column, dtype = read(start)
    except Exception:  # the parser of a damaged header may raise any error
        raise DataError(f"{place} is no array of NumPy: save it anew with np.savez") from None
    if dtype.hasobject:
        raise DataError(f"{place} holds Python objects, which aren't read: save it with a type of numbers")
    if by_column and len(shape) > 1:
        raise DataError(f"{place} lies column by column: save np.ascontiguousarray of it")
    array = _Array(name, place, member, shape, dtype, start.tell())
    if not all(shape):
        raise DataError(f"{place} is empty: leave it out")
    if array.start + math.prod(shape) * dtype.itemsize != member.file_size:
        sizes = array.sizes or "one value"
        raise DataError(f"{place} says that it has {sizes} of {dtype}, but not as many bytes: save it anew")
    if shape:
        refuse_too_many(shape[0], path.stat().st_size, place)
    return array


def _labels(opened: zipfile.ZipFile, array: _Array, images: int) -> list[str]:
    """Read the name of each image's class.

    Raises:
        DataError: there isn't one label for each of the `images`, or they are no whole numbers from 0 on.
    """
    place = array.place
    if array.shape not in ((images,), (images, 1)):
        first = (
            ": save y.argmax(1) if these are its scores" if len(array.shape) == 2 and array.shape[0] == images else ""
        )
        raise DataError(
            f"{place} must have one label for each of {images:,} images, but has shape {array.sizes or 'none'}{first}"
        )
    if array.dtype.kind not in "iuU" or images * array.row_bytes > MAX_LABEL_BYTES:
        other = {"f": "int", "b": "int", "S": "str"}.get(array.dtype.kind)
        advice = f": save y.astype({other})" if other else ""
        raise DataError(f"{place} holds {array.dtype}: labels must be whole numbers from 0 on, or short words{advice}")
    with opened.open(array.member) as file:
        file.read(array.start)
        words = [str(value).strip() for value in np.frombuffer(file.read(), dtype=array.dtype).tolist()]
    for row, word in enumerate(words):
        if word.startswith("-") and array.dtype.kind == "i":
            raise DataError(f"{place} has the label {word} in row {row}: labels must be from 0 on")
        if not word:
            raise DataError(f"{place} has an empty label in row {row}")
    return words


def _checked_images(array: _Array) -> _Array:
    """Return an array of images if it has the right type and shape, and a single channel only as (N, H, W).

    Raises:
        DataError: it hasn't; what to do is said.
    """
    if array.dtype != np.uint8:
        scales = {"f": "(255 * x).round().astype('uint8') if they are from 0 to 1"}
        scales |= dict.fromkeys("iu", "x.astype('uint8') if they are")
        advice = f": save {scales[array.dtype.kind]}" if array.dtype.kind in scales else ""
        raise DataError(f"{array.place} holds {array.dtype}: images must be uint8, from 0 to 255{advice}")
    match array.shape:
        case (_, _, _, 1):
            return array._replace(shape=array.shape[:3])
        case (_, _, _) | (_, _, _, 3):
            return array
        case (_, 1 | 3, _, _):
            first = ": save x.transpose(0, 2, 3, 1)"
        case (_, _, _, 4):
            first = ": save x[..., :3]"
        case _:
            first = ""
    raise DataError(f"{array.place} has shape {array.sizes}: images must be N x H x W, grey, or N x H x W x 3{first}")


def _rows(array: _Array, path: Path) -> list[ImageFile]:
    """Return each image of an array as a file."""
    stamp = path.stat().st_mtime_ns << 32 | array.member.CRC
    return [ImageFile(f"{array.name}{ROW}{row}", array.row_bytes, stamp) for row in range(array.shape[0])]


def _reader(path: Path, arrays: Sequence[_Array]) -> Read:
    """Return a function that reads a row as a PGM or PPM file, with handles of its own in each thread."""
    by_name = {array.name: array for array in arrays}
    local = threading.local()

    def read(file: ImageFile) -> bytes:
        name, _, row = file.name.rpartition(ROW)
        array = by_name[name]
        if not hasattr(local, "members"):
            local.archive, local.members = zipfile.ZipFile(path), {}
        if row == "0":
            _refuse_damaged(local.archive, array.member)
        if name not in local.members:
            local.members[name] = local.archive.open(array.member)
        member: IO[bytes] = local.members[name]
        member.seek(array.start + int(row) * array.row_bytes)
        pixels = member.read(array.row_bytes)
        _, height, width, *colours = array.shape
        return f"P{6 if colours else 5} {width} {height} 255\n".encode() + pixels

    return read


def _refuse_damaged(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    """Read a member to its end, where its checksum is compared: once, as rows are read when images are decoded.

    Raises:
        BadZipFile: the checksum is wrong; other errors where the member can't be unpacked.
    """
    with archive.open(member) as file:
        while file.read(BLOCK):
            pass
