"""Cache folders, whose content can be made or fetched again."""

import os
from pathlib import Path

import platformdirs


def base_folder(variable: str) -> Path:
    """Return the folder that an environment variable names, or else the user's cache folder."""
    folder = os.environ.get(variable)
    return Path(folder).expanduser() if folder else Path(platformdirs.user_cache_dir("study"))


def cache_folder(name: str) -> Path:
    """Return a folder of the cache: below STUDY_CACHE, or else the user's cache folder."""
    return base_folder("STUDY_CACHE") / name
