"""`study ui`, with MLflow's real server and a real browser."""

import os
import shutil
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from study.cli.run import pages_of
from study.track.find import find_experiment
from tests.conftest import run_here
from tests.forks import study_command
from tests.launch.processes import uri, wait_for
from tests.track.servers import Server

pytestmark = pytest.mark.slow


@pytest.fixture
def folder(small_study: Path, tmp_path: Path) -> Path:
    shutil.copy(small_study / "mlflow.db", tmp_path)
    return tmp_path


def test_the_view_of_a_study_opens(folder: Path, browser) -> None:  # type: ignore[no-untyped-def]
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = subprocess.Popen(
            study_command("ui", "--no-browser", "--port", str(port)),
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "COLUMNS": "80"},
        )
        try:
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            assert address.startswith("http://127.0.0.1:"), process.communicate()
            pages = address.partition("/#")[0]
            assert pages != f"http://127.0.0.1:{port}"

            def shown() -> str:
                return str(browser.execute_script("return document.body.innerText"))

            browser.get(address)
            wait_for(lambda: "plain-14" in shown() and "By iteration" in shown())
            for word in ("Group: plain-8", "Group: resnet-14", "plain-8 seed 1", "Group by: study.net"):
                assert word in shown(), word
            assert "trial" not in shown()
            browser.get("about:blank")
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
            process.wait()
    assert process.returncode == 0, err
    assert "Traceback" not in out + err
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"{pages}/health", timeout=5)


def test_a_tracking_server_has_pages_of_its_own(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Server(folder) as server:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", server.address)
        done = run_here(folder, "ui", "--no-browser")
        address = pages_of("small")
    assert done.returncode == 0
    number = find_experiment("small", uri(folder))
    assert done.stdout.startswith(f"{server.address}/#/experiments/{number}/runs?workflowType=machine_learning")
    assert address == done.stdout.strip()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri(folder))
    assert pages_of("small") == "study ui --experiment small"


def test_a_folder_without_a_study(tmp_path: Path) -> None:
    done = run_here(tmp_path, "ui")
    assert done.returncode == 2
    assert done.stderr.startswith("error: no study at ")
    assert len(done.stderr.splitlines()) == 1
