"""Nets of the user's own: the function that builds them, in a file or a module, and the digest of its source.

Nothing here runs that source.
"""

import hashlib
import os
import traceback
from importlib.machinery import PathFinder
from pathlib import Path

from study.config.recipe import Strict
from study.config.source import MAX_BYTES, load_text, short
from study.errors import GridError, StudyError, printable

DIGITS = 12
"""Hexadecimal digits of a digest."""
LOADED_AS = "study_digest"
"""Global by which a module keeps the digest of the source that it was loaded from: it marks the user's code."""


class OwnNetsError(StudyError):
    """Nets of the user's own that can't be used."""


class OwnNets(Strict):
    """A function that builds nets; its source is part of a run's key, so that a changed one makes new runs."""

    place: str
    """`nets.py:build`, the file's name without its folders, or `package.module:build`."""
    digest: str
    """Of the file's text, or of all Python files of the module's package."""
    path: str = ""
    """The file; empty for a module."""
    source: str = ""
    """The file's text, which goes to the workers; empty for a module, and in the `spec.json` of a run."""

    @property
    def family(self) -> str:
        """The function's place and the digest: `nets.py:build@0123456789ab`."""
        return f"{self.place}@{self.digest}"

    @property
    def module(self) -> str:
        """`nets.py` or `package.module`."""
        return self.place.rpartition(":")[0]

    @property
    def function(self) -> str:
        return self.place.rpartition(":")[2]

    def text(self) -> str:
        """Return the file's text: that which came with it, else that of the file, or of its name in this folder.

        Raises:
            OwnNetsError: no such file, or only one of another text.
        """
        if self.source:
            return self.source
        files = [path for path in (Path(self.path), Path(self.module)) if os.path.exists(path)]  # noqa: PTH110
        for path in files:
            text = _read(path)
            if digest_of(text) == self.digest:
                return text
        stored = f"the run's own is among its files in MLflow: put it into this folder as {self.module}"
        if not files:
            raise OwnNetsError(f"{self.path}: no such file, by which a run's net is built; {stored}")
        raise OwnNetsError(f"{files[0]} was changed after the run (it was {self.digest}); {stored}")


def read_own_nets(place: str, folder: Path) -> OwnNets:
    """Find a function's source by its place; a file's path is relative to `folder`, else to the working folder.

    Raises:
        OwnNetsError: no such file or module, or one that can't be read.
    """
    module, _, function = place.rpartition(":")
    if not module.endswith(".py"):
        return OwnNets(place=place, digest=module_digest(module))
    paths = [folder / module, Path(module)]
    path = next((path for path in paths if os.path.exists(path)), None)  # noqa: PTH110 (no error where it can't be asked)
    if path is None:
        tried = " nor ".join(dict.fromkeys(short(str(path.parent)) for path in paths))
        raise OwnNetsError(f"'family: {short(printable(place))}' names a file that is neither in {printable(tried)}")
    text = _read(path)
    return OwnNets(place=f"{path.name}:{function}", digest=digest_of(text), path=str(path.resolve()), source=text)


def _read(path: Path) -> str:
    """Return the text of a Python file.

    Raises:
        OwnNetsError: it can't be read, is empty, or is too large.
    """
    if not path.is_file():  # a pipe would never end
        raise OwnNetsError(f"{path}: not a file")
    try:
        text = load_text(path).removeprefix("\ufeff")
    except GridError as error:
        raise OwnNetsError(str(error)) from None
    if not text.strip() or len(text) > MAX_BYTES:
        raise OwnNetsError(f"{path}: {'an empty file' if len(text) <= MAX_BYTES else 'too long'} to hold nets")
    return text


def place_in_own_nets(error: BaseException) -> str:
    """Return file and line where the user's code last was before an error; empty where it wasn't in it."""
    lines = [
        f"{frame.f_code.co_filename}:{line}"
        for frame, line in traceback.walk_tb(error.__traceback__)
        if LOADED_AS in frame.f_globals
    ]
    return lines[-1] if lines else ""


def module_digest(module: str) -> str:
    """Return the digest of all Python files of a module's package, or of the file of a module outside of packages.

    Raises:
        OwnNetsError: no such module.
    """
    top = module.partition(".")[0]
    found = PathFinder.find_spec(top)
    folders = [] if found is None else list(found.submodule_search_locations or [])
    files = {path.relative_to(folder).as_posix(): path for folder in folders for path in Path(folder).rglob("*.py")}
    if not folders and found is not None and found.origin and module == top:
        files = {top: Path(found.origin)}
    inner = module.removeprefix(top).removeprefix(".").replace(".", "/")
    known = {top, "__init__.py"} if not inner else {f"{inner}.py", f"{inner}/__init__.py"}
    if not known & files.keys():
        raise OwnNetsError(
            f"no module is called '{module}': install it, name its folder in PYTHONPATH, or name a file: nets.py:build"
        )
    return digest_of("".join(f"{name}\0{_source(path)}\0" for name, path in sorted(files.items())))


def _source(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise OwnNetsError(f"{path}: {error.strerror or error}") from None


def digest_of(text: str) -> str:
    """Return the digest of a source; it doesn't depend on line endings, which reading makes equal."""
    return hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest()[:DIGITS]
