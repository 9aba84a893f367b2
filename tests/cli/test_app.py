import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import study
from study.config import shipped_grids
from tests.conftest import run_here, run_study

OWN_NETS = Path(study.__file__).parents[1] / "examples" / "own_nets"


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['study', '--help']\n"
        "from study.cli.app import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print([m for m in ('torch', 'mlflow', 'optuna', 'pandas', 'scipy', 'matplotlib') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.splitlines()[-1] == "[]"


def test_the_size_of_a_grid_is_said_before_anything_heavy_is_imported(tmp_path: Path) -> None:
    code = (
        "import sys; sys.argv = ['study', 'run', '--grid', 'digits']\n"
        "from study.cli import app, run\n"
        "def say(text, **_):\n"
        "    print(text, [m for m in ('torch', 'mlflow', 'optuna', 'pandas', 'scipy') if m in sys.modules])\n"
        "    sys.exit()\n"
        "run.say = say\n"
        "app.main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout == "digits: 50 runs, and 6 searches of 8 learning rates []\n"


def test_version_and_help(tmp_path: Path) -> None:
    assert run_study(tmp_path, "--version").stdout == f"study {study.__version__}\n"
    out = run_study(tmp_path, "--help").stdout
    for word in ("run", "report", "status", "nets", "grids", "130 interrupted", "--install-completion"):
        assert word in out


def test_no_color_and_pipes_get_plain_text(tmp_path: Path) -> None:
    for words in (["nets", "plain-8"], ["grids"], ["--help"], ["run", "--grid", "none.yaml"]):
        done = run_study(tmp_path, *words, NO_COLOR="1")
        assert "\x1b[3" not in done.stdout + done.stderr  # no colours


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run", "--grid", "none.yaml"], "error: none.yaml: no such file"),
        (["run", "--grid", "digitz"], "did you mean 'digits'?"),
        (["run", "--grid", "digits", "--set", "recipe.lr=x"], "'lr' should be"),
        (["run", "--grid", "digits", "--set", "lr"], "a setting looks like recipe.lr=0.1"),
        (["run", "--grid", "digits", "--device", "tpu"], "there are auto, cpu, cuda and cuda:N"),
        (["run", "--grid", "dogs-vs-cats"], "root"),
        (["run", "--nonsense"], "No such option"),
        (["grids", "show", "digitz"], "did you mean 'digits'?"),
        (["nets", "plain-21"], "nearest 20 and 26"),
        (["report"], "no study at sqlite:///"),
        (["report", "-e", "x"], "no study is called 'x'"),
        (["status"], "no study at sqlite:///"),
    ],
)
def test_bad_input_is_a_line_and_exit_code_2(tmp_path: Path, words: list[str], message: str) -> None:
    done = run_here(tmp_path, *words)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert len([line for line in done.stderr.splitlines() if line.startswith("error:")]) <= 1


def test_a_working_folder_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone() -> Path:
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(Path, "cwd", gone)
    done = run_here(tmp_path, "grids")
    said = "error: the working folder can't be used (No such file or directory): change to another\n"
    assert (done.returncode, done.stderr) == (2, said)


@pytest.mark.parametrize(
    "words", [("run", "--grid", "digits"), ("judge", "runs.csv"), ("data", "stats", "--root", "none")]
)
def test_a_folder_that_cannot_be_written_to_is_refused_before_data_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "reports").write_text("")
    (tmp_path / "runs.csv").write_text("architecture,depth,seed,final_train_error,classes\nplain,8,0,1,10\n")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/file/mlflow.db")
    for module in ("study.data.load", "study.launch.run_grid"):
        monkeypatch.setattr(f"{module}.load_splits", None)  # calling it fails
    done = run_here(tmp_path, *words)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].endswith(": Not a directory: make it writable, or choose another")
    assert "can't write in" in done.stderr


def test_nets_table(tmp_path: Path) -> None:
    out = run_here(tmp_path, "nets").stdout
    row = next(line for line in out.splitlines() if re.search(r"\bresnet-20\b", line))
    assert ("269,722" in row, "40,551,040" in row) == (True, True)
    assert "4,089,184,256" in next(line for line in out.splitlines() if "resnet-50" in line)
    assert "273,066" not in out
    small = run_here(tmp_path, "nets", "plain-20", "--size", "8").stdout
    assert "2,535,040" in small  # a sixteenth of the convolutions' 40,550,400, and the linear layer's 640


