"""MLflow's client: the database is there as a whole, or not at all."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import BAD_REQUEST

from study.track.connect import connect, is_away


@pytest.mark.parametrize("size", [1, 200_000, 400_000])  # bytes; the whole is about 700,000
def test_killed_while_it_makes_the_database(tmp_path: Path, size: int) -> None:
    file = tmp_path / "mlflow.db"
    new = Path(f"{file}.new")
    code = f"from study.track.connect import connect; connect('sqlite:///{file}')"
    with subprocess.Popen([sys.executable, "-c", code]) as process:
        while process.poll() is None and not (new.exists() and new.stat().st_size >= size):
            time.sleep(0.001)
        process.kill()
    assert process.returncode < 0
    assert new.stat().st_size >= size
    assert not file.exists()

    client = connect(f"sqlite:///{file}")
    assert [found.name for found in client.search_experiments()] == ["Default"]
    assert not new.exists()


@pytest.mark.parametrize(
    "text",
    [
        "(sqlite3.IntegrityError) UNIQUE constraint failed: params.key, params.run_uuid",
        '(psycopg2.errors.UniqueViolation) duplicate key value violates unique constraint "param_pk"',
    ],
)
def test_parameters_that_another_process_writes_at_this_moment_are_written_again(text: str) -> None:
    assert "another process" in is_away("sqlite:///mlflow.db", MlflowException(text, BAD_REQUEST))
    assert not is_away("sqlite:///mlflow.db", MlflowException("Changing param values is not allowed", BAD_REQUEST))
