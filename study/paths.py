"""Cache folders, whose content can be made or fetched again, and whether a folder can be written to."""

import os
import tempfile
from pathlib import Path

import platformdirs

from study.errors import StudyError


def base_folder(variable: str) -> Path:
    """Return the folder that an environment variable names, or else the user's cache folder."""
    folder = os.environ.get(variable)
    return Path(folder).expanduser() if folder else Path(platformdirs.user_cache_dir("study"))


def cache_folder(name: str) -> Path:
    """Return a folder of the cache: below STUDY_CACHE, or else the user's cache folder."""
    return base_folder("STUDY_CACHE") / name


def check_writable(folder: Path) -> None:
    """Check that files can be written in a folder, or that it can be made; nothing is left there.

    Raises:
        StudyError: it can't be.
    """
    existing = next((place for place in (folder, *folder.parents) if place.exists()), folder)
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        why = error.strerror or str(error)
        raise StudyError(f"can't write in {folder.absolute()}: {why}: make it writable, or choose another") from None
