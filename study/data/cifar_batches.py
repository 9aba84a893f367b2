"""Read CIFAR's batch files: pickles, of which only opcodes for plain values and arrays of bytes are obeyed.

Python's unpickler is used, not the one in C, which allocates what a pickle declares before it has read the data. Only
the opcodes of such files are left. Legend: N images, K classes.
"""

import pickle
from io import BytesIO
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from study.data.decode import reason
from study.errors import DataError, printable

IMAGE = (3, 32, 32)
OPCODES = (
    "PROTO FRAME STOP MARK NONE NEWTRUE NEWFALSE INT BININT BININT1 BININT2 LONG LONG1 STRING BINSTRING "
    "SHORT_BINSTRING UNICODE BINUNICODE SHORT_BINUNICODE BINBYTES SHORT_BINBYTES EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 "
    "TUPLE3 EMPTY_LIST LIST APPEND APPENDS SETITEM SETITEMS PUT BINPUT LONG_BINPUT MEMOIZE GET BINGET LONG_BINGET "
    "GLOBAL STACK_GLOBAL REDUCE BUILD"
).split()
BYTES = ("u1", "|u1", "uint8")


class _Dict(dict[str, Any]):
    """Takes only texts as keys: hashing nested tuples from a pickle might never end."""

    __slots__ = ()

    def __setitem__(self, key: Any, value: Any) -> None:
        if type(key) is not str:
            raise pickle.UnpicklingError("a key isn't a word")
        super().__setitem__(key, value)


class _Word:
    """A name that a pickle may call, with the function that replaces it."""

    __slots__ = ("_make",)

    def __init__(self, make: Any) -> None:
        self._make = make

    def __call__(self, *args: Any) -> Any:
        return self._make(*args)

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("a name has no state")  # else a pickle could change its meaning


class _ByteType:
    """Stands for NumPy's type of bytes, with any state."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        pass


class _Array:
    """Stands for an array of bytes, and takes its state."""

    __slots__ = ("content",)

    def __init__(self) -> None:
        self.content: NDArray[np.uint8] = np.empty(0, dtype=np.uint8)

    def __setstate__(self, state: Any) -> None:
        _, shape, kind, columns_first, content = state
        if not isinstance(kind, _ByteType) or not isinstance(content, str | bytes):
            raise pickle.UnpicklingError("an array isn't one of bytes")
        data = content.encode("latin1") if isinstance(content, str) else content
        self.content = np.frombuffer(data, dtype=np.uint8).reshape(shape, order="F" if columns_first else "C")


def _byte_type(name: Any, *_: Any) -> _ByteType:
    if name not in BYTES:
        raise pickle.UnpicklingError(f"{str(name)[:20]!r} isn't the type of an array of bytes")
    return _ByteType()


WORDS = {
    ("numpy.core.multiarray", "_reconstruct"): _Word(lambda *_: _Array()),
    ("numpy._core.multiarray", "_reconstruct"): _Word(lambda *_: _Array()),
    ("numpy", "ndarray"): _Word(None),
    ("numpy", "dtype"): _Word(_byte_type),
}


class _Unpickler(pickle._Unpickler):
    """Unpickles arrays of bytes in plain containers, and refuses all else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in WORDS:
            raise pickle.UnpicklingError(f"{module}.{name} isn't expected in a data file")
        return WORDS[module, name]

    def _empty_dict(self) -> None:
        self.append(_Dict())  # type: ignore[attr-defined]

    def _dict(self) -> None:
        items = self.pop_mark()  # type: ignore[attr-defined]
        content = _Dict()
        for key, value in zip(items[::2], items[1::2], strict=True):
            content[key] = value
        self.append(content)  # type: ignore[attr-defined]

    dispatch: ClassVar[dict[int, Any]] = {  # all opcodes that are obeyed
        **{getattr(pickle, name)[0]: pickle._Unpickler.dispatch[getattr(pickle, name)[0]] for name in OPCODES},
        pickle.EMPTY_DICT[0]: _empty_dict,
        pickle.DICT[0]: _dict,
    }


def unpickle(data: bytes, name: str = "a batch file of CIFAR") -> Any:
    """Return the content of a pickle: plain values and arrays of bytes. `name` is the file's, for the message.

    Raises:
        DataError: it is damaged, or asks for something else.
    """
    try:
        content = _Unpickler(BytesIO(data), encoding="latin1").load()
    except Exception as error:  # the reader of a damaged pickle may raise any error
        raise DataError(f"{name} can't be read: {printable(reason(error))}") from None
    if isinstance(content, _Array):
        return content.content
    if isinstance(content, _Dict):
        return {key: value.content if isinstance(value, _Array) else value for key, value in content.items()}
    return content


def read_names(data: bytes, key: str, name: str) -> tuple[str, ...]:
    """Return the names of the classes (K) in the file `name`, which has them under `key`.

    Raises:
        DataError: it is damaged, or has no such names.
    """
    content = unpickle(data, name)
    names = content.get(key) if isinstance(content, dict) else None
    if (
        not isinstance(names, list)
        or not names
        or not all(isinstance(item, str) and item.isprintable() for item in names)
    ):
        raise DataError(f"{name} has no names of classes under '{key}': unpack the archive again")
    return tuple(names)


def read_batch(data: bytes, classes: int, name: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return images (N, 3, 32, 32) and labels (N,), below `classes`, of the batch file `name`.

    Raises:
        DataError: it is damaged, or isn't such a file.
    """
    content = unpickle(data, name)
    batch = content if isinstance(content, dict) else {}
    rows, labels = batch.get("data"), batch.get("labels", batch.get("fine_labels"))
    if not isinstance(rows, np.ndarray) or rows.ndim != 2 or rows.shape[1] != np.prod(IMAGE):
        raise DataError(f"{name} has no images of 32x32 under 'data': unpack the archive again")
    if not isinstance(labels, list) or len(labels) != len(rows):
        raise DataError(f"{name} must have as many labels as images ({len(rows):,}): unpack the archive again")
    if not all(type(label) is int and 0 <= label < classes for label in labels):
        raise DataError(f"labels in {name} must be from 0 to {classes - 1}: unpack the archive again")
    return rows.reshape(-1, *IMAGE), np.asarray(labels, dtype=np.int64)
