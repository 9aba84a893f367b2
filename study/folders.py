"""Where the program keeps what it can make again."""

import os
from pathlib import Path

import platformdirs


def cache_folder(name: str) -> Path:
    """Return where things of a kind are kept: below STUDY_CACHE, or else the user's cache folder."""
    base = os.environ.get("STUDY_CACHE")
    return (Path(base).expanduser() if base else Path(platformdirs.user_cache_dir("study"))) / name
