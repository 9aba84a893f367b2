"""Parquet shards with an image file and a label a row, as the Hugging Face hub keeps its data sets.

A row's image is a struct of `bytes` and `path`, or bytes alone; the names of classes are those of the schema's metadata
under `huggingface`, where there are any. Rows are read a few at a time and given to the decoder of image files.
"""

import itertools
import json
import threading
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from study.data.dataset import BadFile
from study.data.decode import reason
from study.data.files import ImageFile, Listing, Read, first_names, is_system, open_folder, sort_key
from study.data.labelled import (
    MAX_LABEL_BYTES,
    ROW,
    Catalogue,
    Labelled,
    Role,
    class_name,
    divided,
    in_order,
    refuse_too_many,
    role_called,
    role_of,
    to_predict,
)
from study.errors import DataError, printable, with_noun

SUFFIX = ".parquet"
LABELS = ("label", "labels", "fine_label", "class", "category")
"""Names of the column of labels, the first that there is, where the metadata don't say which it is."""
READ_ROWS = 8
"""Rows read at a time: images may be large, and a file repeat one in a few bytes."""
BUFFER_BYTES = 2**20
LABEL_ROWS = 2**16


class _Shard(NamedTuple):
    """A shard, of which the labels have been read where they are needed."""

    path: Path
    image: str
    """Path of the column with the bytes of images."""
    starts: list[int]
    """First row of each row group."""
    files: list[ImageFile]
    labels: list[str]
    """Name of each row's class; empty where a row has none."""
    names: tuple[str, ...]
    """Names of classes by label, in the metadata; empty where it has none."""


def find_shards(root: Path) -> list[Path]:
    """Return the shards of a data set, sorted by name: those in `root`, or in its only folder that has some.

    Raises:
        DataError: several folders have some, and which are meant isn't clear.
    """
    if root.is_file():
        return [root] if root.suffix.lower() == SUFFIX else []
    shards = [
        path
        for pattern in (f"*{SUFFIX}", f"*/*{SUFFIX}")
        for path in root.glob(pattern)
        if path.is_file() and not any(map(is_system, path.relative_to(root).parts))
    ]
    folders = {shard.parent.parent if role_called(shard.parent.name) else shard.parent for shard in shards}
    if len(folders) > 1:
        names = first_names(sorted(str(folder) for folder in folders))
        raise DataError(f"{root} holds several data sets: {names}: give one of these folders as root")
    return sorted(shards, key=lambda shard: sort_key(shard.relative_to(root).as_posix()))


def read_shards(root: Path) -> Catalogue:
    """List the images of a folder of shards and their labels; none of them is decoded. Bad are rows without a label.

    Raises:
        DataError: no shards, damaged ones, or others than these.
    """
    by_role = {role: [_read_shard(path, root) for path in paths] for role, paths in _by_role(root).items()}
    shards = [shard for group in by_role.values() for shard in group]
    others = by_role.pop(None, [])
    if "train" not in by_role:
        by_role["train"], others = others, []
    if not by_role["train"]:
        raise DataError(f"{root} has no shard to train on: one called train-00000-of-00001{SUFFIX}, for example")
    parts = {role: _labelled(role, group, root) for role, group in by_role.items() if role is not None}
    unlabelled = [role for role, part in parts.items() if not part.files]
    train, test, notes = divided({role: part for role, part in parts.items() if part.files or role == "train"})
    if unlabelled:
        notes += (f"not used: {', '.join(unlabelled)}, without labels",)
    if others:
        notes += (f"not used: {first_names([shard.path.name for shard in others])}",)
    named = dict.fromkeys(name for shard in shards for name in shard.names)
    present = set(train.labels)
    classes = (*(name for name in named if name in present), *in_order(present - set(named)))
    return Catalogue(root, train, test, classes, _reader(shards), notes)


def list_shards(root: Path) -> Listing:
    """List the images of shards that are to be predicted: those of the test's, if there are any; labels aren't needed.

    Raises:
        DataError: no shards, damaged ones, or others than these.
    """
    by_role = _by_role(root)
    paths = by_role[to_predict(by_role)]
    shards = [_read_shard(path, root, labelled=False) for path in paths]
    files = [file for shard in shards for file in shard.files]
    notes = [f"the images of {first_names([path.name for path in paths])}"]
    beside = len(open_folder(root, root).files) if root.is_dir() else 0
    notes += [f"not used: {with_noun(beside, 'image file')} beside the shards"] if beside else []
    return Listing(files, [], [], _reader(shards), tuple(notes))