def test_nets_of_ones_own_are_counted(tmp_path: Path) -> None:
    own = f"{OWN_NETS / 'mlp.py'}:build"
    words = ("nets", own, "plain-8", "--depth", "4", "--depth", "16", "--size", "8", "--channels", "1")
    done = run_here(tmp_path, *words)
    assert done.returncode == 0, done.stderr
    counts = {line.split()[1]: line.split("│")[4:7] for line in done.stdout.splitlines() if "│" in line}
    assert counts["plain-4"] == counts["resnet-4"]
    layers, parameters, multiply_adds = (int(cell.replace(",", "")) for cell in counts["plain-4"])
    assert layers == 4
    assert 0 < multiply_adds < parameters  # those of linear layers: biases and norms have none
    assert {"plain-16", "resnet-16", "plain-8"} <= counts.keys()
    assert "as in attention, don't count" in done.stdout.replace("\n", " ")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("mlp.py:build",), "mlp.py:build: say with --depth which depths"),
        (("mlp.py:built", "--depth", "4"), "no function 'built' (did you mean 'build'?)"),
        (("gone.py:build", "--depth", "4"), "names a file that is neither in"),
        (("mlp.py:build", "--depth", "1"), "(in building plain-1)"),
        (("mlp.py:wrong", "--depth", "4"), "(in a pass of plain-4 for images of 3x32x32)"),
    ],
)
def test_nets_of_ones_own_that_cant_be_counted(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    wrong = "\n\ndef wrong(*, num_classes, **_):\n    return nn.Linear(7, num_classes)\n"
    (tmp_path / "mlp.py").write_text((OWN_NETS / "mlp.py").read_text() + wrong)
    done = run_here(tmp_path, "nets", *words)
    assert done.returncode == 2
    assert said in done.stderr.splitlines()[-1]


def test_grids(tmp_path: Path) -> None:
    out = run_here(tmp_path, "grids").stdout
    assert all(name in out for name in shipped_grids())
    shown = run_here(tmp_path, "grids", "show", "digits").stdout
    assert shown == (Path(study.__file__).parent / "grids" / "digits.yaml").read_text()


def test_dry_run_does_nothing(tmp_path: Path) -> None:
    done = run_study(tmp_path, "run", "--grid", "digits", "--set", "grid.depth=[8, 14]", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "left to do: 40 runs and their searches" in done.stdout
    assert re.search(r"with 5 seeds a net, a rise of 2\.\d points is shown in 80% of studies if", done.stdout)
    assert re.search(r"about \d+.* on \d+ workers? \(cpu\), [\d.]+ GiB of memory, \d+ MB of disk", done.stdout)
    assert "plain-14" in done.stdout
    assert not list(tmp_path.iterdir())  # not even a database


@pytest.mark.parametrize("words", [["status"], ["grids"], ["--version"], ["nets", "plain-8"]])
def test_a_reader_that_leaves_changes_no_exit_code(small_study: Path, words: list[str]) -> None:
    """As `head` does; and the program is a module too."""
    command = [sys.executable, "-m", "study", *words]
    with subprocess.Popen(command, cwd=small_study, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


def test_a_mistake_that_nobody_hears_keeps_its_exit_code() -> None:
    command = [sys.executable, "-m", "study", "status", "--nonsense"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        process.stderr.close()
    assert process.returncode == 2


def test_status_and_report(small_study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = f"sqlite:///{small_study / 'mlflow.db'}"
    status = run_study(tmp_path, "status", MLFLOW_TRACKING_URI=uri)
    assert status.returncode == 0, status.stderr
    assert "plain-14" in status.stdout
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    report = run_here(tmp_path, "report")
    assert report.returncode == 0, report.stderr
    assert "report: reports/small/index.html" in report.stdout.replace("\n", "")
    page = (tmp_path / "reports" / "small" / "index.html").read_text()
    verdict = json.loads((tmp_path / "reports" / "small" / "verdict.json").read_text())
    assert "plain-14" in page
    assert "study run --grid small.yaml" in page
    assert verdict
    assert "Traceback" not in report.stderr + status.stderr


def test_report_needs_no_torch_no_optuna_and_no_backend(small_study: Path, tmp_path: Path) -> None:
    """A notebook's kernel names a backend of Matplotlib that this environment may not have."""
    for module in ("torch", "optuna"):
        (tmp_path / f"{module}.py").write_text("raise ImportError('not in a report')\n")
    done = run_study(
        tmp_path,
        "report",
        MLFLOW_TRACKING_URI=f"sqlite:///{small_study / 'mlflow.db'}",
        MPLBACKEND="module://no_such_package.backend",
        PYTHONPATH=f"{tmp_path}:{Path(study.__file__).parents[1]}",
    )
    assert done.returncode == 0, done.stderr
