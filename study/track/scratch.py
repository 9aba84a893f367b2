"""Temporary folders that are deleted even if their process is killed: the next process that makes one does it."""

import os
import shutil
import tempfile
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from study.track.processes import is_dead, this_process


def scratch_folder(prefix: str, within: Path | None = None) -> "tempfile.TemporaryDirectory[str]":
    """Return a temporary folder named after this process, in the system's place for them or `within` another.

    Delete folders with the same prefix of dead processes: a killed process can't do it itself.
    """
    _delete_leftovers(prefix, within or Path(tempfile.gettempdir()))
    return tempfile.TemporaryDirectory(prefix=f"{prefix}{this_process()}-", dir=within, ignore_cleanup_errors=True)


@lru_cache
def _delete_leftovers(prefix: str, folder: Path) -> None:
    for path in folder.glob(f"{prefix}*"):
        with suppress(OSError):
            if path.lstat().st_uid == os.getuid() and is_dead(path.name.removeprefix(prefix).rpartition("-")[0]):
                shutil.rmtree(path)
