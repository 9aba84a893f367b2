"""Downloads: one try, with a time limit, checked against a checksum, and never a half-written file."""

import hashlib
import http.client
import tempfile
import urllib.request
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from filelock import FileLock

from study.data.source import Progress
from study.errors import DataError

TIMEOUT_SECONDS = 10
BLOCK = 2**18


@dataclass(frozen=True)
class Remote:
    """A file to download: name, addresses and checksum."""

    name: str
    url: str
    md5: str


def has_md5(path: Path, md5: str) -> bool:
    """Whether `path` is a file with this checksum (a guard against damage, not against forgery)."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, partial(hashlib.md5, usedforsecurity=False)).hexdigest() == md5


def fetch(dataset: str, remotes: list[Remote], folder: Path, progress: Progress | None) -> None:
    """Download the missing files into `folder`; one process downloads, others wait for it.

    Raises:
        DataError: a download failed; it says which files belong where, so that they can be put there by hand.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".download.lock"):
            for remote in remotes:
                if not (folder / remote.name).is_file():
                    _download(remote, folder, progress)
    except (OSError, http.client.HTTPException, ValueError) as error:
        missing = [remote.name for remote in remotes if not (folder / remote.name).is_file()]
        them = "it" if len(missing) == 1 else "them"
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
        raise DataError(
            f"{dataset}: can't download {', '.join(missing)} ({reason}); put {them} in {folder}\n"
            f"or name a folder that has {them}: dataset: {{name: {dataset}, root: DIR}}"
        ) from None


def _download(remote: Remote, folder: Path, progress: Progress | None) -> None:
    request = urllib.request.Request(remote.url, headers={"User-Agent": "study"})
    with (
        urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response,
        tempfile.TemporaryDirectory(prefix=".", dir=folder) as scratch,
    ):
        total = int(response.headers.get("Content-Length") or 0)
        part = Path(scratch, remote.name)
        with part.open("wb") as file:
            while block := response.read(BLOCK):
                file.write(block)
                if progress is not None and total:
                    progress(f"downloading {remote.name}", min(1.0, file.tell() / total))
        if not has_md5(part, remote.md5):
            raise ValueError(f"{remote.name} from {remote.url} has the wrong checksum")
        part.replace(folder / remote.name)
