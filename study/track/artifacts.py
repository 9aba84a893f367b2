"""Upload and fetch the files of a run from a worker whose machine shares no disk with the launcher."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from study.errors import without_passwords
from study.retry import first_line
from study.track.uri import Unreachable


@dataclass(frozen=True)
class ArtifactPlace:
    """The place of a run's files."""

    uri: str
    """MLflow's address: `s3://bucket/...`, or `mlflow-artifacts:/...` through the tracking server."""
    server: str
    """The tracking server's address."""

    @property
    def is_folder(self) -> bool:
        """Whether the place is a folder, which other machines may not see."""
        return urlparse(self.uri).scheme in ("", "file")

    def put(self, file: Path, folder: str) -> None:
        """Store a file; replace one of the same name.

        Raises:
            Unreachable: it can't be stored now.
        """
        with self._translate_errors():
            self.repository().log_artifact(str(file), folder)

    def get(self, folder: str, into: Path) -> list[Path]:
        """Fetch the files of a folder, if any; return their paths in `into`.

        Raises:
            Unreachable: they can't be fetched now.
        """
        with self._translate_errors():
            repository = self.repository()
            names = [file.path for file in repository.list_artifacts(folder) if not file.is_dir]
            return [Path(repository.download_artifacts(name, str(into))) for name in names]

    def remove(self, folder: str) -> None:
        """Delete a folder.

        Raises:
            Unreachable: it can't be deleted now.
        """
        with self._translate_errors():
            self.repository().delete_artifacts(folder)

    def repository(self) -> Any:
        """Return MLflow's repository object, whose errors depend on the kind of store."""
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        from study.track import client  # noqa: F401 (sets MLflow's timeouts and logging)

        return get_artifact_repository(self.uri, tracking_uri=self.server)

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        """Turn the errors of a store's library into one line; each library has its own errors."""
        try:
            yield
        except Exception as error:
            where = without_passwords(self.uri)
            raise Unreachable(f"the artifacts at {where} can't be reached: {first_line(error)}") from error