def _by_role(root: Path) -> dict[Role | None, list[Path]]:
    """Return the shards of each split, and of none.

    Raises:
        DataError: there are no shards.
    """
    by_role: dict[Role | None, list[Path]] = {}
    for path in find_shards(root):
        role = None if root.is_file() else role_of(path.relative_to(root).as_posix())
        by_role.setdefault(role, []).append(path)
    if not by_role:
        raise DataError(f"{root} has no shards: files such as train-00000-of-00001{SUFFIX} are expected in it")
    return by_role


def _labelled(role: Role, shards: list[_Shard], root: Path) -> Labelled:
    """Return the labelled rows of a split's shards, in their order; none where no row has a label."""
    rows = [row for shard in shards for row in zip(shard.files, shard.labels, strict=True)]
    good = [(file, label) for file, label in rows if label]
    bad = [BadFile(file.name, "has no label") for file, label in rows if not label]
    name = f"{role}*{SUFFIX}" if root.is_dir() else ""
    return Labelled(name, [file for file, _ in good], [label for _, label in good], bad if good else ())


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Tell what Arrow says of a shard that can't be read."""
    try:
        yield
    except DataError:
        raise
    except Exception as error:  # of Arrow, any
        raise DataError(f"{path} can't be read: {printable(reason(error))}: download it again") from None


def _open(path: Path, **options: Any) -> Any:
    """Open a shard to be read as a stream, so that memory doesn't grow with its row groups."""
    from pyarrow import parquet

    return parquet.ParquetFile(path, buffer_size=BUFFER_BYTES, page_checksum_verification=True, **options)


def _read_shard(path: Path, root: Path, *, labelled: bool = True) -> _Shard:
    """Read a shard's metadata, and its labels if they are needed.

    Raises:
        DataError: it is damaged, or hasn't an image, and a label that is needed, a row.
    """
    name = path.name if root.is_file() else path.relative_to(root).as_posix()
    status = path.stat()
    with _reading(path), _open(path) as opened:
        metadata, schema = opened.metadata, opened.schema_arrow
        names = _names_of_classes(schema)
        image, label = _image_column(schema, path), _label_column(schema, names, path) if labelled else ""
        # Not by column: of damaged chunks, Arrow ends the process.
        groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
        sizes = [(group.num_rows, group.total_byte_size) for group in groups]
    files: list[ImageFile] = []
    starts: list[int] = []
    stamp = status.st_mtime_ns << 64 | status.st_size
    for rows, size_bytes in sizes:
        start = len(files)
        starts.append(start)
        mean = max(0, size_bytes) // max(1, rows)
        refuse_too_many(start + rows, status.st_size, str(path))
        files += [ImageFile(f"{name}{ROW}{row}", mean, stamp) for row in range(start, start + rows)]
    labels = _labels(path, label, names.get(label, ())) if labelled else []
    if labelled and len(labels) != len(files):
        raise DataError(f"{path} says that it has {len(files):,} rows, and has {len(labels):,} labels")
    return _Shard(path, image, starts, files, labels, names.get(label, ()))


def _image_column(schema: Any, path: Path) -> str:
    """Return the path of the only column that holds the bytes of files.

    Raises:
        DataError: there isn't one, or there are several.
    """
    from pyarrow import types

    def holds_bytes(kind: Any) -> bool:
        return bool(types.is_binary(kind) or types.is_large_binary(kind))

    columns: list[str] = [field.name for field in schema if holds_bytes(field.type)]
    for field in schema:
        if types.is_struct(field.type) and field.type.get_field_index("bytes") >= 0:
            columns += [f"{field.name}.bytes"] * holds_bytes(field.type.field("bytes").type)
    if len(columns) != 1:
        has = "has several: " + first_names(columns) if columns else f"has {first_names(schema.names)}"
        raise DataError(f"{path} needs one column of images, each a struct of bytes and path, or bytes; it {has}")
    return columns[0]


def _label_column(schema: Any, names: Mapping[str, tuple[str, ...]], path: Path) -> str:
    """Return the name of the column of labels: whole numbers or words.

    Raises:
        DataError: there isn't one, or it is of another type.
    """
    from pyarrow import types

    column = next((name for name in LABELS if name in schema.names), None)
    if column is None and len(names) == 1:
        (column,) = names
    if column is None or schema.get_field_index(column) < 0:
        raise DataError(f"{path} needs one column 'label'; it has {first_names(schema.names)}")
    kind = schema.field(column).type
    kind = kind.value_type if types.is_dictionary(kind) else kind
    if not any(check(kind) for check in (types.is_integer, types.is_string, types.is_large_string)):
        raise DataError(f"{path}: column '{printable(column)}' holds {kind}: labels must be whole numbers or words")
    return column


def _names_of_classes(schema: Any) -> dict[str, tuple[str, ...]]:
    """Return the names of classes by column that the hub's metadata has; none where they are damaged or missing."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        named = {column: feature["names"] for column, feature in features.items() if "names" in feature}
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        return {}
    return {
        column: tuple(map(class_name, names))
        for column, names in named.items()
        if isinstance(names, list) and all(isinstance(name, str) and name for name in names)
    }


def _labels(path: Path, column: str, names: tuple[str, ...]) -> list[str]:
    """Return the name of the class of each row of a shard, empty where there is none: null, -1 or no letters.

    Raises:
        DataError: the column can't be read, a label is negative or has no name.
    """
    from pyarrow import types

    labels: list[str] = []
    size_bytes = 0
    with _reading(path), _open(path, read_dictionary=[column]) as opened:
        for batch in opened.iter_batches(LABEL_ROWS, columns=[column], use_threads=False):
            values = batch.column(0)
            size_bytes += values.nbytes
            if size_bytes > MAX_LABEL_BYTES:
                raise DataError(f"{path}: column '{printable(column)}' is too large for labels")
            encoded = values if types.is_dictionary(values.type) else values.dictionary_encode()
            distinct, codes = encoded.dictionary.to_pylist(), encoded.indices.to_pylist()
            words = [_named(value, names) for value in distinct]
            for code in codes:
                word = "" if code is None else words[code]
                if word is None:
                    known = f"from 0 to {len(names) - 1}" if names else "from 0 on"
                    place = f"{path}{ROW}{len(labels)}"
                    raise DataError(f"{place} has the label {distinct[code]}: labels must be {known}")
                labels.append(word)
    return labels


def _named(value: int | str | None, names: tuple[str, ...]) -> str | None:
    """Return the name of a label's class, empty where it has none; None for a number that no class has."""
    if value is None or value == -1:  # -1: the hub's mark of rows without a label
        return ""
    if isinstance(value, str):
        return class_name(value).strip()
    if value < 0 or (names and value >= len(names)):
        return None
    return names[value] if names else str(value)


def _rows(shard: _Shard, group: int) -> Iterator[tuple[int, Any]]:
    """Yield each row of a row group with its image, read as a stream; after damage, every row with the same error."""
    name, _, inner = shard.image.rpartition(".")
    row = shard.starts[group]
    problem: Exception = ValueError("the shard ends before it")
    try:
        with _open(shard.path) as opened:
            columns = {"columns": [shard.image], "row_groups": [group]}
            for batch in opened.iter_batches(READ_ROWS, use_threads=False, **columns):
                for image in batch.column(0).field(inner) if name else batch.column(0):
                    yield row, image.as_py()
                    row += 1
    except Exception as error:  # of Arrow, any
        problem = error
    for later in itertools.count(row):
        yield later, problem


def _reader(shards: list[_Shard]) -> Read:
    """Return a function that reads the image of a row; each thread has its stream, which skips what others read.

    The function raises a ValueError where a row has no bytes; Arrow raises other errors for a damaged shard.
    """
    by_name = {shard.files[0].name.rpartition(ROW)[0]: shard for shard in shards if shard.files}
    local = threading.local()

    def read(file: ImageFile) -> bytes:
        name, _, number = file.name.rpartition(ROW)
        shard, row = by_name[name], int(number)
        group = bisect_right(shard.starts, row) - 1
        if getattr(local, "place", None) != (name, group) or row <= local.row:
            local.place, local.rows = (name, group), _rows(shard, group)
        local.row, image = next(pair for pair in local.rows if pair[0] == row)
        if isinstance(image, Exception):
            raise image
        if image is None:
            raise ValueError("has no bytes")
        return bytes(image)

    return read
